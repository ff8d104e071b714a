"""Raw counters of both sides at one time, and the differences between two such readings. Pure: no I/O, no clock.

`rate()` and its like extrapolate, so every source delivers counters as they stand, per instance, and the differences
are taken here. A counter that fell was reset: what it shows now is the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from engine.judge.metric import Counts, Metric, Sample
from engine.plan.questions import Question
from engine.plan.selector import Selector, Subject

Side = Literal["stable", "canary"]
SIDES: tuple[Side, Side] = ("stable", "canary")
TOTAL, PART, GAUGE, BUCKET = "total", "part", "gauge", "le:"
HISTOGRAM = "histogram"
OF_SOURCE = "|"  # between a source's name and an address, where there are several sources; no address has one in it

Series = Mapping[str, float]
Found = Mapping[tuple[str, Side, str], Series]
Asked = TypeVar("Asked", bound=Question)
Raw = dict[str, dict[str, float]]  # "metric side role" -> series -> value; a metric's name has no space in it


@dataclass(frozen=True, slots=True)
class Query:
    """What to read for one metric: `total` and `part` (the bad or the good events), or `histogram`, or `gauge`.

    `line` is the latency in seconds beyond which a request counts as slow; `source` names one of the plan's `sources`.
    """

    metric: Metric
    total: Question | None = None
    part: Question | None = None
    histogram: Selector | None = None
    gauge: Question | None = None
    line: float = math.inf
    source: str = ""

    @property
    def questions(self) -> dict[str, Question]:
        """What is read for it, by role; a histogram's role is `histogram`."""
        all_roles = {TOTAL: self.total, PART: self.part, GAUGE: self.gauge, HISTOGRAM: self.histogram}
        return {role: question for role, question in all_roles.items() if question is not None}

    def asked_in(self, language: type[Asked]) -> dict[str, Asked]:
        """Those of its questions that a source of this language understands, by role."""
        return {role: question for role, question in self.questions.items() if isinstance(question, language)}


def unnamed(queries: Iterable[Query], subjects: Mapping[Side, Subject]) -> dict[str, str]:
    """Metric -> why one side of it can't be asked for: the router does not tell what its question names.

    A side of which nothing is known is not there yet, and no reason.
    """
    found: dict[str, str] = {}
    for query in queries:
        for side, subject in subjects.items():
            lacking = [word for question in query.questions.values() for word in question.lacks(subject)]
            if subject.known and lacking:
                said = f"{lacking[0]} of {side} is not known: the router does not tell it"
                found.setdefault(query.metric.name, said)
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """All series at one time.

    values:  (metric, side, role) -> series -> value. The role is `total`, `part`, `gauge`, or `le:BOUND` for the bucket
             of a histogram up to BOUND seconds. A series is named by the address it was read at, a space, and the rest
             of its labels (without `le`), so that differences are taken per instance.
    problem: why nothing could be read; empty when something was.
    doubts:  metric -> why its values must not be trusted (a warning from the source).
    lost:    address -> why it could not be read this time.
    lasting: metrics whose counters never begin anew (a database's): one that fell is a doubt, not a restart.
    places:  addresses that were read this time, whatever they showed; None when the source can't tell. A series that
             appears at an address that was read before began at 0 there. At a new address it counts from what `began`
             says, in the shape of `values`, else from what it shows now: what was counted unseen is no news.
    """

    at: float
    values: Found
    problem: str = ""
    doubts: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    lasting: frozenset[str] = frozenset()
    places: frozenset[str] | None = None
    began: Found = field(default_factory=dict)


class Differences:
    """Keeps the last raw counters per metric and turns each new reading into samples."""

    def __init__(self, queries: tuple[Query, ...], raw: Mapping[str, Any] | None = None) -> None:
        """`raw` is an earlier `state()`, so that an engine's restart loses no count."""
        self._queries = queries
        self._raw: Raw = {key: dict(series) for key, series in raw["values"].items()} if raw else {}
        self._at: dict[str, float] = dict(raw["at"]) if raw else {}
        self._places: set[str] = set(raw.get("places", ())) if raw else set()
        self._tried: dict[str, float] = {}

    def state(self) -> dict[str, Any]:
        """The raw counters as they are now, as JSON values; what is read later does not change them."""
        values = {key: dict(series) for key, series in self._raw.items()}
        return {"values": values, "at": dict(self._at), "places": sorted(self._places)}

    def since_last(self, reading: Reading) -> tuple[Sample, ...]:
        """One sample per metric that was read before.

        A side that can't be read, or only in part, keeps its counters: when it is back its sample covers the gap.
        `seconds` reach back to the last reading that showed something of the metric, or, when this one shows nothing,
        to the last attempt.
        """
        known = frozenset(self._places | self._addresses(""))
        samples = [self._sample(query, reading, known) for query in self._queries]
        self._places |= reading.places or set()
        return tuple(sample for sample in samples if sample is not None)

    def _sample(self, query: Query, reading: Reading, known: frozenset[str]) -> Sample | None:
        name = query.metric.name
        found = {key: series for key, series in reading.values.items() if key[0] == name and series}
        doubt = reading.doubts.get(name, "") or _no_count(found) or self._partly(query, found, reading.lost, known)
        if doubt or not found:
            return self._unread(name, reading.at, doubt or reading.problem)
        if name in reading.lasting and (fell := self._fell(found)):
            self._remember(found)  # what is counted from here on is news again
            return self._unread(name, reading.at, fell)
        last_at = self._at.get(name)
        stable, canary = (self._side(query, side, found, reading, known) for side in SIDES)
        self._remember(found)
        self._at[name] = self._tried[name] = reading.at
        if last_at is None and query.gauge is None:
            return None
        return Sample(name, reading.at - last_at if last_at is not None else 0.0, stable, canary)

    def _remember(self, found: Found) -> None:
        """An instance that is gone for a scrape keeps its last counters."""
        for key, series in found.items():
            self._raw.setdefault(" ".join(key), {}).update(series)

    def _fell(self, found: Found) -> str:
        """Which count of those that never fall did."""
        for (name, side, role), series in found.items():
            before = self._raw.get(f"{name} {side} {role}", {})
            for one, value in series.items() if role != GAUGE else ():
                if value < before.get(one, 0.0):
                    return f"{side}'s {role} fell from {before[one]:,.0f} to {value:,.0f}: count what is never removed"
        return ""

    def _unread(self, name: str, at: float, problem: str) -> Sample:
        tried = self._tried.get(name, self._at.get(name, at))
        self._tried[name] = at
        return Sample(name, at - tried, None, None, problem)

    def _partly(self, query: Query, found: Found, lost: Mapping[str, str], read: frozenset[str]) -> str:
        """Why one side's series are only a part of it; a side that shows nothing at all is not there, which is told
        apart."""
        name, source = query.metric.name, query.source
        ever = read | {_address(one) for series in found.values() for one in series}
        for side in SIDES:
            if not any(key[1] == side for key in found):
                continue
            known = self._addresses(f"{name} {side} ")
            for address, why in of_source(source, lost).items():
                if address in known or address not in ever:
                    return f"partly read: {why}"
        return ""

    def _addresses(self, prefix: str) -> set[str]:
        """Where the series that are remembered under keys with this prefix were read."""
        return {_address(one) for key, series in self._raw.items() if key.startswith(prefix) for one in series}

    def _side(self, query: Query, side: Side, found: Found, reading: Reading, known: frozenset[str]) -> Counts | None:
        """What one side showed; None when it is gone. Counters that never were there, where all could be read, are 0:
        many services show a counter only once it has counted."""
        prefix = f"{query.metric.name} {side} "
        mine = {role: series for (_, one, role), series in found.items() if one == side}
        if query.gauge is not None:
            return _gauge(query.metric, mine[GAUGE]) if mine else None
        if not mine:
            return Counts() if not reading.lost and not self._addresses(prefix) else None
        keys = [(query.metric.name, side, role) for role in (TOTAL, PART, *mine)]
        before = {key[2]: self._before(key, found.get(key, {}), reading, known) for key in keys}
        if query.histogram is not None:
            grown = _grown_buckets(before, mine)
            return latency_counts(grown, query.metric.quantile or 0.5, query.line)
        if TOTAL not in mine:
            return None
        total = _growth(before[TOTAL], mine[TOTAL])
        part = min(total, _growth(before[PART], mine.get(PART, {})))
        bad = part if query.metric.kind == "bad" else total - part
        return Counts(total, bad, bad, part / total if total else None)

    def _before(
        self, key: tuple[str, Side, str], now: Series, reading: Reading, known: frozenset[str]
    ) -> dict[str, float]:
        """What these series counted before; one that is not there began at nothing."""
        before = dict(self._raw.get(" ".join(key), {}))
        if reading.places is None:
            return before
        began = reading.began.get(key, {})
        for one, value in now.items():
            if one not in before and _address(one) not in known:
                before[one] = began.get(one, value)
        return before


def _grown_buckets(before: Mapping[str, Series], now: Mapping[str, Series]) -> dict[float, float]:
    """A histogram's new requests, by bound. An instance of which any bucket fell was restarted: all of its buckets
    count anew."""
    fell = {one for role, series in now.items() for one, value in series.items() if value < before[role].get(one, 0.0)}
    kept = {role: {one: value for one, value in before[role].items() if one not in fell} for role in now}
    return {float(role.removeprefix(BUCKET)): _growth(kept[role], series) for role, series in now.items()}


def from_source(name: str, series: str) -> str:
    """A series, or an address, of one source among several."""
    return f"{name}{OF_SOURCE}{series}"


def of_source(name: str, lost: Mapping[str, str]) -> dict[str, str]:
    """Those addresses that are of this source; all of them where there is but one source."""
    return {one: why for one, why in lost.items() if OF_SOURCE not in one or one.partition(OF_SOURCE)[0] == name}


def _address(series: str) -> str:
    return series.partition(" ")[0]


def _growth(before: Series, now: Series) -> float:
    return sum(_grown(before.get(one, 0.0), value) for one, value in now.items())


def _grown(before: float, now: float) -> float:
    return now - before if now >= before else now


def _no_count(found: Found) -> str:
    """Why a value is none that can be judged."""
    for (_, side, role), series in found.items():
        for name, value in series.items():
            if not math.isfinite(value) or (value < 0 and role != GAUGE):
                return f"{value} for {side}'s {role} in {name}"
    return ""


def _gauge(metric: Metric, series: Series) -> Counts:
    """The worst instance's reading; past the line once or not."""
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
