"""The rows of the metrics table, and the chart of one metric. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.judge.explain import explain
from engine.judge.metric import Counts, Metric, Outcome, Threshold, Verdict, show
from engine.plan.units import show_threshold
from engine.state import FORWARD, State
from tui.story import Reading, Story
from widgets.chart import ChartData
from widgets.glyphs import Glyphs
from widgets.metrics_table import MetricRow, MetricTable

LIVENESS = "liveness"


def metric_table(story: Story, state: State, glyphs: Glyphs, chosen: int) -> MetricTable:
    """One row for each metric of the plan, and one on whether the canary is there at all; `chosen` may be past them."""
    metrics = state.rules.metrics
    rows = [_row(metric, story, state, glyphs) for metric in metrics]
    alive = state.verdicts.get(LIVENESS)
    if alive is not None:
        rows.append(_liveness(alive, state, glyphs))
    chosen = min(chosen, max(0, len(rows) - 1))
    if chosen < len(metrics):
        rows[chosen] = replace(rows[chosen], why=_why(metrics[chosen], state))
    return MetricTable(tuple(rows), chosen)


def _why(metric: Metric, state: State) -> tuple[str, ...]:
    """The numbers behind the verdict; its reason stands above them."""
    verdict = state.verdicts.get(metric.name)
    return explain(metric, verdict)[1:] if verdict is not None and metric.judged else ()


def _row(metric: Metric, story: Story, state: State, glyphs: Glyphs) -> MetricRow:
    readings = story.readings.get(metric.name, ())
    scale = Scale(metric, readings)
    newest = readings[-1] if readings else Reading(0.0, None, None)
    sign, word, tone = _verdict(metric, state, glyphs)
    verdict = state.verdicts.get(metric.name)
    return MetricRow(
        name=metric.name,
        canary=show(_shown(metric, verdict.canary if verdict else Counts(), newest.canary), metric.kind),
        stable=show(_shown(metric, verdict.stable if verdict else Counts(), newest.stable), metric.kind),
        limit=_limit(metric),
        shares=tuple(scale.share(reading.canary) for reading in readings),
        mark=scale.share(metric.baseline),
        sign=sign,
        word=word,
        tone=tone,
        reason=_reason(metric, state),
        alert=metric.name in state.alerts and state.phase in FORWARD,
    )


def _shown(metric: Metric, counts: Counts, newest: float | None) -> float | None:
    """What a side shows: a share over the whole stage, as the judge counts it (of one look it is mostly 0% or noise);
    quantiles and readings as they were last."""
    if metric.kind not in ("bad", "good") or not counts.total:
        return newest
    bad = counts.bad / counts.total
    return bad if metric.kind == "bad" else 1 - bad


class Scale:
    """A metric's fixed scale: 0 is its best value, 1 its line (the tightest; a relative one at the plan's baseline)."""

    def __init__(self, metric: Metric, readings: Iterable[Reading]) -> None:
        self.line = line_value(metric)
        below = bool(metric.thresholds) and not metric.thresholds[0].above
        self.best = 0.0
        if self.line is not None:
            if below:
                self.best = 1.0 if metric.kind == "good" else metric.limit or 2 * self.line
            self._top = self.line
        else:
            self._top = _top_without_line(metric, readings)

    def share(self, value: float | None) -> float | None:
        """How far `value` is on the way from the best value to the line; never past it where there is no line."""
        if value is None or self._top == self.best:
            return None
        share = (value - self.best) / (self._top - self.best)
        return share if self.line is not None else min(share, 1.0)


def tightest(metric: Metric) -> tuple[Threshold, float] | None:
    """The line that is crossed first, and where it is; a relative one counts from the plan's baseline."""
    usual = metric.baseline or 0.0
    placed = [
        (line, line.limit * usual if line.relative else line.limit)
        for line in metric.thresholds
        if usual or not line.relative
    ]
    if not placed:
        return None
    pick = min if placed[0][0].above else max
    return pick(placed, key=lambda pair: pair[1])


def line_value(metric: Metric) -> float | None:
    """Where the tightest line is, in the metric's unit."""
    found = tightest(metric)
    return None if found is None else found[1]


def _top_without_line(metric: Metric, readings: Iterable[Reading]) -> float:
    """The upper end without a line: the metric's limit, twice its baseline, or a round number above all seen."""
    if metric.limit or metric.baseline:
        return metric.limit or 2 * (metric.baseline or 0.0)
    highest = max((value for r in readings for value in (r.canary, r.stable) if value is not None), default=1.0)
    top = 1e-6
    while top < highest:
        top *= 10
    return next((top * part for part in (0.2, 0.5) if top * part >= highest), top)


def _limit(metric: Metric) -> str:
    found = tightest(metric)
    line = found[0] if found is not None else next(iter(metric.thresholds), None)
    return "-" if line is None else show_threshold(line, metric.kind).removesuffix(" baseline")


def _verdict(metric: Metric, state: State, glyphs: Glyphs) -> tuple[str, str, str]:
    if not metric.judged:
        return glyphs.nothing, "only shown", "dim"
    verdict = state.verdicts.get(metric.name)
    return (glyphs.nothing, "not judged", "dim") if verdict is None else outcome_words(verdict.outcome, glyphs)


def outcome_words(outcome: Outcome, glyphs: Glyphs) -> tuple[str, str, str]:
    """Sign, word and role of a class of verdict."""
    return {
        Outcome.PASS: (glyphs.done, "pass", "good"),
        Outcome.FAIL: (glyphs.failed, "FAIL", "bad"),
        Outcome.INCONCLUSIVE: (glyphs.ahead, "inconclusive", ""),
        Outcome.NO_DATA: (glyphs.nothing, "no data", "warn"),
        Outcome.ERROR: (glyphs.error, "error", "warn"),
    }[outcome]


def _reason(metric: Metric, state: State) -> str:
    verdict = state.verdicts.get(metric.name)
    said = verdict.reason if verdict is not None else f"{metric.name} has not been judged yet"
    if len(metric.thresholds) > 1:
        said += f" (lines: {', '.join(show_threshold(line, metric.kind) for line in metric.thresholds)})"
    return said if metric.judged else f"{said} (only shown, never decides)"


def _liveness(verdict: Verdict, state: State, glyphs: Glyphs) -> MetricRow:
    sign, word, tone = outcome_words(verdict.outcome, glyphs)
    return MetricRow(
        name=LIVENESS,
        canary=f"{state.requests:,.0f}",
        stable="-",
        limit="requests",
        shares=(),
        mark=None,
        sign=sign,
        word=word,
        tone=tone,
        reason=verdict.reason,
        alert=LIVENESS in state.alerts and state.phase in FORWARD,
    )


def chart_of(story: Story, state: State, chosen: int, at: float) -> ChartData | None:
    """The chosen metric as a chart; None when it has none."""
    if chosen >= len(state.rules.metrics):
        return None
    metric = state.rules.metrics[chosen]
    readings = story.readings.get(metric.name, ())
    newest = readings[-1].at if readings else at
    factor, unit = {"latency": (1000.0, "ms"), "gauge": (1.0, "")}.get(metric.kind, (100.0, "%"))
    line = line_value(metric)
    return ChartData(
        title=f"{metric.name}{f' ({unit})' if unit else ''}, seconds before the last look",
        seconds=tuple(reading.at - newest for reading in readings),
        canary=tuple(None if r.canary is None else r.canary * factor for r in readings),
        stable=tuple(None if r.stable is None else r.stable * factor for r in readings),
        line=None if line is None else line * factor,
        baseline=None if metric.baseline is None else metric.baseline * factor,
        from_zero=metric.kind != "good",
    )
