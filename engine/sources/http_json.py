"""Reads numbers out of JSON answers: what a service counts of its own business.

Each address is asked once a look, whichever metrics read it. A number that one side lacks while its other is there is a
doubt, since nobody can tell a misspelt place from nothing counted; a side of which no number is there is not there yet.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.plan.problem import printable
from engine.plan.questions import JsonPlace
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.config import HttpJsonConfig
from engine.sources.http_client import HttpClient, HttpError, Renewed, said_of
from engine.sources.reading import Query, Reading, Side, unnamed

ADDRESS = "json"  # of all series: what is read is one service, not instances
PARALLEL = 8  # questions at a time
ACCEPT = "application/json"
MISSING = object()  # what a place holds that is not there


@dataclass(frozen=True, slots=True)
class _Ask:
    """One number of one side, and where it stands."""

    metric: str
    side: Side
    role: str
    url: str
    keys: tuple[str, ...]
    place: str


@dataclass(slots=True)
class _Found:
    """The numbers so far, and why metrics are doubted; the first reason is the one that is said."""

    values: dict[tuple[str, Side, str], dict[str, float]] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    missing: dict[tuple[str, Side], str] = field(default_factory=dict)


class HttpJsonSource(Source):
    """Asks all addresses at once, a few at a time, within the plan's time limit."""

    Config = HttpJsonConfig

    def __init__(
        self, config: HttpJsonConfig, *, now: Callable[[], float] = time.time, renewed: Renewed | None = None
    ) -> None:
        self._config = config
        self._now = now
        self._http = HttpClient(urlsplit(config.url).netloc.rpartition("@")[2], config, renewed)
        self._turns = asyncio.Semaphore(PARALLEL)

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All numbers of `queries` now."""
        await self._http.renew()
        subjects: dict[Side, Subject] = {"stable": stable, "canary": canary}
        asked = list(_asks(queries, subjects, self._config.url))
        urls = list(dict.fromkeys(ask.url for ask in asked))
        pages = dict(zip(urls, await asyncio.gather(*map(self._page, urls)), strict=True))
        at = self._now()
        problems = [str(page) for page in pages.values() if isinstance(page, HttpError)]
        if problems and len(problems) == len(pages):
            return Reading(at, {}, "; ".join(dict.fromkeys(problems)))
        found = _Found(doubts=unnamed(queries, subjects))
        for ask in asked:
            _look_up(ask, pages[ask.url], found)
        _doubt_halves(found)
        lasting = frozenset(one.metric.name for one in queries) if self._config.counts == "all_time" else frozenset()
        return Reading(at, found.values, doubts=found.doubts, lasting=lasting)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    async def _page(self, url: str) -> Any:
        """The JSON at an address, MISSING where there is none, or an HttpError with the reason in words."""
        try:
            async with self._http.limit(), self._turns:
                answer = await self._http.ask("GET", url)
            # Megabytes take a while to read; a way back must not wait for it.
            return await asyncio.to_thread(_parsed, self._http.name, answer.status_code, answer.content)
        except HttpError as error:
            return error


def _asks(queries: Iterable[Query], subjects: Mapping[Side, Subject], url: str) -> Iterator[_Ask]:
    for query in queries:
        for side, subject in subjects.items():
            for role, place in query.asked_in(JsonPlace).items():
                if subject.known and not place.lacks(subject):
                    address, keys = _joined(url, place.path_of(subject)), tuple(place.keys_of(subject))
                    yield _Ask(query.metric.name, side, role, address, keys, str(place))


def _joined(url: str, path: str) -> str:
    """The source's address with a path added; a query of the path takes the place of the address's."""
    parts, (added, _, query) = urlsplit(url), path.partition("?")
    whole = parts.path.rstrip("/") + added if added else parts.path
    return urlunsplit((parts.scheme, parts.netloc, whole, query or parts.query, ""))


def _parsed(name: str, status: int, body: bytes) -> Any:
    """Raises HttpError for what is no JSON, or has a key twice: which of the two would count?"""
    if status == 404:
        return MISSING
    if status != 200:
        raise HttpError(said_of(status, name) or f"{name} answers HTTP {status}")
    try:
        return json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise HttpError(f"{name} answers no JSON: {printable(str(error), 100)}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _look_up(ask: _Ask, page: Any, found: _Found) -> None:
    if isinstance(page, HttpError):
        found.doubts.setdefault(ask.metric, str(page))
        return
    value = _at(page, ask.keys)
    if value is MISSING:
        found.missing.setdefault((ask.metric, ask.side), ask.place)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        shown = printable(json.dumps(value), 40)
        found.doubts.setdefault(ask.metric, f"{ask.place} is {shown} for {ask.side}, where one number is expected")
    else:
        series = f"{ADDRESS} {ask.place} {ask.side}"
        found.values.setdefault((ask.metric, ask.side, ask.role), {})[series] = _number(value)


def _at(page: Any, keys: Iterable[str]) -> Any:
    """What a JSON pointer leads to (RFC 6901), or MISSING."""
    for key in keys:
        if isinstance(page, dict) and key in page:
            page = page[key]
        elif isinstance(page, list) and key.isdecimal() and int(key) < len(page):
            page = page[int(key)]
        else:
            return MISSING
    return page


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")  # which the differences doubt


def _doubt_halves(found: _Found) -> None:
    """A metric of which one side has some of its numbers and not all, or neither side has any."""
    for (metric, side), place in found.missing.items():
        there = {side for name, side, _ in found.values if name == metric}
        if side in there:
            found.doubts.setdefault(metric, f"{side} has no {place} where its other numbers are")
        elif not there:
            found.doubts.setdefault(metric, f"there is no {place} of any side: check the place")
