"""Text from outside, made safe to show: no control characters, no escape codes, no tricks with direction or width."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

LONGEST = 2000  # characters looked at; nothing on a screen needs more
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MORE = "…"  # stands for what was cut
STACKED = 2  # combining marks kept on one letter; more would grow over the lines above


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """`text` on one line: white space becomes a blank, a control character a replacement sign.

    Format characters (direction overrides, zero-width ones) and surplus combining marks vanish.
    """
    if text.isascii() and text.isprintable():
        return text[:LONGEST]
    kept: list[str] = []
    stacked = 0
    for char in text[:LONGEST]:
        category = unicodedata.category(char)
        stacked = stacked + 1 if category in ("Mn", "Me") else 0
        if char in "\t\n\r" or category in ("Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category in ("Cc", "Cs", "Co", "Cn"):
            kept.append(REPLACEMENT)
        elif category != "Cf" and stacked <= STACKED:
            kept.append(char)
    return "".join(kept)


def width_of(text: str) -> int:
    """Cells that `text` takes on the screen."""
    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with `…` at its end. `right` aligns numbers."""
    text = plain(text)
    taken = cell_len(text)
    if taken > width:
        return set_cell_size(text, max(0, width - 1)) + MORE[:width]
    blanks = " " * (width - taken)
    return blanks + text if right else text + blanks


def brief(text: str, width: int) -> str:
    """`text` in at most `width` cells."""
    return fit(text, width).rstrip()


def wrap(text: str, width: int, rows: int) -> list[str]:
    """`text` in at most `rows` lines of `width` cells, broken at blanks where it can be."""
    words, lines = plain(text).split(), [""]
    for word in _bounded(words, width):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    if len(lines) > rows:
        lines = [*lines[: rows - 1], fit(" ".join(lines[rows - 1 :]), width)]
    return lines


def _bounded(words: list[str], width: int) -> list[str]:
    """The words, those wider than a line cut into pieces."""
    pieces = []
    for word in words:
        rest = word
        while cell_len(rest) > width > 0:
            head = set_cell_size(rest, width).rstrip() or rest[0]  # a wide character in a single cell
            pieces.append(head)
            rest = rest[len(head) :]
        pieces.append(rest)
    return pieces
