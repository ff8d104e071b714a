"""The cockpit on a stage of its own: a rehearsed release, a fake engine, a clock that stands."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tests.tui.fake_engine import FakeEngine
from tests.tui.rehearsal import Rehearsal
from tui.app import Cockpit
from tui.hooks import DemoHooks
from tui.watch import Left
from widgets.glyphs import UNICODE, Glyphs

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS"
PAINTS = 50  # that a screen may take until it stands as it should
CHARACTERS = {"space": " ", "question_mark": "?"}


class Clock:
    """Time as the test says."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@dataclass
class Stage:
    """A running cockpit and the strings it hangs on."""

    app: Cockpit
    pilot: Pilot[Left]
    engine: FakeEngine
    clock: Clock
    release: Rehearsal

    async def press(self, *keys: str) -> None:
        """Keys one after the other. (Textual's own `press` waits for an idle processor: seconds on a busy machine.)"""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(Key(name, CHARACTERS.get(key, key if len(key) == 1 else None)))
            await self.pilot.pause(0)
            await self.pilot.pause(0)
        await self.settle()

    async def settle(self) -> None:
        """Everything under way is heard, painted, and laid out: the screen stands still."""
        still = 0
        before = ""
        while still < 1:
            await self.pilot.pause(0)
            self.app.paint()
            await self.pilot.pause(0)
            shown = self.screen()
            still = still + 1 if shown == before else 0
            before = shown

    async def stands_as(self, name: str) -> None:
        """The screen comes to stand as it is stored: on a busy machine a part of it may be painted late."""
        for _ in range(PAINTS):
            if os.environ.get(UPDATE) or self.screen() + "\n" == stored(name):
                break
            await self.pilot.pause(0.02)
            await self.settle()
        assert_snapshot(name, self.screen())

    async def replay(self, done: int) -> None:
        """The engine says what the rehearsal did since its event number `done`."""
        self.engine.say(*self.release.events[done:])
        self.clock.at = self.release.at
        self.engine.beat(self.release.at)
        await self.settle()

    def screen(self) -> str:
        """What stands on the screen, without trailing blanks."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    def row(self, word: str) -> str:
        """The first row with `word` in it."""
        return next((row for row in self.screen().split("\n") if word in row), "")


@asynccontextmanager
async def staged(
    release: Rehearsal,
    *,
    size: tuple[int, int] = (80, 24),
    demo: DemoHooks | None = None,
    glyphs: Glyphs = UNICODE,
    engine: FakeEngine | None = None,
    themes_folder: Path | None = None,
    theme: str = "dark",
) -> AsyncIterator[Stage]:
    """The cockpit, attached to an engine that has said everything of `release`."""
    engine = engine or FakeEngine(history=list(release.events), beats_at=release.at)
    clock = Clock(release.at)
    app = Cockpit(engine, "checkout-7", demo=demo, glyphs=glyphs, now=clock, themes_folder=themes_folder, theme=theme)
    async with app.run_test(size=size) as pilot:
        stage = Stage(app, pilot, engine, clock, release)
        await stage.settle()
        yield stage


def stored(name: str) -> str:
    """A snapshot; empty when there is none."""
    path = SNAPSHOTS / f"{name}.txt"
    return path.read_text() if path.exists() else ""


def assert_snapshot(name: str, shown: str) -> None:
    """`shown` is what the stored text says; with UPDATE_SNAPSHOTS=1 it is stored instead."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get(UPDATE):
        path.write_text(shown + "\n")
    assert path.exists(), f"no snapshot {path.name}: look at the screen, then run with {UPDATE}=1"
    assert shown + "\n" == path.read_text(), f"{path.name} differs; if it should, run with {UPDATE}=1"
