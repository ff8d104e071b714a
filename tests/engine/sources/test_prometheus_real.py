"""Reading the sandbox through a real Prometheus: what it says agrees with what the gateway counted."""

from __future__ import annotations

import asyncio
import math
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import sample_configs
from engine import registry
from engine.assembly import queries_of
from engine.judge.metric import Counts, Metric, Sample, Threshold
from engine.plan.model import parse_plan
from engine.plan.selector import Selector, Subject
from engine.sources import prometheus
from engine.sources.config import PrometheusConfig
from engine.sources.prometheus import PrometheusSource
from engine.sources.reading import SIDES, Differences, Query, Reading, Side
from sandbox.ready import Urls
from tests.support.exposition import Series, scrape, total
from tests.support.programs import need
from tests.support.prometheus_process import PrometheusProcess, running_prometheus
from tests.support.sandbox_process import running_sandbox

pytestmark = pytest.mark.real

STABLE, CANARY = "v1.4.0", "v1.5.0"
HALF = {"weights": {"shop-a": 50, "shop-b": 50}}
ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse('http_requests_total{version=~"$version"}'),
    part=Selector.parse('http_requests_total{version="$version",code=~"[45].."}'),
)
SLOW = Query(
    Metric("slow", "latency", (Threshold(0.25),), quantile=0.95),
    histogram=Selector.parse("http_request_duration_seconds"),
    line=0.25,
)
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=Selector.parse("shop_db_pool_in_use"))
FAST = "http_request_duration_seconds_bucket"
QUERIES = (ERRORS, SLOW, POOL)


@pytest.fixture(scope="module")
def shop() -> Iterator[Urls]:
    """Both versions under traffic."""
    need("prometheus")
    with running_sandbox(rps=60) as urls:
        httpx.put(f"{urls.gateway}/admin/route", json=HALF).raise_for_status()
        yield urls


@pytest.fixture(scope="module")
def server(shop: Urls) -> Iterator[PrometheusProcess]:
    with running_prometheus(jobs(shop)) as process:
        yield process


def jobs(shop: Urls) -> dict[str, list[str]]:
    return {"gateway": [shop.gateway], "shop": list(shop.backends.values())}


@asynccontextmanager
async def source_of(server: PrometheusProcess, **more: Any) -> AsyncIterator[PrometheusSource]:
    config = {"url": server.url, "interval": "1s", "timeout": "900ms", **more}
    source = PrometheusSource(PrometheusConfig.model_validate(config))
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def gateway_with(fault: str, shop: Urls) -> AsyncIterator[None]:
    """The shop with a fault for as long as the block lasts."""
    async with httpx.AsyncClient(base_url=shop.gateway) as admin:
        await admin.put("/admin/faults", json={fault: True})
        try:
            yield
        finally:
            await admin.put("/admin/faults", json={fault: False})


async def look(source: PrometheusSource, canary: str = CANARY) -> Reading:
    return await source.read(QUERIES, canary=Subject(canary), stable=Subject(STABLE))


async def looking(source: PrometheusSource, wanted: Callable[[Reading], bool], seconds: float = 30.0) -> list[Reading]:
    """A reading each second until one is as wanted, which is the last."""
    readings, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        readings.append(await look(source))
        if wanted(readings[-1]):
            return readings
        await asyncio.sleep(1.02)
    raise AssertionError(f"it did not come; the last was {readings[-1]}")


def shows_all(reading: Reading) -> bool:
    """Every metric on both sides, and nothing left of a test before."""
    shown = {(metric, side) for metric, side, _ in reading.values}
    numbers = all(math.isfinite(value) for series in reading.values.values() for value in series.values())
    return numbers and shown == {(query.metric.name, side) for query in QUERIES for side in SIDES}


def summed(reading: Reading, metric: str, side: Side, role: str) -> float:
    return sum(reading.values.get((metric, side, role), {}).values())


async def still(source: PrometheusSource, gateway: str) -> tuple[Series, list[Reading]]:
    """The gateway's page, and the readings up to one from a moment at which it was the same."""
    readings: list[Reading] = []
    for _ in range(20):
        page = scrape(gateway)
        await asyncio.sleep(2.5)  # a scrape of this moment is stored by then
        readings += await looking(source, shows_all)
        if all(scrape(gateway)[key] == value for key, value in page.items() if key[0].startswith("http_")):
            return page, readings
    raise AssertionError("the shop never stood still")


async def test_counts_are_the_gateways_own() -> None:
    need("prometheus")
    with running_sandbox(rps=0.1) as quiet, running_prometheus(jobs(quiet)) as server:
        async with source_of(server) as source, httpx.AsyncClient(base_url=quiet.gateway) as shopper:
            await shopper.put("/admin/route", json=HALF)
            differences = Differences(QUERIES)
            before, [*_, first] = await still(source, quiet.gateway)
            differences.since_last(first)
            for number in range(60):
                await shopper.get("/browse" if number % 3 else "/nowhere")
            after, readings = await still(source, quiet.gateway)
            got = [sample for reading in readings for sample in differences.since_last(reading)]
    for side, version in (("stable", STABLE), ("canary", CANARY)):
        errors, slow = (
            [getattr(one, side) or Counts() for one in got if one.metric == of] for of in ("errors", "slow")
        )
        requests = total(after, "http_requests_total", version=version)
        assert sum(one.total for one in errors) == requests - total(before, "http_requests_total", version=version) > 10
        assert sum(one.total for one in slow) == sum(one.total for one in errors)
        well = [total(page, "http_requests_total", version=version, code="200") for page in (before, after)]
        assert sum(one.total - one.bad for one in errors) == well[1] - well[0] < sum(one.total for one in errors)
        fast = [total(page, FAST, version=version, le="0.25") for page in (before, after)]
        assert sum(one.total - one.bad for one in slow) == fast[1] - fast[0] > 0


async def test_all_values_of_an_instance_are_of_one_scrape(server: PrometheusProcess) -> None:
    """The requests by code and the histogram's count are two questions; at the gateway they always agree."""
    async with source_of(server) as source:
        await looking(source, shows_all)
        for _ in range(5):
            await asyncio.sleep(1.02)
            reading = await look(source)
            for side in SIDES:
                assert summed(reading, "errors", side, "total") == summed(reading, "slow", side, "le:inf")
                assert summed(reading, "errors", side, "total") > 0 or not reading.values


async def test_the_past_has_what_was_read_live(server: PrometheusProcess) -> None:
    async with source_of(server) as source:
        live = await looking(source, shows_all)
        for _ in range(3):
            await asyncio.sleep(1.02)
            live.append(await look(source))
        await asyncio.sleep(1.0)
        past = await source.past(QUERIES, stable=Subject(STABLE), seconds=60, step=0.5)
    assert [reading.at for reading in past] == sorted(reading.at for reading in past)
    assert {side for reading in past for _, side, _ in reading.values} == {"stable"}
    assert not any(reading.problem or reading.doubts for reading in past)
    seen = {(key, *item) for reading in past for key, series in reading.values.items() for item in series.items()}
    shown = [(key, *item) for reading in live for key, series in reading.values.items() for item in series.items()]
    of_stable = [item for item in shown if item[0][1] == "stable"]
    assert of_stable
    assert [item for item in of_stable if item not in seen] == []


async def test_the_past_is_the_same_in_pieces(server: PrometheusProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async with source_of(server) as live:
        at = (await looking(live, shows_all))[-1].at + 1
    await asyncio.sleep(2.5)
    config = PrometheusConfig.model_validate({"url": server.url, "interval": "1s"})
    source = PrometheusSource(config, now=lambda: at)
    whole = await source.past(QUERIES, stable=Subject(STABLE), seconds=20, step=1)
    monkeypatch.setattr(prometheus, "STEPS", 3)
    pieces = await source.past(QUERIES, stable=Subject(STABLE), seconds=20, step=1)
    assert repr(pieces) == repr(whole)  # a NaN of a test before is no equal of itself
    await source.close()
    assert whole


async def test_a_version_is_a_value_whatever_is_in_it(server: PrometheusProcess) -> None:
    """Neither a quote nor a sign of regular expressions changes the question."""
    async with source_of(server) as source:
        await looking(source, shows_all)
    for strange in ('v1.5.0"} or up{x="', "v1.5.0\\", "v1.5.0\n", "v1.5.x|.*", "v.*", "(", "v1.5.0`", "vé-1 #&~"):
        async with source_of(server) as source:
            reading = await look(source, canary=strange)
            assert (reading.problem, reading.doubts) == ("", {}), strange
            assert {side for _, side, _ in reading.values} == {"stable"}, strange


async def test_an_instance_that_is_down_is_missing_and_comes_back(shop: Urls, server: PrometheusProcess) -> None:
    def of(side: Side) -> Callable[[Reading], bool]:
        return lambda reading: {one for name, one, _ in reading.values if name == "pool"} == {side}

    async with source_of(server) as source:
        await looking(source, shows_all)
        async with gateway_with("crash", shop):
            gone = await looking(source, of("stable"))
            await asyncio.sleep(1.02)
            assert of("stable")(await look(source))
        assert len(gone) <= prometheus.STALE_INTERVALS + 1
        await looking(source, shows_all)


async def test_a_server_that_hangs_is_said_in_time_and_no_count_is_lost(server: PrometheusProcess) -> None:
    async with source_of(server, timeout="500ms") as source:
        differences = Differences((ERRORS,))
        first = (await looking(source, shows_all))[-1]
        differences.since_last(first)
        server.freeze()
        try:
            frozen = await look(source)
        finally:
            server.thaw()
        [sample] = differences.since_last(frozen)
        last = await looking(source, shows_all)
        counted = [one for reading in last for one in differences.since_last(reading)]
    assert "did not answer within 0.5 s" in frozen.problem
    assert (sample.stable, sample.canary, sample.problem) == (None, None, frozen.problem)
    grown = summed(last[-1], "errors", "canary", "total") - summed(first, "errors", "canary", "total")
    assert sum((one.canary or Counts()).total for one in counted) == grown > 0


async def test_a_server_that_is_restarted_is_read_on(shop: Urls) -> None:
    with running_prometheus(jobs(shop)) as server:
        async with source_of(server) as source:
            before = (await looking(source, shows_all))[-1]
            server.stop()
            assert "connection" in (await look(source)).problem.lower()
            server.start()
            after = (await looking(source, shows_all))[-1]
    assert list(after.values["errors", "canary", "total"]) == list(before.values["errors", "canary", "total"])
    assert summed(after, "errors", "canary", "total") > summed(before, "errors", "canary", "total")


async def test_nonsense_at_the_gateway_is_no_data_here(shop: Urls, server: PrometheusProcess) -> None:
    """Prometheus refuses the page; its last good values must not stand for it."""
    async with source_of(server) as source, gateway_with("metrics-garbage", shop):
        await looking(source, lambda reading: ("errors", "canary", "total") not in reading.values)


async def test_values_that_are_no_number_are_doubted(shop: Urls, server: PrometheusProcess) -> None:
    async with source_of(server) as source, gateway_with("metrics-nan", shop):
        [*_, spoiled] = await looking(source, lambda one: math.isnan(summed(one, "errors", "canary", "total")))
    [sample] = Differences((ERRORS,)).since_last(spoiled)
    assert (sample.canary, "nan" in sample.problem) == (None, True)


async def test_every_metric_of_the_sample_plan_is_read_on_both_sides(shop: Urls, server: PrometheusProcess) -> None:
    text = sample_configs.path("prometheus.yaml").read_text(encoding="utf-8")
    for written, real in (
        ("http://127.0.0.1:9090", server.url),
        ("interval: 15s", "interval: 1s"),
        ("5s\n", "900ms\n"),
    ):
        assert written in text
        text = text.replace(written, real, 1)
    plan = parse_plan(text.encode())
    queries = queries_of(plan)
    source = registry.resolve("source", plan.source.kind)(plan.source.config)
    differences = Differences(queries)

    async def samples() -> list[Sample]:
        got = differences.since_last(await source.read(queries, canary=Subject(CANARY), stable=Subject(STABLE)))
        return [one for one in got if one.stable and one.canary and one.stable.total and one.canary.total]

    seen: set[str] = set()
    deadline = time.monotonic() + 30
    while seen != set(plan.metrics) and time.monotonic() < deadline:
        await asyncio.sleep(1.02)
        seen |= {one.metric for one in await samples()}
    await source.close()
    assert seen == set(plan.metrics)


async def test_what_is_no_prometheus_is_told_so(shop: Urls) -> None:
    source = PrometheusSource(PrometheusConfig.model_validate({"url": shop.gateway}))
    problem = (await look(source)).problem
    await source.close()
    assert "not as Prometheus does: is the address right?" in problem


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority, a server's certificate and a client's, each with its key."""
    need("openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for name in ("server", "client"):
        openssl(
            *("req", "-x509", *new, "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
    return tmp_path


async def test_certificates_and_passwords_are_shown_and_asked_for(shop: Urls, certificates: Path) -> None:
    password = "lane-and-shift"
    web = {
        "tls_server_config": {
            "cert_file": str(certificates / "server.pem"),
            "key_file": str(certificates / "server.key"),
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": str(certificates / "ca.pem"),
        },
        "basic_auth_users": {"laneshift": "$2b$04$abcdefghijklmnopqrstuuKjExEKiTkaqhtdGJJ/klyyI8pHLqQcO"},
    }
    own = {"cert": str(certificates / "client.pem"), "key": str(certificates / "client.key")}
    tls = {"ca": str(certificates / "ca.pem"), **own}
    basic = {"user": "laneshift", "password": password}
    guess = {"bearer_token": "guessed"}
    with running_prometheus({"gateway": [shop.gateway]}, web=web) as server:

        async def problem(**more: Any) -> str:
            async with source_of(server, **more) as source:
                return (await look(source)).problem

        assert await problem(tls=tls, basic=basic) == ""
        assert "refuses the credentials (HTTP 401)" in await problem(tls=tls, basic={**basic, "password": "guessed"})
        assert "refuses the credentials (HTTP 401)" in await problem(tls=tls, **guess)
        assert "certificate verify failed" in (await problem(basic=basic)).lower()
        assert "broke off" in await problem(tls={"ca": tls["ca"]}, basic=basic)
        assert "a file of tls can't be used" in await problem(tls={"ca": str(certificates / "gone.pem")}, basic=basic)
        assert "a file of tls can't be used" in await problem(tls={**tls, "key": tls["cert"]}, basic=basic)


async def test_the_doctor_finds_all_that_a_release_needs(shop: Urls, server: PrometheusProcess) -> None:
    wanted = {f"metric {query.metric.name}": "ok" for query in QUERIES}
    async with source_of(server) as source:
        for _ in range(30):  # what tests before did to the shop is seen for a while
            found = await source.examine(QUERIES, canary=Subject(CANARY), stable=Subject(STABLE))
            rhythm = any("scraped every 1s" in one.said for one in found)
            if rhythm and wanted.items() <= {one.what: one.grade for one in found}.items():
                break
            await asyncio.sleep(1)
        nobody = await source.examine((ERRORS,), canary=Subject(CANARY), stable=Subject("v0"))
    said = {one.what: (one.grade, one.said) for one in found}
    assert said["prometheus"][1].startswith("answers, version 2.")
    assert said["prometheus clock"][0] == "ok"
    assert wanted.items() <= {one.what: one.grade for one in found}.items(), said
    assert "scraped every 1s" in said["metric errors"][1]
    assert said["alert rule for errors"] == (
        "warn",
        "no alert rule names http_requests_total: nobody is told when it fails outside of a release",
    )
    assert {one.what: one.grade for one in nobody}["metric errors"] == "bad"


async def test_a_target_that_is_down_leaves_its_side_read_in_part(shop: Urls, server: PrometheusProcess) -> None:
    """Of an instance that Prometheus still looks for, nobody knows what it would have counted."""
    async with source_of(server) as source:
        await looking(source, shows_all)
        async with gateway_with("crash", shop):
            down = (await looking(source, lambda reading: bool(reading.lost)))[-1]
        [(address, why)] = down.lost.items()
        assert address.startswith("shop/127.0.0.1:")
        assert why == f"{address} is down: Prometheus can't scrape it"
        assert not (await looking(source, shows_all))[-1].lost
