"""Scraping pages that answer well, badly, or not at all: whatever comes, a reading is returned that says so."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from engine.judge.metric import Metric, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources import scrape
from engine.sources.config import ScrapeConfig
from engine.sources.reading import Query, Reading
from engine.sources.scrape import ScrapeSource
from tests.support.canned_http import NEVER, Canned, answered, canned

ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse("http_requests_total"),
    part=Selector.parse('http_requests_total{version="$version",code=~"5.."}'),
)
SLOW = Query(Metric("slow", "latency", (Threshold(0.4),), quantile=0.95), histogram=Selector.parse("seconds"), line=0.4)
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=Selector.parse("pool_in_use"))
QUERIES = (ERRORS, SLOW, POOL)
PAGE = b"""\
# TYPE http_requests_total counter
http_requests_total{version="v1",code="200"} 900
http_requests_total{version="v2",code="200"} 90
http_requests_total{version="v2",code="500"} 3
# TYPE seconds histogram
seconds_bucket{version="v2",le="0.4"} 80
seconds_bucket{version="v2",le="+Inf"} 93
seconds_count{version="v2"} 93
seconds_sum{version="v2"} 12.5
# TYPE pool_in_use gauge
pool_in_use{version="v2"} 51
"""
OPEN_METRICS = PAGE.replace(b"TYPE http_requests_total counter", b"TYPE http_requests counter") + b"# EOF\n"
TEXT = {"Content-Type": "text/plain; version=0.0.4"}
OPEN = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
GOOD = answered(200, PAGE, TEXT)


@asynccontextmanager
async def source(*urls: str, limit: float = 20.0) -> AsyncIterator[ScrapeSource]:
    config = ScrapeConfig.model_validate({"urls": urls, "interval": "30s", "timeout": f"{limit * 1000:.0f}ms"})
    made = ScrapeSource(config, now=lambda: 123.0)
    try:
        yield made
    finally:
        await made.close()


async def read(server: Canned, answers: Sequence[bytes], *, limit: float = 20.0) -> Reading:
    """One reading of as many addresses as there are answers."""
    server.answers = {f"/{number}": answer for number, answer in enumerate(answers)}
    async with source(*(server.url + path for path in server.answers), limit=limit) as made:
        return await made.read(QUERIES, canary=Subject("v2"), stable=Subject("v1"))


@pytest.fixture
async def server() -> AsyncIterator[Canned]:
    async with canned() as told:
        yield told


@pytest.mark.parametrize("page", [GOOD, answered(200, OPEN_METRICS, OPEN)], ids=["prometheus", "openmetrics"])
async def test_both_formats_give_the_same_series(server: Canned, page: bytes) -> None:
    reading = await read(server, [page])
    assert (reading.at, reading.problem, reading.lost) == (123.0, "", {})
    sums = {key: sum(series.values()) for key, series in reading.values.items()}
    assert sums == {
        ("errors", "stable", "total"): 900,
        ("errors", "canary", "total"): 93,
        ("errors", "canary", "part"): 3,
        ("slow", "canary", "le:0.4"): 80,
        ("slow", "canary", "le:inf"): 93,
        ("pool", "canary", "gauge"): 51,
    }


async def test_a_series_is_named_by_its_place_in_the_plan_and_the_same_in_all_buckets(server: Canned) -> None:
    reading = await read(server, [GOOD])
    names = {name for key, series in reading.values.items() if key[0] == "slow" for name in series}
    assert names == {"0 seconds_bucket{version=v2}"}


async def test_the_same_series_at_two_addresses_are_two(server: Canned) -> None:
    reading = await read(server, [GOOD, GOOD])
    assert sum(reading.values["errors", "stable", "total"].values()) == 1800


async def test_an_unknown_version_reads_nothing(server: Canned) -> None:
    server.answers = {"/0": answered(200, b'http_requests_total{version=""} 5\n', TEXT)}
    async with source(f"{server.url}/0") as made:
        assert (await made.read(QUERIES, canary=Subject(), stable=Subject())).values == {}


BAD = {
    "nothing at all": (b"\x00", "0: "),
    "an empty page": (answered(200, b"", TEXT), "an empty page"),
    "only comments": (answered(200, b"# HELP a b\n", TEXT), "an empty page"),
    "500": (answered(500, PAGE, TEXT), "500"),
    "a redirect": (answered(302, PAGE, {"Location": "/elsewhere"}), "302"),
    "html": (answered(200, b"<html>502 Bad Gateway</html>", {"Content-Type": "text/html"}), "answers no metrics"),
    "not text": (answered(200, bytes(range(256)), TEXT), "answers no metrics"),
    "a bucket without a bound": (answered(200, b'seconds_bucket{version="v2",le="x"} 1\n', TEXT), "no metrics"),
    "openmetrics cut short": (answered(200, OPEN_METRICS[:-6], OPEN), "answers no metrics"),
    "cut short": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + PAGE, "0: "),
    "not gzip": (answered(200, PAGE, {"Content-Encoding": "gzip"}), "0: "),
    "not http": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "0: "),
    "no answer": (NEVER, "did not answer within 1 s"),
    "a head that does not end": (b"HTTP/1.1 200 OK\r\nX: ", "0: "),
}


@pytest.mark.parametrize("answer", BAD)
async def test_whatever_is_wrong_is_said_with_its_address(server: Canned, answer: str) -> None:
    raw, said = BAD[answer]
    reading = await read(server, [raw], limit=1.0 if raw is NEVER else 20.0)
    assert reading.values == {}
    assert said in reading.problem
    assert server.url in reading.problem


@pytest.mark.parametrize("answer", BAD)
async def test_one_address_that_fails_is_lost_and_the_others_are_read(server: Canned, answer: str) -> None:
    raw, _ = BAD[answer]
    reading = await read(server, [GOOD, raw], limit=1.0 if raw is NEVER else 20.0)
    assert reading.problem == ""
    assert list(reading.lost) == ["1"]
    assert f"{server.url}/1" in reading.lost["1"]
    assert sum(reading.values["errors", "stable", "total"].values()) == 900


async def test_a_page_that_drips_is_cut_at_the_time_limit(server: Canned) -> None:
    server.drips.add("/0")
    reading = await read(server, [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"], limit=0.1)
    assert reading.problem == f"{server.url}/0 did not answer within 0.1 s"


async def test_a_refused_connection_is_said(server: Canned) -> None:
    async with canned() as gone:
        pass
    async with source(f"{gone.url}/metrics") as made:
        assert gone.url in (await made.read(QUERIES, canary=Subject("v2"), stable=Subject("v1"))).problem


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_a_page_too_long_is_not_read_to_its_end(
    server: Canned, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "LONGEST_PAGE", 100_000)
    page = b"# " + b"x" * 5_000_000
    answer = answered(200, gzip.compress(page), {"Content-Encoding": "gzip"}) if packed else answered(200, page)
    assert "more than 100000 bytes" in (await read(server, [answer])).problem


async def test_a_page_that_takes_long_to_parse_does_not_stop_the_rest(
    server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way back runs in the same loop: it goes on while a page is taken apart."""
    loop, parsing = asyncio.get_running_loop(), asyncio.Event()
    proceed = asyncio.Event()

    def slow(_text: str) -> list[object]:
        loop.call_soon_threadsafe(parsing.set)
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result(10)
        return []

    monkeypatch.setattr(scrape, "parse_prometheus", slow)
    reading = asyncio.create_task(read(server, [GOOD]))
    await asyncio.wait_for(parsing.wait(), 5)
    assert not reading.done()
    proceed.set()
    assert "an empty page" in (await reading).problem


async def test_values_that_are_no_number_are_handed_on_for_the_differences_to_doubt(server: Canned) -> None:
    reading = await read(server, [answered(200, b'pool_in_use{version="v2"} NaN\n', TEXT)])
    [value] = reading.values["pool", "canary", "gauge"].values()
    assert math.isnan(value)


async def test_a_page_is_asked_for_in_both_formats(server: Canned) -> None:
    await read(server, [GOOD])
    [(method, path, _, head)] = server.seen
    assert (method, path) == ("GET", "/0")
    assert "application/openmetrics-text" in head
