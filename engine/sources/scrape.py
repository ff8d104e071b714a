"""Reads metrics straight from instances and gateways that serve Prometheus or OpenMetrics text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
from prometheus_client.samples import Sample as Line

from engine.plan.selector import Selector, Subject
from engine.sources import Source
from engine.sources.config import ScrapeConfig
from engine.sources.reading import BUCKET, HISTOGRAM, Query, Reading, Side, unnamed

LONGEST_PAGE = 8 * 1024 * 1024  # bytes; a page beyond this is no metrics page
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"


class ScrapeSource(Source):
    """One HTTP request per address and look, all at once, each within the plan's time limit."""

    Config = ScrapeConfig

    def __init__(self, config: ScrapeConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now = now
        self._http = httpx.AsyncClient(timeout=config.timeout, headers={"Accept": ACCEPT}, trust_env=False)
        # A page of megabytes takes seconds to parse; a way back must not wait for it.
        self._parser = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrape")

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All series of `queries` now; an address that fails is named in the reading's problem."""
        pages = await asyncio.gather(*(self._page(str(url)) for url in self._config.urls))
        at = self._now()
        # An address is named by its number in the plan: in itself it may hold a secret, and series go to the journal.
        lost = {str(number): page for number, page in enumerate(pages) if isinstance(page, str)}
        values: dict[tuple[str, Side, str], dict[str, float]] = {}
        subjects: dict[Side, Subject] = {"stable": stable, "canary": canary}
        for number, page in enumerate(pages):
            if isinstance(page, str):
                continue
            for query in queries:
                for side, subject in subjects.items():
                    _collect(values, query, side, subject, str(number), page)
        problem = "; ".join(lost.values()) if len(lost) == len(pages) else ""
        return Reading(at, values, problem, doubts=unnamed(queries, subjects), lost=lost)

    async def close(self) -> None:
        """Let go of connections."""
        self._parser.shutdown(wait=False, cancel_futures=True)
        await self._http.aclose()

    async def _page(self, url: str) -> list[Line] | str:
        """The lines of one page, or why there are none."""
        try:
            async with asyncio.timeout(self._config.timeout):
                return await self._lines(url)
        except (TimeoutError, httpx.TimeoutException):
            return f"{url} did not answer within {self._config.timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{url}: {str(error) or type(error).__name__}"
        except (ValueError, KeyError, IndexError, TypeError) as error:  # whatever the parsers say to nonsense
            return f"{url} answers no metrics: {str(error)[:80]}"

    async def _lines(self, url: str) -> list[Line]:
        async with self._http.stream("GET", url) as answer:
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
    text = body.decode()
    families: Iterable[Family] = parse_openmetrics(text) if openmetrics else parse_prometheus(text)
    lines = [line for family in families for line in family.samples]
    if not lines:
        raise ValueError("an empty page")
    for line in lines:
        float(line.labels.get("le", "0"))  # the bound of a bucket
    return lines


def _collect(
    values: dict[tuple[str, Side, str], dict[str, float]],
    query: Query,
    side: Side,
    subject: Subject,
    address: str,
    lines: list[Line],
) -> None:
    """Put what `query` asks of one side into `values`."""
    if not subject.known:
        return
    name = query.metric.name
    for role, selector in query.asked_in(Selector).items():
        if selector.lacks(subject):
            continue
        for line in lines:
            if role == HISTOGRAM and _is_bucket(selector, line, subject):
                bound = BUCKET + str(float(line.labels["le"]))
                values.setdefault((name, side, bound), {})[_series(address, line)] = line.value
            elif role != HISTOGRAM and selector.matches(line.name, line.labels, subject):
                values.setdefault((name, side, role), {})[_series(address, line)] = line.value


def _is_bucket(selector: Selector, line: Line, subject: Subject) -> bool:
    name = line.name.removesuffix("_bucket")
    return name != line.name and "le" in line.labels and selector.matches(name, line.labels, subject)


def _series(address: str, line: Line) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(line.labels.items()) if key != "le")
    return f"{address} {line.name}{{{labels}}}"
