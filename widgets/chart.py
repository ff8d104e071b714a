"""The chart of one metric: canary, stable, threshold and baseline over time. The only file that knows plotext.

plotext 6 keeps one global figure: it is cleared at each draw. It is imported at the first draw (a tenth of a second),
since most screens have no room for a chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from widgets.glyphs import ASCII
from widgets.lines import Line, Pane, line


@dataclass(frozen=True, slots=True)
class ChartData:
    """Two series over `seconds` (0 is the newest look), None for gaps; values in the unit the title names."""

    title: str
    seconds: tuple[float, ...]
    canary: tuple[float | None, ...]
    stable: tuple[float | None, ...]
    line: float | None
    baseline: float | None
    from_zero: bool = True


class Chart(Pane[ChartData]):
    """A chart as large as the widget."""

    def draw_value(self, value: ChartData, width: int, height: int) -> list[Line]:
        head = line((f" {value.title}", "title"), ("   canary", "canary"), ("   stable", "stable"), *_legend(value))
        if height < 6 or width < 30:
            return [head]
        drawn = plot(value, width, height - 1, ascii_only=self.glyphs == ASCII)
        return [head, *drawn]


def _legend(value: ChartData) -> list[tuple[str, str]]:
    marks = []
    if value.line is not None:
        marks.append((f"   line {value.line:g}", "bad"))
    if value.baseline is not None:
        marks.append((f"   baseline {value.baseline:g}", "dim"))
    return marks


def plot(value: ChartData, width: int, height: int, *, ascii_only: bool) -> list[Line]:
    """The plot itself, `height` lines of `width` cells."""
    import plotext  # type: ignore[import-untyped]  # it has no type hints

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.canvas("default")
    figure.plot_size(width, height)
    figure.legend(False)
    figure.ruler("y").lim(*_limits(value))
    oldest = min(value.seconds, default=-1.0) - 1
    figure.ruler("x").lim(oldest, 0).ticks(*_ticks(oldest))
    for name, position in (("baseline", value.baseline), ("line", value.line)):
        if position is not None:
            figure.line(position, relative=True, pixel=COLOURS[name])
    for name, series in (("stable", value.stable), ("canary", value.canary)):
        marker = plotext.marker(name[0] if ascii_only else "braille", COLOURS[name])
        for part in _runs(value.seconds, series):
            signal = figure.signal([x for x, _ in part], [y for _, y in part], marker=marker)
            figure.draw(signal.lines(True))
    drawn = figure.build().string().rstrip("\n")
    text = Text.from_ansi(drawn.translate(_FRAME) if ascii_only else drawn)
    return [_line(row) for row in text.split("\n")][:height]


# plotext knows colours by number; each of these stands for a role, and is read back as that role.
COLOURS = {"stable": 12, "canary": 11, "line": 9, "baseline": 8}
_ROLES = {12: "stable", 11: "canary", 9: "bad", 8: "mark"}
_FRAME = str.maketrans("┌┐└┘┬┴├┤┼─│", "+++++++++-|")


def _limits(value: ChartData) -> tuple[float, float]:
    """A scale that does not follow the data until they leave it: a bit beyond line and baseline."""
    seen = [v for v in (*value.canary, *value.stable) if v is not None and math.isfinite(v)]
    marks = [v for v in (value.line, value.baseline) if v is not None]
    high = max([*marks, *seen], default=1.0)
    low = 0.0 if value.from_zero else min([*marks, *seen], default=0.0)
    margin = max((high - low) * 0.1, 1e-9)
    return (low if value.from_zero else low - margin), high + margin


def _ticks(oldest: float) -> tuple[list[float], list[str]]:
    """Five marks of time; the newest is now."""
    positions = [oldest * part / 4 for part in (4, 3, 2, 1, 0)]
    return positions, [f"{position:.0f} s" if position else "now" for position in positions]


def _runs(seconds: Sequence[float], series: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """The series without its gaps: one list of points for each stretch between two."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(seconds, series, strict=True):
        if y is None or not math.isfinite(y):
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _line(row: Text) -> Line:
    """One row with plotext's colours as roles."""
    spans: list[tuple[str, str]] = []
    at = 0
    for start, end, style in row.spans:
        colour = style.color.number if isinstance(style, Style) and style.color is not None else None
        spans += [(row.plain[at:start], ""), (row.plain[start:end], _ROLES.get(colour or 0, ""))]
        at = end
    return line(*spans, row.plain[at:])
