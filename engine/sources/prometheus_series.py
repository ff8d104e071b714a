"""What to ask Prometheus for a metric, and what the series it answers mean. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.plan.selector import Matcher, Selector, Subject
from engine.sources.native_histogram import cumulative
from engine.sources.reading import BUCKET, HISTOGRAM, Query, Side

Point = tuple[float, float | Mapping[str, Any]]  # seconds since the epoch; a number, or a native histogram
ROUNDING = 0.5  # of an interval: scrapes further apart than one and a half are not the same one

_BUCKET_LABEL = "le"


@dataclass(frozen=True, slots=True)
class Ask:
    """One vector selector and what it is for: the same selector of several metrics is asked once."""

    metric: str
    side: Side
    role: str
    selector: str
    line: float


@dataclass(frozen=True, slots=True)
class Read:
    """One series under the name that differences know it by, its points in the order of time."""

    address: str
    name: str
    labels: Mapping[str, str]
    points: Sequence[Point]

    def at(self, time: float, oldest: float) -> float | Mapping[str, Any] | None:
        """The newest point up to `time`, unless it is not younger than `oldest`."""
        after = bisect_right(self.points, time, key=lambda point: point[0])
        if not after or self.points[after - 1][0] <= oldest:
            return None
        return self.points[after - 1][1]


def asks(queries: Iterable[Query], subjects: Mapping[Side, Subject]) -> Iterator[Ask]:
    """What to ask for these metrics; nothing for a side of which nothing that the selector names is known."""
    for query in queries:
        for side, subject in subjects.items():
            for role, selector in query.asked_in(Selector).items():
                if subject.known and not selector.lacks(subject):
                    yield Ask(query.metric.name, side, role, _written(selector, role, subject), query.line)


def read_series(labels: Mapping[str, str], points: Sequence[Point]) -> Read:
    """Job and instance say where a series comes from, as they do for Prometheus itself; a recorded series has none."""
    where = f"{labels.get('job', '')}/{labels.get('instance', '')}"
    rest = ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in ("__name__", _BUCKET_LABEL))
    return Read(re.sub(r"[\s|]", "_", where), f"{labels.get('__name__', '')}{{{rest}}}", labels, points)


def scrape_times(series: Iterable[Sequence[Read]], interval: float) -> dict[str, float]:
    """Address -> the time of its newest scrape that all of these answers have, each answer being one question's series.

    The answers are computed one after the other, so a scrape may have come in between: its errors without its requests
    would be no rate. An answer whose series ended at an address earlier does not hold the others back.
    """
    times: dict[str, list[set[float]]] = {}
    for answer in series:
        here: dict[str, set[float]] = {}
        for one in answer:
            here.setdefault(one.address, set()).update(at for at, _ in one.points)
        for address, found in here.items():
            if found:
                times.setdefault(address, []).append(found)
    return {address: _together(found, interval) for address, found in times.items()}


def _together(times: Sequence[set[float]], interval: float) -> float:
    newest = max(map(max, times))
    earliest = newest - (1 + ROUNDING) * interval
    common = set.intersection(*(one for one in times if max(one) > earliest))
    return max((one for one in common if one > earliest), default=newest)


def values_of(
    ask: Ask, series: Iterable[Read], at: Mapping[str, float], keep: float
) -> Iterator[tuple[str, str, float]]:
    """(role, name of the series, value) at the time that `at` gives for its address, its point younger than `keep`
    seconds. Raises ValueError, KeyError or TypeError for a histogram that can't be read.

    Of an instance that tells a histogram both ways the classic buckets count, whose bounds somebody chose.
    """
    seen = [(one, one.at(at[one.address], at[one.address] - keep)) for one in series if one.address in at]
    classic = {one.address for one, value in seen if isinstance(value, float) and _BUCKET_LABEL in one.labels}
    for one, value in seen:
        name = f"{one.address} {one.name}"
        if isinstance(value, float):
            if ask.role != HISTOGRAM:
                yield ask.role, name, value
            elif _BUCKET_LABEL in one.labels:
                yield BUCKET + str(float(one.labels[_BUCKET_LABEL])), name, value
        elif value is not None and ask.role != HISTOGRAM:
            raise ValueError(f"a histogram where a number is expected: {one.labels.get('__name__', '')}")
        elif value is not None and one.address not in classic:
            for bound, events in cumulative(value, ask.line).items():
                yield BUCKET + str(bound), name, events


def _written(selector: Selector, role: str, subject: Subject) -> str:
    """The selector for one side; a histogram's asks for its classic buckets and for the native form at once."""
    matchers = tuple(matcher.of(subject) for matcher in selector.matchers)
    if role != HISTOGRAM:
        return str(Selector(selector.name, matchers))
    return str(Selector("", (Matcher("__name__", "=~", f"{selector.name}(_bucket)?"), *matchers)))
