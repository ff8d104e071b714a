"""The commands by name (ctrl+p), made from the command table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.commands import Command

if TYPE_CHECKING:
    from tui.app import Cockpit


class CockpitCommands(Provider):
    """Every command of the table."""

    async def discover(self) -> Hits:
        for command, text in self._offered():
            yield DiscoveryHit(Content(text), partial(self._run, command), help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, text in self._offered():
            score = matcher.match(f"{text} {command.help}")
            if score > 0:
                yield Hit(score, Content(text), partial(self._run, command), help=command.help)

    def _offered(self) -> list[tuple[Command, str]]:
        return [(command, f"{command.label} ({command.key})") for command in self._cockpit.commands]

    async def _run(self, command: Command) -> None:
        await self._cockpit.run_action(command.name)

    @property
    def _cockpit(self) -> Cockpit:
        return cast("Cockpit", self.app)
