"""Stable's past out of a source that keeps one: stretches spread evenly over a long time.

A day of scrapes is more than a backtest can replay and more than a server likes to be asked for, while the last hours
alone are one time of one day. So stretches, each long enough for a release, are taken from all of the time asked for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil

from engine.assembly import queries_of, rules_of
from engine.judge.backtest import Scrape
from engine.past.recorded import MOST_SCRAPES, Recorded, RecordsError, shown
from engine.plan.model import Plan
from engine.plan.selector import Subject
from engine.plan.units import show_duration
from engine.secrets import Secrets
from engine.sources import Source
from engine.sources.making import clocked, source_of
from engine.sources.reading import Differences, Query, Reading

MOST_STRETCHES = 8
PROBE_SCRAPES = 10


@dataclass(slots=True)
class _Clock:
    """A source's own clock, set back: it then answers as it would have at that time."""

    at: float

    def now(self) -> float:
        return self.at


async def from_source(
    plan: Plan, secrets: Secrets, *, stable: Subject, since_s: float, stretch_s: float, limit_s: float
) -> Recorded | None:
    """What the plan's source keeps of `stable` in the last `since_s`, in stretches of `stretch_s`, read for no longer
    than about `limit_s`; None when it keeps nothing. Raises RecordsError, SecretMissingError.
    """
    clock = _Clock(time.time())
    source = source_of(plan, secrets, clock.now)
    try:
        reader = _Reader(plan, source, stable, clock)
        found = await reader.read(since_s, stretch_s, limit_s, most=MOST_STRETCHES if clocked(plan) else 1)
    finally:
        await source.close()
    if not found.scrapes and not found.problems:
        return None
    if not found.scrapes:
        raise RecordsError(f"the {plan.source.kind} source can't be read: {secrets.hide(found.problems[0])}")
    reach = show_duration(round(found.reach))
    origin = f"{plan.source.kind}: {stable.version} in {found.stretches} of the last {reach}"
    judged = [metric for metric in plan.judge_metrics() if metric.judged]
    remarks = [f"a stretch of the past can't be read: {secrets.hide(problem)}" for problem in found.problems]
    return shown(judged, found.scrapes, origin, remarks)


@dataclass(slots=True)
class _Found:
    """Scrapes oldest first, what could not be read, and how far back it went (seconds)."""

    scrapes: list[Scrape]
    problems: list[str]
    reach: float
    number: int = 0

    @property
    def stretches(self) -> str:
        return "one stretch" if self.number == 1 else f"{self.number} stretches"


class _Reader:
    """Reads stretches of one version's past."""

    def __init__(self, plan: Plan, source: Source, stable: Subject, clock: _Clock) -> None:
        self._source, self._stable, self._clock, self._now = source, stable, clock, clock.at
        self._queries: tuple[Query, ...] = tuple(one for one in queries_of(plan) if one.metric.judged)
        self._step = rules_of(plan).interval_s

    async def read(self, since_s: float, stretch_s: float, limit_s: float, *, most: int) -> _Found:
        """The newest stretch first, for reading may end early; then from the oldest on."""
        until = time.monotonic() + limit_s
        reach = await self._reach(since_s, stretch_s) if most > 1 else min(since_s, stretch_s)
        room = max(1, int(reach / stretch_s))
        number = max(1, min(room, most, int(MOST_SCRAPES * self._step / stretch_s)))
        length = min(stretch_s, reach) if number < room else reach / number  # what there is room for is read whole
        apart = (reach - length) / max(1, number - 1)
        read: dict[int, list[Reading]] = {}
        for back in [0, *range(number - 1, 0, -1)]:
            if read and time.monotonic() > until:
                break
            read[back] = await self._stretch(back * apart, length)
        problems = [one.problem for readings in read.values() for one in readings if one.problem]
        parts = [part for back in sorted(read, reverse=True) if (part := self._scrapes(read[back]))]
        scrapes = [scrape for part in parts for scrape in part]
        return _Found(scrapes, list(dict.fromkeys(problems)), reach, len(parts))

    async def _reach(self, since_s: float, stretch_s: float) -> float:
        """How far back there is anything: asked for, or half of it, or half of that."""
        reach = since_s
        while reach > stretch_s and not any(one.values for one in await self._probe(reach)):
            reach /= 2
        return reach

    async def _probe(self, reach: float) -> list[Reading]:
        length = PROBE_SCRAPES * self._step
        return await self._stretch(reach - length, length)

    async def _stretch(self, back: float, length: float) -> list[Reading]:
        """The readings of `length` seconds that ended `back` seconds ago."""
        self._clock.at = self._now - back
        seconds = ceil(length / self._step) * self._step
        return await self._source.past(self._queries, stable=self._stable, seconds=seconds, step=self._step)

    def _scrapes(self, readings: list[Reading]) -> list[Scrape]:
        """Differences inside one stretch; between two of them lie hours that nobody read."""
        differences = Differences(self._queries)
        samples = (differences.since_last(reading) for reading in readings if not reading.problem)
        return [scrape for scrape in samples if scrape]
