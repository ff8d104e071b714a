"""A metric's thresholds as lines on its share of bad events, which is what every test of the judge speaks of."""

from __future__ import annotations

from dataclasses import dataclass

from engine.judge.metric import Counts, Metric


@dataclass(frozen=True, slots=True)
class Lines:
    """The tightest lines of an event metric.

    share: bad events allowed in all of canary's, a fraction; None without an absolute line.
    ratio: canary's share of bad events in multiples of stable's at the same time; None without such a line.
    kept:  share of stable's *success* that canary must keep (`good` metrics); None without such a line.
    """

    share: float | None = None
    ratio: float | None = None
    kept: float | None = None

    def against_stable(self, stable_share: float) -> float | None:
        """The highest allowed share of bad events when stable shows `stable_share`; None without a relative line."""
        if self.ratio is not None:
            return min(1.0, self.ratio * stable_share)
        return None if self.kept is None else 1 - self.kept * (1 - stable_share)


def lines_of(metric: Metric) -> Lines:
    """Lines of a metric of events (`bad`, `good`, `latency`); a gauge has none.

    "p95 <= 250 ms" is "at most 5% of requests are slower than 250 ms": a quantile's line is a share, counted at `cut`.
    """
    absolute = [line.limit for line in metric.thresholds if not line.relative]
    relative = [line.limit for line in metric.thresholds if line.relative]
    if metric.kind == "bad":
        return Lines(share=min(absolute, default=None), ratio=min(relative, default=None))
    if metric.kind == "good":
        return Lines(share=1 - max(absolute) if absolute else None, kept=max(relative, default=None))
    if metric.kind == "latency" and metric.cut is not None:
        return Lines(share=1 - (metric.quantile or 0.0))
    return Lines()


def past_line(metric: Metric, canary: float, stable: float | None) -> bool:
    """Is a gauge's reading past any of its lines? A relative line needs stable's reading."""
    for line in metric.thresholds:
        if line.relative and stable is None:
            continue
        limit = line.limit * (stable or 0.0) if line.relative else line.limit
        if canary > limit if line.above else canary < limit:
            return True
    return False


def unusable(counts: Counts, *, gauge: bool) -> str:
    """Why these counts can't be what a source saw; empty when they can."""
    if gauge:
        return "" if counts.value is None or abs(counts.value) < float("inf") else "a reading that is no number"
    for number in (counts.total, counts.bad, counts.bad_low):
        if not 0 <= number < float("inf"):
            return "a count that is negative or no number"
    if counts.bad > counts.total or counts.bad_low > counts.total:
        return "more bad events than events"
    return ""
