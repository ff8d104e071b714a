"""What the doctor finds out about a Prometheus: everything that a release will ask of it, asked before."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from engine.finding import Finding, Grade
from engine.plan.selector import Selector, Subject
from engine.plan.units import show_duration
from engine.sources.http_client import HttpError
from engine.sources.prometheus_api import Answer, PrometheusApi
from engine.sources.prometheus_rhythm import ENOUGH
from engine.sources.prometheus_series import ROUNDING, Ask, asks, read_series, values_of
from engine.sources.reading import BUCKET, HISTOGRAM, PART, Query, Side, unnamed

LOOKED_BACK = 20  # intervals, of which something must be seen
NOTABLE_SKEW_S = 2.0

Window = Callable[[str, float], Awaitable[Answer]]


@dataclass(slots=True)
class _Seen:
    """What the answers for one metric showed: faults, notes, on which sides, and its scrapes."""

    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sides: set[Side] = field(default_factory=set)
    age: float = 0.0
    apart: float = 0.0


class Examination:
    """Asks one server; `interval` is the seconds between two looks of the plan."""

    def __init__(self, api: PrometheusApi, interval: float, now: Callable[[], float]) -> None:
        self._api = api
        self._interval = interval
        self._now = now

    async def findings(self, queries: Sequence[Query], subjects: Mapping[Side, Subject]) -> list[Finding]:
        """Everything; one line if the server can't be asked. Never raises."""
        try:
            clock = await self._clock()
        except HttpError as error:
            return [
                Finding("bad", "prometheus", str(error), "check the url and the credentials under source.prometheus")
            ]
        unknown = unnamed(queries, subjects)
        metrics = [await self._metric(query, subjects, unknown.get(query.metric.name, "")) for query in queries]
        return [await self._server(), clock, *metrics, *await self._alerts(queries)]

    async def _server(self) -> Finding:
        try:
            version = await self._api.version()
        except HttpError:
            version = ""  # Thanos and Mimir have other ways to tell
        return Finding("ok", "prometheus", f"answers, version {version}" if version else "answers")

    async def _clock(self) -> Finding:
        """Raises HttpError."""
        before = self._now()
        theirs = await self._api.clock()
        after = self._now()
        skew = max(before - theirs, theirs - after, 0.0)
        if skew < NOTABLE_SKEW_S:
            return Finding("ok", "prometheus clock", "the same as the engine's")
        grade: Grade = "bad" if skew > self._interval else "warn"
        said = f"{show_duration(round(skew))} apart from the engine's: the newest scrapes would not be seen"
        return Finding(grade, "prometheus clock", said, "set both clocks by NTP: timedatectl set-ntp true")

    async def _metric(self, query: Query, subjects: Mapping[Side, Subject], unknown: str) -> Finding:
        name, seen = f"metric {query.metric.name}", _Seen()
        if unknown:
            return Finding("bad", name, unknown, "name the side by another placeholder")
        for ask in asks([query], subjects):
            try:
                await self._answer(ask, seen)
            except HttpError as error:
                seen.bad.append((str(error), ""))
        if seen.bad:
            return Finding("bad", name, *seen.bad[0])
        said = "canary and stable" if "canary" in seen.sides else "stable; nothing of the canary yet"
        scraped = f"scraped every {show_duration(round(seen.apart))}, " if seen.apart >= 1 else ""
        whole = f"answers for {said}; {scraped}last {show_duration(round(seen.age))} ago"
        return Finding("warn" if seen.notes else "ok", name, "; ".join([*seen.notes, whole]))

    async def _answer(self, ask: Ask, seen: _Seen) -> None:
        """Raises HttpError."""
        at = self._now()
        answer = await self._api.window(f"{ask.selector}[{round(LOOKED_BACK * self._interval)}s]", at)
        if answer.warning:
            seen.bad.append((f"the server warns: {answer.warning}", ""))
        if not answer.series:
            _nothing(ask, seen)
            return
        seen.sides.add(ask.side)
        if ask.role == HISTOGRAM and not _has_buckets(ask, answer):
            seen.bad.append(
                (f"{ask.selector} is no histogram: it has no buckets", "name a histogram without its suffix")
            )
        self._scrapes(answer, at, seen)

    def _scrapes(self, answer: Answer, at: float, seen: _Seen) -> None:
        """How old the newest scrape is, and how far apart they are: the shortest of several distances, for a scrape
        that failed makes no rhythm."""
        newest = max(point[0] for one in answer.series for point in one.points)
        gaps = [after[0] - before[0] for one in answer.series for before, after in pairwise(one.points)]
        seen.age = max(seen.age, at - newest)
        seen.apart = max(seen.apart, min(gaps) if len(gaps) >= ENOUGH else 0.0)
        latest = (1 + ROUNDING) * self._interval
        looks = show_duration(self._interval)
        if seen.apart > latest:
            apart = show_duration(round(seen.apart))
            mend = f"interval: {apart}, or scrape more often"
            seen.bad.append((f"it is scraped every {apart}, and the plan looks every {looks}", mend))
        elif seen.age > latest + seen.apart:
            age = show_duration(round(seen.age))
            seen.bad.append((f"its newest scrape is {age} old", "see why the target is not scraped: its page /targets"))

    async def _alerts(self, queries: Iterable[Query]) -> list[Finding]:
        """An alert rule that watches each metric when no release does."""
        try:
            rules = await self._api.alerts()
        except HttpError as error:
            return [Finding("warn", "alert rules", f"can't be listed: {error}")]
        return [_alert(query, rules) for query in queries if query.metric.judged]


def _nothing(ask: Ask, seen: _Seen) -> None:
    """No series: of the canary it is early, of bad events it is luck, else the selector is wrong."""
    if ask.side == "canary":
        return
    if ask.role == PART:
        seen.notes.append(f"nothing matches {ask.selector}: right only if none of them ever happened")
    else:
        seen.bad.append((f"nothing of stable matches {ask.selector}", "check the selector in the server's own page"))


def _has_buckets(ask: Ask, answer: Answer) -> bool:
    series = [read_series(one.labels, one.points) for one in answer.series]
    newest = {one.address: one.points[-1][0] for one in series if one.points}
    try:
        return any(role.startswith(BUCKET) for role, *_ in values_of(ask, series, newest, float("inf")))
    except (ValueError, KeyError, TypeError):
        return False


def _alert(query: Query, rules: Iterable[tuple[str, str]]) -> Finding:
    what = f"alert rule for {query.metric.name}"
    names = sorted({selector.name for selector in query.asked_in(Selector).values()})
    pattern = re.compile(rf"(?<![\w:])(?:{'|'.join(map(re.escape, names))})(?:_bucket|_count|_sum)?(?![\w:])")
    found = [rule for rule, expression in rules if pattern.search(expression)]
    if found:
        return Finding("ok", what, f"{found[0]} watches {' and '.join(names)}")
    said = f"no alert rule names {' or '.join(names)}: nobody is told when it fails outside of a release"
    return Finding("warn", what, said, "write one for it, with the same line")
