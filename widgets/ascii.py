"""For terminals without Unicode: whatever else would reach the screen is made of ASCII too."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LOOKALIKES = str.maketrans("…→·─│━┃▌▐█▎▊", "~>--|-||||||")


class AsciiOnly(LineFilter):
    """The last look at every line: what is not ASCII becomes a lookalike or question marks, as wide as it was."""

    def apply(self, segments: list[Segment], _background: Color) -> list[Segment]:
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]


@lru_cache(maxsize=4096)
def ascii_of(text: str) -> str:
    """`text` in ASCII, in the same number of cells."""
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "?" * cell_len(char) for char in text.translate(_LOOKALIKES))
