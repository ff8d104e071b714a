"""The three lists of a release: marks, words, and who or what ticked each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.message import Message

from widgets.lines import Line, Pane, cut, line, spread
from widgets.plain import fit

Mark = Literal["open", "done", "waived", "n/a"]
TITLES = {"pre": "BEFORE", "during": "DURING", "post": "AFTER"}


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item; `who` settled it, `by` says so with the evidence; both are empty while it is open."""

    id: str
    list: str
    text: str
    mark: Mark
    who: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class ChecklistRows:
    """All items in order; `chosen` is an index among them, `current` the list that matters now."""

    rows: tuple[ItemRow, ...]
    chosen: int = 0
    current: str = "pre"


class Checklist(Pane[ChecklistRows], can_focus=True):
    """A head with counts; the items around the chosen one; its evidence when there is room."""

    class Chosen(Message):
        """Another item was chosen; `step` is -1 or 1."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def draw_value(self, value: ChecklistRows, width: int, height: int) -> list[Line]:
        lines = [self._head(value, width)]
        if height < 2 or not value.rows:
            return lines
        room = height - 1
        evidence = self._evidence(value, width) if room >= 4 else []
        room -= len(evidence)
        titled = self._titled(value, width) if room >= len(value.rows) + 3 else None
        if titled is not None:
            return [*lines, *titled, *evidence]
        first = max(0, min(value.chosen - room // 2, len(value.rows) - room))
        shown = list(enumerate(value.rows))[first : first + room]
        return [*lines, *(self._item(row, width, chosen=n == value.chosen) for n, row in shown), *evidence]

    def _head(self, value: ChecklistRows, width: int) -> Line:
        counts = []
        for name, title in TITLES.items():
            rows = [row for row in value.rows if row.list == name]
            settled = sum(row.mark != "open" for row in rows)
            role = "bold" if name == value.current else "dim"
            counts.append((f"  {title.lower()} {settled}/{len(rows)}", role))
        return cut(line((" CHECKLIST", "title"), *counts), width)

    def _titled(self, value: ChecklistRows, width: int) -> list[Line]:
        lines: list[Line] = []
        last = ""
        for number, row in enumerate(value.rows):
            if row.list != last:
                lines.append(line((f" {TITLES.get(row.list, row.list)}", "dim")))
                last = row.list
            lines.append(self._item(row, width, chosen=number == value.chosen))
        return lines

    def _item(self, row: ItemRow, width: int, *, chosen: bool) -> Line:
        glyphs = self.glyphs
        sign, role = {
            "done": (glyphs.done, "good"),
            "waived": (glyphs.waived, "warn"),
            "n/a": (glyphs.nothing, "dim"),
        }.get(row.mark, (glyphs.open, "bold"))
        waived = "waived: " if row.mark == "waived" else ""
        pointer = glyphs.pointer if chosen else " "
        name = "chosen" if chosen and self.has_focus else "bold" if chosen else "dim" if row.mark == "n/a" else ""
        left = line((f"{pointer} ", "key"), (f"{sign} ", role), (f"{waived}{row.text}", name))
        return spread(left, line((f" {fit(row.who, 12).rstrip()} " if row.who and width >= 60 else " ", "dim")), width)

    def _evidence(self, value: ChecklistRows, width: int) -> list[Line]:
        row = value.rows[value.chosen]
        said = row.by or "open: t ticks it, w waives it with a reason"
        return [line((fit(f"   {row.id}: {said}", width - 1), "mark"))]

    def on_focus(self) -> None:
        """The chosen item stands out while keys go to it."""
        self.redraw()

    def on_blur(self) -> None:
        """Keys go elsewhere."""
        self.redraw()

    def key_down(self) -> None:
        self.post_message(self.Chosen(1))

    def key_up(self) -> None:
        self.post_message(self.Chosen(-1))

    key_j, key_k = key_down, key_up
