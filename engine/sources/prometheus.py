"""Reads metrics out of Prometheus, or of what serves its HTTP API.

Each selector is asked for its raw samples over the last intervals (`selector[window]` as an instant query), all at the
same explicit time, rather than for its value now:

- An instant vector repeats a sample for up to five minutes without saying how old it is. Here each sample has its time:
  what is older than three intervals is missing, and an instance without a new scrape since the last look has said
  nothing new, which is not the same as having served nothing.
- A value of each series at one scrape: the newest that all answers have in common, per instance. Bad events and all
  events of one rate are never from two scrapes.
- `rate` and `increase` extrapolate; raw counters do not.

Each instance has its own rhythm, and is read at its own newest scrape; `Reading.at` is when the questions were asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.finding import Finding
from engine.plan.selector import Subject
from engine.plan.units import show_duration
from engine.sources import Source
from engine.sources.config import PrometheusConfig
from engine.sources.http_client import HttpError, Renewed
from engine.sources.prometheus_api import Answer, PrometheusApi
from engine.sources.prometheus_examine import Examination
from engine.sources.prometheus_rhythm import Rhythms
from engine.sources.prometheus_series import Ask, Read, asks, read_series, scrape_times, values_of
from engine.sources.prometheus_targets import Targets, Values, down, first_sight, question_of
from engine.sources.reading import Query, Reading, Side, unnamed

STALE_INTERVALS = 3  # a sample older than this many is missing
STEPS = 1000  # points of each series in one answer about the past; a server refuses 11,000
MOST_SAID = 3  # different reasons in one sentence


@dataclass(slots=True)
class _Found:
    """What all questions of one reading brought: series by selector, selectors that failed, and doubts by metric."""

    series: dict[str, list[Read]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why nothing could be read; empty when something was."""
        if self.series:
            return ""
        return "; ".join(list(dict.fromkeys(self.failed.values()))[:MOST_SAID])

    def doubt(self, metric: str, why: str) -> None:
        """The first reason is the one that is said."""
        self.doubts.setdefault(metric, why)


class PrometheusSource(Source):
    """Asks all selectors at once, a few at a time, within the plan's time limit."""

    Config = PrometheusConfig

    def __init__(
        self, config: PrometheusConfig, *, now: Callable[[], float] = time.time, renewed: Renewed | None = None
    ) -> None:
        self._interval = config.interval
        self._window = f"[{math.ceil(STALE_INTERVALS * config.interval * 1000)}ms]"
        self._now = now
        self._api = PrometheusApi(config, renewed)
        self._rhythms = Rhythms(config.interval)
        self._seen: dict[str, Read] = {}  # a series of each address, for its labels

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """The newest scrape of every instance that has one since the last call; a metric that can't be read whole has a
        doubt."""
        await self._api.renew()
        at = self._now()
        subjects: dict[Side, Subject] = {"stable": stable, "canary": canary}
        asked = list(asks(queries, subjects))
        found = await _found(asked, lambda selector: self._api.window(selector + self._window, at))
        found.doubts |= unnamed(queries, subjects)
        if found.problem:
            return Reading(at, {}, found.problem)
        scraped = scrape_times(found.series.values(), self._interval)
        strange = self._rhythms.strange(scraped)
        new = self._rhythms.news(scraped)
        quiet = {address: last for address, last in self._rhythms.quiet(at).items() if address not in new}
        up = await self._up(found, {*strange, *quiet}, at)
        for ask in asked:
            self._doubt_rare_scrapes(ask.metric, found, found.series.get(ask.selector, ()))
        for gone in self._rhythms.forget(at):
            self._seen.pop(gone, None)
        return Reading(
            at,
            _values(asked, found, new, self._interval),
            doubts=found.doubts,
            lost=down(quiet, up),
            places=frozenset(new),
            began=_began(asked, found, strange, up),
        )

    async def past(self, queries: tuple[Query, ...], *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        """Stable's counters as they stood at each `step` of the last `seconds`, oldest first.

        Steps at which nothing is known are left out; what could not be read says so in a reading of its own.
        """
        asked = list(asks(queries, {"stable": stable}))
        unknown = unnamed(queries, {"stable": stable})
        end = self._now()
        readings: list[Reading] = []
        for first in range(-math.floor(seconds / step), 1, STEPS):
            numbers = range(first, min(first + STEPS, 1))
            readings += await self._steps(asked, [end + number * step for number in numbers], step, unknown)
        return readings

    async def examine(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> list[Finding]:
        """The server, its clock, each metric with the age of its scrapes, and an alert rule for each."""
        await self._api.renew()
        subjects: dict[Side, Subject] = {"stable": stable, "canary": canary}
        return await Examination(self._api, self._interval, self._now).findings(queries, subjects)

    async def close(self) -> None:
        """Let go of connections."""
        await self._api.close()

    async def _up(self, found: _Found, addresses: set[str], at: float) -> Targets:
        """The series `up` of these addresses: what is seen for the first time, and what is silent."""
        for all_ in found.series.values():
            self._seen |= {one.address: one for one in all_}
        question = question_of(self._seen.values(), addresses)
        if not question:
            return {}
        try:
            answer = await self._api.window(question + self._window, at)
        except HttpError:
            return {}  # the same server has just answered the rest: what it says next time is early enough
        up: dict[str, list[Read]] = {}
        for written in answer.series:
            read = read_series(written.labels, written.points)
            up.setdefault(read.address, []).append(read)
        return up

    def _doubt_rare_scrapes(self, metric: str, found: _Found, series: Sequence[Read]) -> None:
        self._rhythms.listen(series)
        rare = next(filter(None, (self._rhythms.too_slow(one.address) for one in series)), None)
        if rare is not None:
            apart, asked = show_duration(round(rare, 1)), show_duration(self._interval)
            found.doubt(
                metric, f"Prometheus scrapes it every {apart}, the plan looks every {asked}: raise the interval"
            )

    async def _steps(
        self, asked: Sequence[Ask], times: Sequence[float], step: float, unknown: Mapping[str, str]
    ) -> list[Reading]:
        """The readings at some steps of the past."""
        found = await _found(
            asked,
            lambda one: self._api.steps(f"last_over_time({one}{self._window})", times[0], times[-1], step),
        )
        if found.problem:
            return [Reading(times[-1], {}, found.problem)]
        found.doubts |= unknown
        addresses = {one.address for series in found.series.values() for one in series}
        readings = []
        for at in times:
            # The server's times are whole milliseconds: what it says of a step stands within half a step of it.
            values = _values(asked, found, dict.fromkeys(addresses, at + step / 2), step)
            if values or found.doubts:
                readings.append(Reading(at, values, doubts=dict(found.doubts)))
        return readings


def _began(asked: Iterable[Ask], found: _Found, strange: set[str], up: Targets) -> Values:
    try:
        return first_sight(asked, found.series, strange, up)
    except (ValueError, KeyError, TypeError):
        return {}  # a histogram that can't be read, which is a doubt already


async def _found(asked: Iterable[Ask], question: Callable[[str], Awaitable[Answer]]) -> _Found:
    """Each selector asked once, all at the same time."""
    found = _Found()

    async def ask(selector: str) -> Answer | str:
        try:
            return await question(selector)
        except HttpError as error:
            return str(error)

    metrics: dict[str, list[str]] = {}
    for one in asked:
        metrics.setdefault(one.selector, []).append(one.metric)
    for selector, answer in zip(metrics, await asyncio.gather(*map(ask, metrics)), strict=True):
        if isinstance(answer, str):
            found.failed[selector] = answer
        else:
            found.series[selector] = [read_series(one.labels, one.points) for one in answer.series]
        why = answer if isinstance(answer, str) else answer.warning and f"Prometheus warns: {answer.warning}"
        for metric in metrics[selector] if why else ():
            found.doubt(metric, why)
    return found


def _values(asked: Iterable[Ask], found: _Found, at: Mapping[str, float], keep: float) -> Values:
    """What each question brought, at the time that `at` gives for an address and not older than `keep` seconds."""
    values: Values = {}
    for ask in asked:
        try:
            for role, name, value in values_of(ask, found.series.get(ask.selector, ()), at, keep):
                values.setdefault((ask.metric, ask.side, role), {})[name] = value
        except (ValueError, KeyError, TypeError) as error:
            found.doubt(ask.metric, f"Prometheus answers a histogram that can't be read: {error}")
    return values
