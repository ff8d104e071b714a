from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Mapping

import pytest

from sandbox.admin import SLOW_SECONDS, Admin
from sandbox.backends import Backend, Fleet
from sandbox.faults import Faults
from sandbox.gateway import Gateway
from sandbox.metrics import GatewayMetrics
from sandbox.route import Route
from sandbox.wire import BadMessageError, Request, Response
from tests.support.exposition import Series, read_series, total

LOCAL = {"host": "127.0.0.1:7480"}
OLD, NEW = "v1.4.0", "v1.5.0"


class FakeBackend(Backend):
    """Answers as it is told, without a network."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, 1, version)
        self.answer: Response | Exception = Response(200, b"{}", {"x-version": version})
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Bench:
    """A gateway before two fake backends. `waits` are a slow admin's; `done` is what it had others do."""

    def __init__(self, canary_weight: int = 0) -> None:
        self.stable, self.canary = FakeBackend("shop-a", OLD), FakeBackend("shop-b", NEW)
        self.faults = Faults()
        self.waits: list[float] = []
        self.deployed: list[tuple[str, str]] = []
        self.fleet = Fleet([self.stable, self.canary], Route({"shop-a": 100 - canary_weight, "shop-b": canary_weight}))
        admin = Admin(
            self.fleet, self.faults, deploy=self._deploy, switch=self._switch, traffic=dict, sleep=self._sleep
        )
        self.gateway = Gateway(self.fleet, admin, GatewayMetrics(), self.faults, random.Random(5))

    async def _deploy(self, name: str, version: str) -> None:
        self.deployed.append((name, version))

    async def _switch(self, wanted: Mapping[str, bool]) -> None:
        self.faults.switch(wanted)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] = LOCAL) -> Response:
        data = json.dumps(body).encode() if body is not None else b""
        return await self.gateway.handle(Request(method, path, headers, data))

    async def write(self, canary: int, **more: object) -> Response:
        return await self.ask("PUT", "/admin/route", {"weights": {"shop-a": 100 - canary, "shop-b": canary}, **more})

    async def series(self) -> Series:
        return read_series((await self.ask("GET", "/metrics")).body.decode())


async def test_weights_are_honoured_per_request():
    bench = Bench(canary_weight=25)
    for _ in range(4000):
        await bench.ask("GET", "/browse")
    assert 860 <= len(bench.canary.asked) <= 1140  # five standard deviations
    assert len(bench.canary.asked) + len(bench.stable.asked) == 4000


async def test_a_new_weight_holds_from_the_next_request_on():
    bench = Bench()
    await bench.ask("GET", "/browse")
    assert (await bench.write(100)).status == 200
    await bench.ask("GET", "/browse")
    assert (len(bench.stable.asked), len(bench.canary.asked)) == (1, 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConnectionRefusedError(), "503"), (ConnectionResetError(), "502"), (BadMessageError(502, "no"), "502")],
)
async def test_a_dead_backends_errors_are_counted_as_its_versions(error, code):
    bench = Bench(canary_weight=100)
    bench.canary.answer = error
    answer = await bench.ask("POST", "/checkout", {})
    assert (answer.status, answer.headers["x-version"]) == (int(code), NEW)
    series = await bench.series()
    assert total(series, "http_requests_total", version=NEW, code=code) == 1
    assert total(series, "checkout_total", version=NEW, outcome="failure") == 1
    assert total(series, "http_requests_total", version=OLD) == 0


@pytest.mark.parametrize("path", ["/checkout", "/login", "/signup"])
@pytest.mark.parametrize(("said", "counted"), [("success", "success"), ("failure", "failure"), ("banana", "failure")])
async def test_the_business_outcome_is_what_the_shop_says(path, said, counted):
    bench = Bench()
    bench.stable.answer = Response(200, b"{}", {"x-version": OLD, "x-outcome": said})
    await bench.ask("POST", path, {})
    assert total(await bench.series(), f"{path[1:]}_total", version=OLD, outcome=counted) == 1


async def test_a_request_is_counted_as_the_version_that_answered_it():
    bench = Bench()
    bench.stable.answer = Response(200, b"{}", {"x-version": "v1.4.1"})
    await bench.ask("GET", "/browse")
    series = await bench.series()
    assert total(series, "http_request_duration_seconds_count", version="v1.4.1") == 1
    assert total(series, "http_requests_total", version=OLD) == 0


async def test_own_requests_are_passed_on_and_not_counted():
    bench = Bench()
    before = await bench.series()
    answer = await bench.ask("POST", "/checkout", {}, headers={"x-laneshift-check": "smoke"})
    assert (answer.status, len(bench.stable.asked)) == (200, 1)
    assert "x-laneshift-check" in bench.stable.asked[0].headers
    assert await bench.series() == before


async def test_a_version_is_shown_with_zeros_before_its_first_request():
    bench = Bench()
    await bench.gateway.probe()
    series = await bench.series()
    for version in (OLD, NEW):
        assert series["http_requests_total", frozenset({("version", version), ("code", "500")})] == 0
        assert series["checkout_total", frozenset({("version", version), ("outcome", "success")})] == 0
        assert series["http_request_duration_seconds_count", frozenset({("version", version)})] == 0
        assert series["shop_backend_up", frozenset({("version", version)})] == 1


async def test_a_probe_learns_what_runs_and_whether_it_is_up():
    bench = Bench()
    bench.stable.answer = ConnectionRefusedError()
    bench.canary.answer = Response(200, b"{}", {"x-version": "v1.5.1"})
    await bench.gateway.probe()
    backends = json.loads((await bench.ask("GET", "/admin/route")).body)["backends"]
    assert (backends["shop-a"]["version"], backends["shop-a"]["ready"]) == (OLD, 0)
    assert (backends["shop-b"]["version"], backends["shop-b"]["ready"]) == ("v1.5.1", 1)
    assert total(await bench.series(), "shop_backend_up", version=NEW) == 0


async def test_the_route_as_it_is_told():
    bench = Bench()
    await bench.write(5, mark={"number": "3.7", "by": "engine", "release": "checkout-7"})
    assert json.loads((await bench.ask("GET", "/admin/route")).body) == {
        "route": "shop",
        "backends": {
            "shop-a": {"weight": 95, "version": OLD, "ready": 0, "url": "http://127.0.0.1:1"},
            "shop-b": {"weight": 5, "version": NEW, "ready": 0, "url": "http://127.0.0.1:1"},
        },
        "mark": {"number": "3.7", "by": "engine", "release": "checkout-7"},
        "generation": 1,
        "owner": "",
    }


async def test_a_write_meant_for_another_generation_changes_nothing_and_says_what_is():
    bench = Bench()
    await bench.write(5)
    answer = await bench.write(25, if_generation=0)
    told = json.loads(answer.body)
    assert (answer.status, told["generation"], told["backends"]["shop-b"]["weight"]) == (409, 1, 5)
    assert "generation 1" in told["error"]
    assert (await bench.write(25, if_generation=1)).status == 200
    assert bench.fleet.weight("shop-b") == 25


@pytest.mark.parametrize("body", [None, [], {}, {"weights": {"shop-a": 100}}])
async def test_a_write_that_cannot_be_read_is_refused_with_a_sentence(body):
    bench = Bench()
    answer = await bench.ask("PUT", "/admin/route", body)
    assert answer.status == 422
    assert json.loads(answer.body)["error"]
    assert bench.fleet.route.generation == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:7480"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:7480"}, 200),
        ({"host": "localhost", "origin": "http://127.0.0.1:3000"}, 200),
        ({"host": "rebound.example.org:7480"}, 403),
        ({"host": "127.0.0.1.example.org"}, 403),
        ({"host": "localhost@example.org"}, 403),
        ({"host": "["}, 403),
        ({}, 403),
        ({"host": "localhost", "origin": "https://example.org"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
async def test_admin_answers_to_this_machines_programs_only(headers, status):
    answer = await Bench().ask("GET", "/admin/route", headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/admin/"), ("GET", "/admin/x"), ("DELETE", "/admin/route"), ("GET", "/admin/route/x")]
)
async def test_what_admin_does_not_have_is_404(method, path):
    assert (await Bench().ask(method, path)).status == 404


async def test_a_gateway_that_ignores_says_yes_and_does_nothing():
    bench = Bench()
    bench.faults.switch({"gateway-ignores": True})
    answer = await bench.write(25)
    assert (answer.status, json.loads(answer.body)["backends"]["shop-b"]["weight"]) == (200, 25)
    now = json.loads((await bench.ask("GET", "/admin/route")).body)
    assert (now["backends"]["shop-b"]["weight"], now["generation"]) == (0, 0)


async def test_a_slow_gateways_write_lands_late_unless_it_was_overtaken():
    bench = Bench()
    bench.faults.switch({"gateway-slow": True})
    overtaken = False

    async def meanwhile(seconds: float) -> None:
        nonlocal overtaken
        bench.waits.append(seconds)
        if not overtaken:
            overtaken = True
            await bench.write(0)

    bench.gateway._admin._sleep = meanwhile
    raised = await bench.write(25, if_generation=0)
    assert (raised.status, bench.fleet.weight("shop-b")) == (409, 0)
    raised = await bench.write(25, if_generation=1)
    assert (raised.status, bench.fleet.weight("shop-b")) == (200, 25)
    assert bench.waits == [SLOW_SECONDS] * 3


async def test_a_slow_gateway_is_slow_to_read_and_quick_to_mend():
    bench = Bench()
    await bench.ask("PUT", "/admin/faults", {"gateway-slow": True})
    await bench.ask("GET", "/admin/route")
    assert bench.waits == [SLOW_SECONDS]
    await bench.ask("PUT", "/admin/faults", {"gateway-slow": False})
    await bench.ask("GET", "/admin/route")
    assert bench.waits == [SLOW_SECONDS]


async def test_faults_are_told_and_switched():
    bench = Bench()
    told = json.loads((await bench.ask("PUT", "/admin/faults", {"errors": True})).body)["faults"]
    assert told["errors"]["on"] is True
    assert told["latency"]["on"] is False
    assert json.loads((await bench.ask("GET", "/admin/faults")).body)["faults"] == told
    refused = await bench.ask("PUT", "/admin/faults", {"eror": True, "errors": False})
    assert (refused.status, bench.faults.is_on("errors")) == (422, True)


async def test_a_deployment_replaces_one_sides_version():
    bench = Bench()
    assert (await bench.ask("POST", "/admin/backends/shop-b", {"version": "v1.5.1"})).status == 200
    assert bench.deployed == [("shop-b", "v1.5.1")]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admin/backends/shop-c", {"version": "v1"}, 404),
        ("/admin/backends/shop-b", {}, 422),
        ("/admin/backends/shop-b", {"version": 3}, 422),
        ("/admin/backends/shop-b", {"version": "v1\n"}, 422),
        ("/admin/backends/shop-b", {"version": 'v1"}'}, 422),
        ("/admin/backends/shop-b", {"version": "v1", "image": "x"}, 422),
    ],
)
async def test_a_deployment_of_nothing_is_refused(path, body, status):
    bench = Bench()
    assert (await bench.ask("POST", path, body)).status == status
    assert bench.deployed == []


async def test_metrics_that_hang_answer_when_the_fault_ends():
    bench = Bench()
    bench.faults.switch({"metrics-hang": True})
    asked = asyncio.ensure_future(bench.ask("GET", "/metrics"))
    await asyncio.sleep(0)
    assert not asked.done()
    bench.faults.switch({"metrics-hang": False})
    assert (await asyncio.wait_for(asked, 5)).status == 200


async def test_metrics_that_are_nan_have_every_series_and_no_number():
    bench = Bench()
    await bench.gateway.probe()
    healthy = await bench.series()
    bench.faults.switch({"metrics-nan": True})
    spoiled = await bench.series()
    assert set(spoiled) == set(healthy)
    assert all(math.isnan(value) for value in spoiled.values())


async def test_metrics_that_are_garbage_cannot_be_read():
    bench = Bench()
    bench.faults.switch({"metrics-garbage": True})
    answer = await bench.ask("GET", "/metrics")
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"banana|utf-8"):
        read_series(answer.body.decode())


async def test_metrics_that_are_empty_are_no_series():
    bench = Bench()
    bench.faults.switch({"metrics-empty": True})
    answer = await bench.ask("GET", "/metrics")
    assert (answer.status, answer.body) == (200, b"")
