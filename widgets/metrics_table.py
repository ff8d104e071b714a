"""The metrics: numbers of both sides, the line, a trend on a fixed scale, the verdict in a word, and why."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from widgets.lines import Line, Pane, cut, line
from widgets.plain import fit, wrap
from widgets.spark import spark

COLUMNS = (("name", 17), ("canary", 9), ("stable", 9), ("line", 9))
VERDICT = 15


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric. `shares` are its readings on the way from the best value (0) to its line (1), oldest first; `why`
    stands beneath the reason where there is room."""

    name: str
    canary: str
    stable: str
    limit: str
    shares: tuple[float | None, ...]
    mark: float | None
    sign: str
    word: str
    tone: str
    reason: str
    alert: bool = False
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricTable:
    """All rows; `chosen` is the index of the one whose reason is shown."""

    rows: tuple[MetricRow, ...]
    chosen: int = 0
    tall: bool = False
    reason_rows: int = 1


class MetricsTable(Pane[MetricTable], can_focus=True):
    """A head, a row (or two) for each metric, and the chosen one's reason beneath."""

    class Chosen(Message):
        """Another metric was chosen; `step` is -1 or 1."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def draw_value(self, value: MetricTable, width: int, height: int) -> list[Line]:
        trend = max(4, width - 2 - sum(size for _, size in COLUMNS) - 2 - VERDICT)
        each = 2 if value.tall else 1
        room = max(1, (height - 1 - value.reason_rows) // each)
        first = max(0, min(value.chosen - room // 2, len(value.rows) - room))
        lines = [self._head(trend, hidden=len(value.rows) - room)]
        for number, row in list(enumerate(value.rows))[first : first + room]:
            lines += self._row(row, trend, each, chosen=number == value.chosen)
        lines += self._reason(value, width)
        return [*lines, *self._why(value, width)[: max(0, height - len(lines))]]

    def _head(self, trend: int, hidden: int) -> Line:
        heads = [fit("METRIC" if hidden <= 0 else f"METRIC (+{hidden})", COLUMNS[0][1])]
        heads += [fit(name.upper(), size - 1, right=True) + " " for name, size in COLUMNS[1:]]
        return line(("  " + "".join(heads) + " " + fit("TREND, TOP = LINE", trend) + " VERDICT", "title"))

    def _row(self, row: MetricRow, trend: int, each: int, *, chosen: bool) -> list[Line]:
        drawn = spark(row.shares, trend, each, self.glyphs, row.mark)
        pointer = self.glyphs.pointer if chosen else " "
        numbers = [(row.canary, "bold"), (row.stable, ""), (row.limit, "dim")]
        spans = [(f"{pointer} ", "key"), (fit(row.name, COLUMNS[0][1]), self._name_role(chosen=chosen))]
        for (text, role), (_, size) in zip(numbers, COLUMNS[1:], strict=True):
            spans.append((fit(text, size - 1, right=True) + " ", role))
        alert = (f"{self.glyphs.alert} ALERT", "caution") if row.alert and row.tone != "bad" else None
        verdict = alert or (f"{row.sign} {row.word}", row.tone)
        low = (*line(*spans, " "), *drawn[-1], *line(" ", (fit(verdict[0], VERDICT).rstrip(), verdict[1])))
        if each == 1:
            return [low]
        blank = 2 + sum(size for _, size in COLUMNS) + 1
        return [(*line(" " * blank), *drawn[0]), low]

    def _name_role(self, *, chosen: bool) -> str:
        return "chosen" if chosen and self.has_focus else "bold" if chosen else ""

    def _reason(self, value: MetricTable, width: int) -> list[Line]:
        if not value.rows:
            return [line((" no metrics yet", "dim"))]
        row = value.rows[value.chosen]
        said = wrap(row.reason or "nothing said yet", width - 3, value.reason_rows)
        return [cut(line((f"  {text}", "" if number else "mark")), width) for number, text in enumerate(said)]

    def _why(self, value: MetricTable, width: int) -> list[Line]:
        """The numbers behind the reason, a row each."""
        rows = value.rows[value.chosen].why if value.rows else ()
        return [cut(line((f"    {wrap(text, width - 5, 1)[0]}", "dim")), width) for text in rows]

    def on_focus(self) -> None:
        """The chosen row stands out while keys go to it."""
        self.redraw()

    def on_blur(self) -> None:
        """Keys go elsewhere."""
        self.redraw()

    def key_down(self) -> None:
        self.post_message(self.Chosen(1))

    def key_up(self) -> None:
        self.post_message(self.Chosen(-1))

    key_j, key_k = key_down, key_up
