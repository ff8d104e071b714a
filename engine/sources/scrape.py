"""Reads metrics straight from instances and gateways that serve Prometheus or OpenMetrics text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
from prometheus_client.samples import Sample as Line

from engine.plan.selector import Selector, Subject
from engine.sources import Source
from engine.sources.config import ScrapeConfig
from engine.sources.reading import BUCKET, HISTOGRAM, Query, Reading, Side, unnamed
from engine.sources.scrape_targets import Target, Targets, TargetsError, targets_of

Values = dict[tuple[str, Side, str], dict[str, float]]

LONGEST_PAGE = 8 * 1024 * 1024  # bytes; a page beyond this is no metrics page
STARTED = "process_start_time_seconds"  # of every client library of Prometheus that knows it
FORGET_S = 3600.0  # an address that was not read for so long is a new one
NOBODY = "there is nothing to scrape: no pod runs, no name has an address"
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"


class ScrapeSource(Source):
    """One HTTP request per address and look, all at once, each within the plan's time limit."""

    Config = ScrapeConfig

    def __init__(self, config: ScrapeConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now = now
        self._ways = targets_of(config)
        self._http = httpx.AsyncClient(timeout=config.timeout, headers={"Accept": ACCEPT}, trust_env=False)
        # A page of megabytes takes seconds to parse; a way back must not wait for it.
        self._parser = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrape")
        self._read: dict[str, float] = {}  # address -> when it was read last
        self._looked_at = math.inf  # when the look before this one began

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All series of `queries` now; an address that fails is named in the reading's problem."""
        begun = self._now()
        targets, lost = await self._targets()
        answers = await asyncio.gather(*(self._page(target) for target in targets))
        at = self._now()
        pages: dict[str, list[Line]] = {}
        for target, page in zip(targets, answers, strict=True):
            if not isinstance(page, str):
                pages[target.address] = page
            elif target.expected or target.address in self._read:
                lost[target.address] = page
        reading = _reading(at, queries, {"stable": stable, "canary": canary}, pages, self._started_since(pages))
        self._looked_at = begun
        self._read = {name: when for name, when in self._read.items() if when > at - FORGET_S} | dict.fromkeys(
            pages, at
        )
        return replace(reading, problem="" if pages else "; ".join(lost.values()) or NOBODY, lost=lost)

    async def close(self) -> None:
        """Let go of connections."""
        self._parser.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*(way.close() for way in self._ways))
        await self._http.aclose()

    async def _targets(self) -> tuple[list[Target], dict[str, str]]:
        """The endpoints there are, each once, and the ways of finding them that failed, with the reason."""
        found: dict[str, Target] = {}
        lost: dict[str, str] = {}
        for way, targets in zip(self._ways, await asyncio.gather(*map(self._find, self._ways)), strict=True):
            if isinstance(targets, str):
                lost[way.name] = targets
            else:
                found |= {target.address: target for target in targets}
        return list(found.values()), lost

    async def _find(self, way: Targets) -> list[Target] | str:
        try:
            async with asyncio.timeout(self._config.timeout):
                return await way.find()
        except TimeoutError:
            return f"{way.name} could not be looked up within {self._config.timeout:g} s"
        except TargetsError as error:
            return str(error)

    def _started_since(self, pages: Mapping[str, list[Line]]) -> set[str]:
        """Addresses that are read for the first time and say that they started after the look before: they counted from
        nothing since."""
        return {
            address
            for address, page in pages.items()
            if address not in self._read
            and any(line.name == STARTED and line.value >= self._looked_at for line in page)
        }

    async def _page(self, target: Target) -> list[Line] | str:
        """The lines of one page, or why there are none."""
        url = target.url
        try:
            async with asyncio.timeout(self._config.timeout):
                return await self._lines(target)
        except (TimeoutError, httpx.TimeoutException):
            return f"{url} did not answer within {self._config.timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{url}: {str(error) or type(error).__name__}"
        except (ValueError, KeyError, IndexError, TypeError) as error:  # whatever the parsers say to nonsense
            return f"{url} answers no metrics: {str(error)[:80]}"

    async def _lines(self, target: Target) -> list[Line]:
        headers = {"Host": target.host} if target.host else {}
        async with self._http.stream("GET", target.url, headers=headers) as answer:
            answer.raise_for_status()
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LONGEST_PAGE:
                    raise ValueError(f"more than {LONGEST_PAGE} bytes")
        openmetrics = answer.headers.get("Content-Type", "").startswith("application/openmetrics-text")
        return await asyncio.get_running_loop().run_in_executor(self._parser, _parsed, bytes(body), openmetrics)


def _parsed(body: bytes, openmetrics: bool) -> list[Line]:
    """Raises ValueError, KeyError, IndexError or TypeError for nonsense."""
    families: Iterable[Family] = parse_openmetrics(body.decode()) if openmetrics else parse_prometheus(_untyped(body))
    lines = [line for family in families for line in family.samples]
    if not lines:
        raise ValueError("an empty page")
    for line in lines:
        float(line.labels.get("le", "0"))  # the bound of a bucket
    return lines


def _untyped(page: bytes) -> str:
    """The samples without what is said of their types: for a counter whose name has no such end the parser would put
    `_total` behind it, and no selector would find it any more."""
    return "\n".join(line for line in page.decode().split("\n") if not line.startswith("#")) + "\n"


def _reading(
    at: float,
    queries: tuple[Query, ...],
    subjects: Mapping[Side, Subject],
    pages: Mapping[str, list[Line]],
    started: set[str],
) -> Reading:
    """What the pages show, each under its address; those of `started` counted from nothing."""
    values: Values = {}
    began: Values = {}
    for address, page in pages.items():
        for query in queries:
            for side, subject in subjects.items():
                for role, series, value in _collected(query, subject, address, page):
                    key = (query.metric.name, side, role)
                    values.setdefault(key, {})[series] = value
                    if address in started:
                        began.setdefault(key, {})[series] = 0.0
    return Reading(at, values, doubts=unnamed(queries, subjects), places=frozenset(pages), began=began)


def _collected(query: Query, subject: Subject, address: str, lines: list[Line]) -> Iterator[tuple[str, str, float]]:
    """(role, series, value) of what `query` asks of one side."""
    for role, selector in query.asked_in(Selector).items() if subject.known else ():
        if selector.lacks(subject):
            continue
        for line in lines:
            if role == HISTOGRAM and _is_bucket(selector, line, subject):
                yield BUCKET + str(float(line.labels["le"])), _series(address, line), line.value
            elif role != HISTOGRAM and selector.matches(line.name, line.labels, subject):
                yield role, _series(address, line), line.value


def _is_bucket(selector: Selector, line: Line, subject: Subject) -> bool:
    name = line.name.removesuffix("_bucket")
    return name != line.name and "le" in line.labels and selector.matches(name, line.labels, subject)


def _series(address: str, line: Line) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(line.labels.items()) if key != "le")
    return f"{address} {line.name}{{{labels}}}"
