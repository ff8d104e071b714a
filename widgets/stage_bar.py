"""The stages of a release side by side: what is done, what bakes now and for how long, what comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from widgets.lines import Line, Pane, cut, line, line_width
from widgets.plain import fit

Place = Literal["done", "now", "next", "ahead", "undone"]
NARROWEST = 12  # cells that a stage needs to be read


@dataclass(frozen=True, slots=True)
class StageCell:
    """One stage: its weight in percent, where it stands, a word for it, and how far its bake is (0..1)."""

    weight: int
    place: Place
    word: str
    progress: float = 0.0


class StageBar(Pane[tuple[StageCell, ...]]):
    """Two rows: signs and words above, progress below. With too many stages, those around the present one."""

    DEFAULT_CSS = "StageBar { height: 2; }"

    def draw_value(self, value: tuple[StageCell, ...], width: int, _height: int) -> list[Line]:
        shown = _around_now(value, max(1, (width - 2) // NARROWEST))
        if not shown:
            return []
        each = (width - 2) // len(shown)
        words, bars = [(" ", "")], [(" ", "")]
        for cell in shown:
            words += self._words(cell, each)
            bars += self._bar(cell, each)
        return [cut(tuple(words), width), cut(tuple(bars), width)]

    def _words(self, cell: StageCell, width: int) -> Line:
        glyphs = self.glyphs
        sign = {"done": glyphs.done, "now": glyphs.now, "undone": glyphs.back}.get(cell.place, glyphs.ahead)
        role = {"done": "good", "now": "bold", "next": ""}.get(cell.place, "dim")
        name = line((f"{sign} {cell.weight}%", role), (f" {cell.word}" if cell.word else "", role))
        taken = line_width(name)
        return (*name, (" " * (width - taken), "")) if taken < width else (*cut(name, width - 1), (" ", ""))

    def _bar(self, cell: StageCell, width: int) -> Line:
        length = max(1, width - 1)
        share = 1.0 if cell.place == "done" else min(1.0, max(0.0, cell.progress))
        filled = int(share * length)
        role = "good" if cell.place == "done" else "canary"
        return line((self.glyphs.full * filled, role), (self.glyphs.empty * (length - filled), "dim"), " ")


def _around_now(cells: tuple[StageCell, ...], room: int) -> tuple[StageCell, ...]:
    """As many stages as there is room for, the present one among them."""
    if len(cells) <= room:
        return cells
    now = next((number for number, cell in enumerate(cells) if cell.place == "now"), 0)
    first = min(max(0, now - room // 2), len(cells) - room)
    return cells[first : first + room]


def weight_list(weights: tuple[float, ...], arrow: str, width: int) -> str:
    """The weights that were in effect, in order: `5% -> 25%`."""
    return fit(f" {arrow} ".join(f"{weight:g}%" for weight in weights), width).rstrip()
