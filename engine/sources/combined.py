"""Several sources as one: each metric is read from its own, and one that fails makes only its own metrics doubtful."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.finding import Finding
from engine.plan.selector import Subject
from engine.plan.units import show_duration
from engine.sources import Source
from engine.sources.reading import GAUGE, Found, Query, Reading, from_source

log = logging.getLogger(__name__)

OLDEST = 2.0  # intervals of a source after which what it said last stands no more
ENOUGH = 0.5  # of the time between two looks: how long a look waits for a source beside the first one

Named = TypeVar("Named")


@dataclass(frozen=True, slots=True)
class Beside:
    """A source beside the plan's first one, and the seconds between two of its readings."""

    source: Source
    interval: float


class Combined(Source):
    """The plan's `source` and its `sources`, read side by side at each look.

    One whose interval is longer than the looks' is read more rarely, and in the background: between two of its readings
    its counters stand still, as they do.
    """

    def __init__(
        self,
        first: Source,
        beside: Mapping[str, Beside],
        *,
        interval: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`interval` is the time between two looks."""
        self._first = first
        self._beside = {name: _Reader(one, interval, now) for name, one in beside.items()}
        self._now = now

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All series of all sources; the problem of one is a doubt of its metrics, unless all have one."""
        asked = _by_source(queries)
        work = [
            self._beside[name].read(mine, canary=canary, stable=stable)
            if name
            else _safely(self._first.read(mine, canary=canary, stable=stable), self._now)
            for name, mine in asked.items()
        ]
        readings = dict(zip(asked, await asyncio.gather(*work), strict=True))
        return _together(self._now(), readings, asked)

    async def past(self, queries: tuple[Query, ...], *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        """What those keep that keep a past, step by step."""
        asked = _by_source(queries)
        pasts = await asyncio.gather(
            *(self._source(name).past(mine, stable=stable, seconds=seconds, step=step) for name, mine in asked.items())
        )
        newest = max((reading.at for past in pasts for reading in past), default=0.0)
        steps: dict[int, dict[str, Reading]] = {}
        for name, past in zip(asked, pasts, strict=True):
            for reading in past:  # their clocks are the same but for the moment at which they were asked
                steps.setdefault(round((reading.at - newest) / step), {})[name] = reading
        return [_together(newest + number * step, steps[number], asked) for number in sorted(steps)]

    async def examine(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> list[Finding]:
        """What each of them finds, under its name."""
        asked = _by_source(queries)
        work = (self._source(name).examine(mine, canary=canary, stable=stable) for name, mine in asked.items())
        found = zip(asked, await asyncio.gather(*work), strict=True)
        return [replace(one, what=f"{name}: {one.what}" if name else one.what) for name, all_ in found for one in all_]

    async def close(self) -> None:
        """Let go of connections."""
        await asyncio.gather(self._first.close(), *(one.close() for one in self._beside.values()))

    def _source(self, name: str) -> Source:
        return self._beside[name].source if name else self._first


class _Reader:
    """Reads one source at its own pace, and keeps what it said last for the looks between."""

    def __init__(self, beside: Beside, looks: float, now: Callable[[], float]) -> None:
        self.source = beside.source
        self._interval = beside.interval
        self._looks = looks
        self._now = now
        self._task: asyncio.Task[Reading] | None = None
        self._begun = self._said_at = 0.0
        self._said: Reading | None = None
        self._asked: tuple[object, ...] = ()

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """A new reading if one is due and comes soon, else the last one without its gauges: nobody read them now."""
        if self._asked != (queries, canary, stable):
            self._forget()
            self._asked = (queries, canary, stable)
        due = self._said is None or self._now() - self._begun >= self._interval - self._looks / 2
        if self._task is None and due:
            self._begun = self._now()
            work = _safely(self.source.read(queries, canary=canary, stable=stable), self._now)
            self._task = asyncio.create_task(work, name="a source beside the first")
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=ENOUGH * self._looks)
        if self._task is not None and self._task.done():
            self._said, self._said_at, self._task = self._task.result(), self._begun, None
            return self._said
        return self._again()

    async def close(self) -> None:
        """Let go of connections."""
        self._forget()
        await self.source.close()

    def _again(self) -> Reading:
        age = self._now() - (self._said_at if self._said else self._begun)
        if self._said is None:
            return Reading(self._now(), {}, f"it has not answered for {show_duration(round(age, 1))}")
        if age > OLDEST * max(self._interval, self._looks):
            return Reading(self._now(), {}, f"what it said last is {show_duration(round(age, 1))} old")
        return replace(self._said, values={key: one for key, one in self._said.values.items() if key[2] != GAUGE})

    def _forget(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = self._said = None


async def _safely(reading: Awaitable[Reading], now: Callable[[], float]) -> Reading:
    """A source of another package may raise: that must not take the others with it."""
    try:
        return await reading
    except Exception as error:
        log.exception("a source failed")
        return Reading(now(), {}, f"the source failed: {type(error).__name__}: {error}")


def _by_source(queries: Iterable[Query]) -> dict[str, tuple[Query, ...]]:
    """The queries of each source; the first one's name is empty."""
    found: dict[str, tuple[Query, ...]] = {}
    for query in queries:
        found[query.source] = (*found.get(query.source, ()), query)
    return found


def _together(at: float, readings: Mapping[str, Reading], asked: Mapping[str, tuple[Query, ...]]) -> Reading:
    """One reading of several; addresses and series carry the name of their source."""
    problems = {name: one.problem for name, one in readings.items() if one.problem}
    if len(problems) == len(readings):
        return Reading(at, {}, "; ".join(f"{name}: {said}" if name else said for name, said in problems.items()))
    whole = Reading(at, {})
    for name, one in readings.items():
        doubts = {query.metric.name: f"{name}: {one.problem}" if name else one.problem for query in asked[name]}
        whole = replace(
            whole,
            values={**whole.values, **{key: _named(name, series) for key, series in one.values.items()}},
            doubts={**whole.doubts, **(doubts if one.problem else one.doubts)},
            lost={**whole.lost, **_named(name, one.lost)},
            lasting=whole.lasting | one.lasting,
            places=(whole.places or frozenset()) | {from_source(name, place) for place in _places(one)},
            began={**whole.began, **{key: _named(name, series) for key, series in _began(one).items()}},
        )
    return whole


def _places(reading: Reading) -> frozenset[str]:
    """Where it was read; for a source that can't tell, wherever it shows something."""
    if reading.places is not None:
        return reading.places
    return frozenset(one.partition(" ")[0] for series in reading.values.values() for one in series)


def _began(reading: Reading) -> Found:
    """Of a source that can't tell, a series that appears began at nothing."""
    if reading.places is not None:
        return reading.began
    return {key: dict.fromkeys(series, 0.0) for key, series in reading.values.items()}


def _named(name: str, series: Mapping[str, Named]) -> dict[str, Named]:
    return {from_source(name, one): value for one, value in series.items()}
