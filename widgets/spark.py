"""A sparkline on a fixed scale: zero is the best value, one is the threshold line.

Textual's own scales to its data, so a calm metric looks as wild as a failing one; this one never does.
In one row the line is the row's upper edge, and what is past it a sign of its own. In two rows the line is the border
between them, and the upper row shows how far past. Gaps (None, NaN, infinities) are drawn as gaps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from widgets.glyphs import Glyphs
from widgets.lines import Line, Span

Shares = Sequence[float | None]


def spark(values: Shares, width: int, rows: int, glyphs: Glyphs, mark: float | None = None) -> list[Line]:
    """The newest `width - 1` of `values` in `rows` (1 or 2) lines, upper first; `mark` is the baseline, at the left."""
    cells = max(0, width - 1)
    newest = list(values)[-cells:] if cells else []
    padded = [*(None for _ in range(cells - len(newest))), *newest]
    lower = _merge([_mark(mark, glyphs), *(_cell(value, glyphs, past=rows == 1) for value in padded)])
    if rows == 1:
        return [lower]
    return [_merge([(glyphs.line, "mark"), *(_over(value, glyphs) for value in padded)]), lower]


def _usable(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else max(0.0, value)


def _level(share: float, glyphs: Glyphs) -> str:
    return glyphs.levels[min(len(glyphs.levels) - 1, int(min(share, 1.0) * len(glyphs.levels)))]


def _mark(baseline: float | None, glyphs: Glyphs) -> Span:
    share = _usable(baseline)
    return (glyphs.edge, "mark") if share is None else (_level(share, glyphs), "mark")


def _cell(value: float | None, glyphs: Glyphs, *, past: bool) -> Span:
    share = _usable(value)
    if share is None:
        return " ", ""
    if share > 1:
        return (glyphs.past if past else glyphs.levels[-1]), "bad"
    return _level(share, glyphs), "canary"


def _over(value: float | None, glyphs: Glyphs) -> Span:
    share = _usable(value)
    if share is None or share <= 1:
        return glyphs.line, "dim"
    return _level(min(share - 1, 0.999), glyphs), "bad"


def _merge(cells: list[Span]) -> Line:
    """Neighbours of one role become one span: few style runs are few bytes."""
    runs: list[Span] = []
    for text, role in cells:
        if runs and runs[-1][1] == role:
            runs[-1] = (runs[-1][0] + text, role)
        else:
            runs.append((text, role))
    return tuple(runs)
