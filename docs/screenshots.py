"""Takes the pictures of docs/images from a real release: `make screenshots`. They are never drawn by hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.demo_world import Demo, begin_demo
from engine.client import EngineClient
from engine.state import Phase, State
from tui.app import Cockpit

IMAGES = Path(__file__).parent / "images"
SIZE = (120, 35)
LIMIT_S = 240.0
LOOK_S = 0.2
PAINTED_S = 1.5  # what was heard is on the screen by then


async def _until(app: Cockpit, holds: Callable[[State], bool]) -> None:
    """Wait until the release is as wanted, and painted."""
    for _ in range(int(LIMIT_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        if app.story.state is not None and holds(app.story.state):
            await asyncio.sleep(PAINTED_S)
            return
    raise TimeoutError(f"the release did not come that far in {LIMIT_S:.0f} s")


def _save(app: Cockpit, name: str) -> None:
    app.save_screenshot(f"{name}.svg", str(IMAGES))


async def _drive(app: Cockpit, demo: Demo, press: Callable[..., Awaitable[None]]) -> None:
    """A release that goes to 25%, breaks there, rings, and is taken back by hand."""
    await _until(app, lambda state: bool(state.canary) and not state.open_items("pre"))
    await press("a")
    await _until(app, lambda state: state.stage == 0 and state.step.value == "gate")
    await press("a")
    await _until(app, lambda state: state.stage == 1 and state.baked_s > 12)
    _save(app, "cockpit")
    demo.sandbox.set_fault("errors", True)
    await _until(app, lambda state: bool(state.alerts) or state.phase is not Phase.STAGE)
    _save(app, "alert")
    await press("R")
    await asyncio.sleep(1)
    _save(app, "rollback")
    await press("y")
    await _until(app, lambda state: state.rollback is not None and state.rollback.recovered is not None)
    _save(app, "rolled-back")


async def _take() -> None:
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        client = EngineClient(folder=Path(folder), who="ana")
        demo = await asyncio.to_thread(begin_demo, client)
        app = Cockpit(client, demo.release, demo=demo)
        try:
            async with app.run_test(size=SIZE) as pilot:
                await _drive(app, demo, pilot.press)
        finally:
            await asyncio.to_thread(demo.end)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    asyncio.run(_take())
