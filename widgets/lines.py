"""The one way that the cockpit draws: lines of styled spans, of which only what changed is painted again.

Textual repaints a dirty widget whole and never compares; a few small lines compared here keep a quiet screen silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import zip_longest
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.glyphs import UNICODE, Glyphs
from widgets.plain import fit, plain, width_of

Span = tuple[str, str]  # text and role, see `role_styles`
Line = tuple[Span, ...]


@lru_cache(maxsize=32)
def role_styles(colours: tuple[str, ...]) -> Mapping[str, Style]:
    """The style of each role in a theme's `COLOURS`. (Component classes would be matched again for every widget.)"""
    stable, title, canary, good, warn, bad, ground = (Color.parse(colour).rich_color for colour in colours)
    return {
        "": Style.null(),
        "dim": Style(dim=True),
        "bold": Style(bold=True),
        "title": Style(bold=True, color=title),
        "good": Style(color=good),
        "warn": Style(bold=True, color=warn),
        "bad": Style(bold=True, color=bad),
        "alarm": Style(bold=True, color=ground, bgcolor=bad),
        "caution": Style(bold=True, color=ground, bgcolor=warn),
        "stable": Style(color=stable),
        "canary": Style(color=canary),
        "mark": Style(color=title),
        "key": Style(bold=True, color=canary),
        "chosen": Style(bold=True, reverse=True),
    }


COLOURS = ("primary", "secondary", "accent", "success", "warning", "error", "background")


def line(*spans: Span | str) -> Line:
    """A line of spans; bare text has no role. All text is made plain, and empty spans are left out."""
    pairs = ((span, "") if isinstance(span, str) else span for span in spans)
    return tuple((plain(text), role) for text, role in pairs if text)


def line_width(spans: Line) -> int:
    """Cells that a line takes."""
    return sum(width_of(text) for text, _ in spans)


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the two ends of a line; `left` is cut when both do not fit."""
    room = width - line_width(right)
    if room <= 0:
        return cut(right, width)
    left = cut(left, room - 1)
    return (*left, (" " * (room - line_width(left)), ""), *right)


def cut(spans: Line, width: int) -> Line:
    """The line in at most `width` cells."""
    kept: list[Span] = []
    room = width
    for text, role in spans:
        taken = width_of(text)
        if taken > room:
            if room > 0:
                kept.append((fit(text, room), role))
            break
        kept.append((text, role))
        room -= taken
    return tuple(kept)


def text_of(lines: tuple[Line, ...]) -> str:
    """The lines as text, for tests and for copying."""
    return "\n".join("".join(text for text, _ in spans).rstrip() for spans in lines)


class Lines(Widget):
    """A widget made of lines. Subclasses say `draw(width, height)`; `redraw()` paints what differs."""

    DEFAULT_CSS = "Lines { width: 1fr; height: 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False)
        self.glyphs = glyphs
        self._drawn: tuple[Line, ...] = ()

    def draw(self, width: int, height: int) -> list[Line]:
        """The lines for this size; fewer than `height` leave the rest empty."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw anew and paint the cells that differ from what is on the screen."""
        if not self.is_mounted or not self.size.width:
            return
        drawn = tuple(self.draw(self.size.width, self.size.height)[: self.size.height])
        before, self._drawn = self._drawn, drawn
        for number, (old, new) in enumerate(zip_longest(before, drawn, fillvalue=())):
            if old != new:
                self.refresh(_changed(old, new, number, self.size.width))

    def on_resize(self) -> None:
        """Another size: all of it again."""
        self._drawn = ()
        self.redraw()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line as Textual wants it."""
        width, base = self.size.width, self.rich_style
        variables = self.app.theme_variables
        styles = role_styles(tuple(variables[name] for name in COLOURS))
        spans = self._drawn[y] if y < len(self._drawn) else ()
        return Strip([Segment(text, base + styles[role]) for text, role in spans]).adjust_cell_length(width, base)


def _changed(old: Line, new: Line, y: int, width: int) -> Region:
    """The cells of line `y` from the first differing span to the last, or to the end if the length changed."""
    first = 0
    for was, now in zip(old, new, strict=False):
        if was != now:
            break
        first += width_of(now[0])
    if line_width(old) != line_width(new):
        return Region(first, y, width - first, 1)
    last = line_width(new)
    for was, now in zip(reversed(old), reversed(new), strict=False):
        if was != now:
            break
        last -= width_of(now[0])
    return Region(first, y, max(1, last - first), 1)


Shown = TypeVar("Shown")


class Pane(Lines, Generic[Shown]):
    """Lines made of one value: `show` it anew as often as you like, what is equal costs nothing."""

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(glyphs=glyphs, id=id)
        self.value: Shown | None = None

    def show(self, value: Shown) -> None:
        """Take `value` and paint what differs."""
        if value != self.value:
            self.value = value
            self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        return [] if self.value is None else self.draw_value(self.value, width, height)

    def draw_value(self, value: Shown, width: int, height: int) -> list[Line]:
        """The lines of `value` for this size."""
        raise NotImplementedError
