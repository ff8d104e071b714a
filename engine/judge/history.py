"""Stable's past against what the plan says of it: a baseline that is wrong makes every line wrong."""

from __future__ import annotations

from statistics import median

from engine.judge import words
from engine.judge.binomial import upper_tail
from engine.judge.lines import lines_of
from engine.judge.metric import Counts, Metric, Sample, show

FAR = 1.5  # rates that differ by this factor, beyond chance, are a disagreement
FAR_READING = 1.25  # the same for a quantile or a gauge
CHANCE = 1e-3
LEAST_S = 60.0  # a shorter past says nothing about what is usual
MOST_READINGS = 720  # an hour at 5 s


class History:
    """What one metric of stable showed before the first stage."""

    __slots__ = ("bad", "metric", "seconds", "total", "values")
    KEPT = ("bad", "seconds", "total", "values")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.total = self.bad = self.seconds = 0.0
        self.values: list[float] = []

    def look(self, sample: Sample) -> None:
        """One scrape of the past; what could not be read or trusted is left out."""
        stable = sample.stable
        if stable is None or sample.problem:
            return
        self.seconds += sample.seconds
        self.total += stable.total
        self.bad += stable.bad
        if stable.value is not None and self.metric.kind in ("latency", "gauge"):
            self.values = [*self.values, stable.value][-MOST_READINGS:]

    def seen(self) -> float | None:
        """Stable's usual value in the metric's own unit: rate, median quantile or median reading; None without data."""
        if self.metric.kind in ("latency", "gauge"):
            return median(self.values) if self.values else None
        if not self.total:
            return None
        return 1 - self.bad / self.total if self.metric.kind == "good" else self.bad / self.total

    def remark(self, phi: float) -> str:
        """`the plan says 0.1%, the last hour had 0.34%`, or empty when they agree or there is nothing to compare.

        A past that is itself past the line matters more: no canary can then be proven inside it.
        """
        if self.seconds < LEAST_S:
            return ""
        stated, seen = self.metric.baseline, self.seen()
        line = lines_of(self.metric).share
        if line is not None and self.total and upper_tail(self.bad / phi, self.total / phi, line) < CHANCE:
            past = words.observed(self.metric, self.counts())
            return f"{past} in the last {words.duration(self.seconds)}: stable itself is past its line"
        if stated is None or seen is None or not self._far(stated, seen, phi):
            return ""
        said, had = show(stated, self.metric.kind), show(seen, self.metric.kind)
        return f"{self.metric.name}: the plan says {said}, the last {words.duration(self.seconds)} had {had}"

    def _far(self, stated: float, seen: float, phi: float) -> bool:
        if self.metric.kind in ("latency", "gauge"):
            return seen > stated * FAR_READING or seen * FAR_READING < stated
        share = 1 - stated if self.metric.kind == "good" else stated
        if self.bad > FAR * share * self.total:
            return upper_tail(self.bad / phi, self.total / phi, share) < CHANCE
        # Fewer than stated: as unlikely as the stated number from what was seen.
        fewer = self.bad * FAR < share * self.total
        most = max(self.bad, 1.0) / self.total
        return fewer and upper_tail(share * self.total / phi, self.total / phi, most) < CHANCE

    def counts(self) -> Counts:
        """Stable's counts so far."""
        return Counts(self.total, self.bad, self.bad, self.seen())
