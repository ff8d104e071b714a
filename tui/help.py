"""The help page, made from the command table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.commands import Command
from tui.dialogs import Dialog, Words
from widgets.glyphs import Glyphs
from widgets.lines import Line, Lines, cut, line
from widgets.plain import fit


class HelpRows(Lines):
    """A key, what it does, and why it would not act now."""

    def __init__(self, rows: tuple[tuple[Command, str], ...]) -> None:
        super().__init__()
        self._rows = rows

    def get_content_height(self, _container: object, _viewport: object, _width: int) -> int:
        return len(self._rows)

    def draw(self, width: int, _height: int) -> list[Line]:
        return [self._row(command, why, width) for command, why in self._rows]

    def _row(self, command: Command, why: str, width: int) -> Line:
        said = line((f" {fit(command.key, 3)}", "dim" if why else "key"), command.help)
        return cut((*said, *line((f"  now: {why}" if why else "", "dim"))), width)


class HelpPage(Dialog[None]):
    """All commands; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space", "leave", "Close", show=False),
    ]

    def __init__(self, rows: tuple[tuple[Command, str], ...], *, glyphs: Glyphs) -> None:
        super().__init__(glyphs=glyphs)
        self._rows = rows

    def compose(self) -> ComposeResult:
        with Container(id="box"):
            yield Words("laneshift: the keys", role="title")
            yield HelpRows(self._rows)
            yield Words("tab goes round; ctrl+p finds a command by name; q closes this page", role="dim", rows=1)

    def action_leave(self) -> None:
        self.dismiss(None)
