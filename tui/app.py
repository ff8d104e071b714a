"""The cockpit, whole: orders, help, the demo's faults, and how one leaves. `run_cockpit` opens it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

import themes
from engine import client as engines
from engine.client import EngineGone, EngineRefused, ensure_engine
from tui.commands import COMMANDS, Command, commands
from tui.dialogs import Answer, Choose
from tui.feed import EngineClient
from tui.help import HelpPage
from tui.hooks import DemoHooks, Fault
from tui.ordering import Ordering
from tui.palette import CockpitCommands
from tui.terminal import glyphs_for, require_fit
from tui.watch import Left
from widgets.glyphs import UNICODE, Glyphs


def _bindings() -> list[BindingType]:
    """From the table. The way back works over every dialog; only an input keeps its letters, and F9 is for there."""
    made: list[BindingType] = [
        Binding(
            ",".join(command.keys),
            command.name,
            command.label,
            id=command.name,
            tooltip=command.help,
            show=False,
            priority=command.name == "rollback",
        )
        for command in COMMANDS
    ]
    return [
        *made,
        Binding("f9", "hurry", "roll back", id="hurry", show=False, priority=True),
        Binding("ctrl+c", "how_to_leave", "leave", id="how_to_leave", show=False),
    ]


class Cockpit(Ordering, inherit_bindings=False):
    """One release on one persistent screen, and the keys of the command table. `demo` adds its faults and its end."""

    COMMANDS: ClassVar = {CockpitCommands}
    BINDINGS: ClassVar[list[BindingType]] = _bindings()

    def __init__(
        self,
        client: EngineClient,
        release: str,
        *,
        theme: str = themes.DEFAULT,
        themes_folder: Path | None = None,
        demo: DemoHooks | None = None,
        revive: Callable[[], Awaitable[None]] | None = None,
        glyphs: Glyphs = UNICODE,
        now: Callable[[], float] = time.time,
    ) -> None:
        is_demo = demo is not None
        super().__init__(
            client, release, theme=theme, themes_folder=themes_folder, demo=is_demo, glyphs=glyphs, now=now
        )
        self.demo = demo
        self.desk.revive = revive
        self.commands: tuple[Command, ...] = commands(demo=is_demo)
        if demo is not None:
            self.desk.say(demo.about, "dim")

    def action_help(self) -> None:
        """Every command, and why it would not act now."""
        scene = self.scene()
        rows = tuple((c, scene.obstacle(c, self.painted)) for c in self.commands)
        self.push_screen(HelpPage(rows, glyphs=self.glyphs))

    # --- the demo

    def action_break_canary(self) -> None:
        if self.demo is not None:
            self.run_worker(self._offer_faults(self.demo), name="break the canary", exit_on_error=False)

    async def _offer_faults(self, demo: DemoHooks) -> None:
        try:
            faults = await demo.faults()
        except OSError as error:
            self.say(f"the sandbox does not answer: {error}", "bad")
            return
        choices = tuple((name, f"{'ON ' if f.on else 'off'} {name}: {f.help}") for name, f in faults.items())
        question = Choose("Break the canary", choices, glyphs=self.glyphs)
        self.push_screen(question, lambda name: self._switch(demo, faults, name))

    def _switch(self, demo: DemoHooks, faults: Mapping[str, Fault], name: str | None) -> None:
        if name:
            switching = self._switch_fault(demo, name, on=not faults[name].on)
            self.run_worker(switching, name="break the canary", exit_on_error=False)

    async def _switch_fault(self, demo: DemoHooks, name: str, *, on: bool) -> None:
        try:
            await demo.set_fault(name, on)
        except OSError as error:
            self.say(f"the sandbox does not answer: {error}", "bad")
        else:
            self.say(f"fault {name} is {'on: watch the metrics' if on else 'off'}", "warn" if on else "")

    # --- leaving

    def action_how_to_leave(self) -> None:
        self.say("q leaves; the release goes on without this screen", "")

    def action_detach(self) -> None:
        """Leave; in a demo ask what becomes of the sandbox."""
        if self.demo is None:
            self._leave(stopped=False)
            return
        text = "The release goes on as long as the sandbox and its engine run."
        answers = (Answer("s", "stop", "stop the sandbox"), Answer("k", "keep", "keep it running"))
        self._confirm("Leave the demo?", text, answers, self._leave_demo)

    def _leave_demo(self, given: str) -> None:
        if given == "stop" and self.demo is not None:
            self.say("stopping the sandbox", "")
            self.run_worker(self._stop(self.demo), name="stop the sandbox", exit_on_error=False)
        else:
            self._leave(stopped=False)

    async def _stop(self, demo: DemoHooks) -> None:
        try:
            await demo.stop()
        except (OSError, EngineGone, EngineRefused) as error:
            self.say(f"the sandbox could not be stopped: {error}", "bad")
        else:
            self._leave(stopped=True)

    def _leave(self, *, stopped: bool) -> None:
        self.exit(Left(self.story.state.phase if self.story.state is not None else None, stopped))


def run_cockpit(
    client: engines.EngineClient, release: str, *, theme: str = themes.DEFAULT, demo: DemoHooks | None = None
) -> Left:
    """Open the cockpit on this terminal and stay until it is left.

    Raises `tui.terminal.TerminalUnfit`, before anything is drawn, where no full screen is possible.
    """
    require_fit(os.environ, interactive=sys.stdin.isatty() and sys.stderr.isatty(), release=release)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    cockpit = Cockpit(
        client,
        release,
        theme=theme,
        themes_folder=home / "laneshift" / "themes",
        demo=demo,
        revive=lambda: asyncio.to_thread(ensure_engine, client),
        glyphs=glyphs_for(os.environ),
    )
    return cockpit.run(mouse=False) or Left(None)
