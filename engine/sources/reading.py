"""Raw counters of both sides at one time, and the differences between two such readings. Pure: no I/O, no clock.

`rate()` and its like extrapolate, so every source delivers counters as they stand, per instance, and the differences
are taken here. A counter that fell was reset: what it shows now is the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.judge.metric import Counts, Metric, Sample
from engine.selector import Selector

Side = Literal["stable", "canary"]
SIDES: tuple[Side, Side] = ("stable", "canary")
TOTAL, PART, GAUGE, BUCKET = "total", "part", "gauge", "le:"


@dataclass(frozen=True, slots=True)
class Query:
    """What to read for one metric: `total` and `part` (the bad or the good events), or `histogram`, or `gauge`.

    `line` is the latency in seconds beyond which a request counts as slow.
    """

    metric: Metric
    total: Selector | None = None
    part: Selector | None = None
    histogram: Selector | None = None
    gauge: Selector | None = None
    line: float = math.inf


@dataclass(frozen=True, slots=True)
class Reading:
    """All series at one time.

    values:  (metric, side, role) -> series -> value. The role is `total`, `part`, `gauge`, or `le:BOUND` for the bucket
             of a histogram up to BOUND seconds. A series is named by instance and labels, so that differences are taken
             per instance.
    problem: why nothing, or only a part, could be read; empty when all went well.
    doubts:  metric -> why its values must not be trusted (a warning from the source).
    """

    at: float
    values: Mapping[tuple[str, Side, str], Mapping[str, float]]
    problem: str = ""
    doubts: Mapping[str, str] = field(default_factory=dict)


Raw = dict[str, dict[str, float]]  # "metric side role" -> series -> value; a metric's name has no space in it


class Differences:
    """Keeps the last raw counters per metric and turns each new reading into samples."""

    def __init__(self, queries: tuple[Query, ...], raw: Mapping[str, Any] | None = None) -> None:
        """`raw` is an earlier `state()`, so that an engine's restart loses no count."""
        self._queries = queries
        self._raw: Raw = dict(raw["values"]) if raw else {}
        self._at: dict[str, float] = dict(raw["at"]) if raw else {}

    def state(self) -> dict[str, Any]:
        """The raw counters, as JSON values."""
        return {"values": self._raw, "at": self._at}

    def since_last(self, reading: Reading) -> tuple[Sample, ...]:
        """One sample per metric that was read before; its `seconds` reach back to the reading before.

        Metrics that can't be read on one side keep their counters, so the next sample covers the gap on both sides.
        """
        samples = []
        for query in self._queries:
            sample = self._sample(query, reading)
            if sample is not None:
                samples.append(sample)
        return tuple(samples)

    def _sample(self, query: Query, reading: Reading) -> Sample | None:
        name = query.metric.name
        found = {key: dict(series) for key, series in reading.values.items() if key[0] == name}
        last_at = self._at.get(name)
        seconds = reading.at - last_at if last_at is not None else 0.0
        doubt = reading.doubts.get(name, "") or _not_finite(found)
        if doubt:
            return Sample(name, seconds, None, None, doubt)
        if not found or reading.problem:
            return Sample(name, seconds, None, None, reading.problem and f"partly read: {reading.problem}")
        if query.gauge is not None:
            self._at[name] = reading.at
            return Sample(name, seconds, *(_gauge(query.metric, found.get((name, side, GAUGE), {})) for side in SIDES))
        stable, canary = (self._counts(query, side, found) for side in SIDES)
        self._remember(found)
        self._at[name] = reading.at
        return Sample(name, seconds, stable, canary) if last_at is not None else None

    def _remember(self, found: Mapping[tuple[str, Side, str], Mapping[str, float]]) -> None:
        # An instance that is gone for a scrape keeps its last counters: when it is back, only the growth counts.
        for key, series in found.items():
            self._raw[" ".join(key)] = {**self._raw.get(" ".join(key), {}), **series}

    def _counts(self, query: Query, side: Side, found: Mapping[tuple[str, Side, str], Mapping[str, float]]) -> Counts:
        name = query.metric.name
        if query.histogram is not None:
            buckets = {
                float(role.removeprefix(BUCKET)): self._growth((name, side, role), series)
                for (_, one, role), series in found.items()
                if one == side and role.startswith(BUCKET)
            }
            return latency_counts(buckets, query.metric.quantile or 0.5, query.line)
        total = self._growth((name, side, TOTAL), found.get((name, side, TOTAL), {}))
        part = min(total, self._growth((name, side, PART), found.get((name, side, PART), {})))
        bad = part if query.metric.kind == "bad" else total - part
        return Counts(total, bad, bad, part / total if total else None)

    def _growth(self, key: tuple[str, Side, str], series: Mapping[str, float]) -> float:
        before = self._raw.get(" ".join(key), {})
        return sum(_grown(before.get(name, 0.0), value) for name, value in series.items())


def _grown(before: float, now: float) -> float:
    return now - before if now >= before else now


def _not_finite(found: Mapping[tuple[str, Side, str], Mapping[str, float]]) -> str:
    for (_, side, role), series in found.items():
        for name, value in series.items():
            if not math.isfinite(value):
                return f"{value} for {side}'s {role} in {name}"
    return ""


def _gauge(metric: Metric, series: Mapping[str, float]) -> Counts | None:
    """The worst instance's reading; past the line once or not."""
    if not series:
        return None
    lines = [line for line in metric.thresholds if not line.relative]
    above = not lines or lines[0].above
    value = max(series.values()) if above else min(series.values())
    past = any(value > line.limit if line.above else value < line.limit for line in lines)
    return Counts(1, float(past), float(past), value)


def latency_counts(buckets: Mapping[float, float], quantile: float, line: float) -> Counts:
    """Requests slower than `line` (seconds) out of a histogram's new requests, by cumulative bucket bound.

    `bad` takes the bound at or above the line, `bad_low` the one at or below it (0 when there is none: all are slow).
    """
    total = buckets.get(math.inf, 0.0)
    bounds = sorted(buckets)
    upper = next((bound for bound in bounds if bound >= line), math.inf)
    lower = next((bound for bound in reversed(bounds) if bound <= line), None)
    bad = total - buckets.get(upper, 0.0)
    bad_low = total - (buckets[lower] if lower is not None else 0.0)
    return Counts(total, max(0.0, bad), max(0.0, bad_low), quantile_of(buckets, quantile))


def quantile_of(buckets: Mapping[float, float], quantile: float) -> float | None:
    """A quantile in seconds out of cumulative buckets, linear inside a bucket as Prometheus' histogram_quantile does;
    None without requests, the highest finite bound when the quantile lies beyond it."""
    total = buckets.get(math.inf, 0.0)
    if total <= 0:
        return None
    wanted = quantile * total
    for lower, bound, below, count in _bands(buckets):
        if count >= wanted:
            if math.isinf(bound):
                return lower
            inside = count - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0)
    return None


def _bands(buckets: Mapping[float, float]) -> Iterator[tuple[float, float, float, float]]:
    """(lower bound, upper bound, requests below, requests up to the upper bound) of each bucket in order."""
    lower, below = 0.0, 0.0
    for bound in sorted(buckets):
        yield lower, bound, below, buckets[bound]
        lower, below = bound, buckets[bound]
