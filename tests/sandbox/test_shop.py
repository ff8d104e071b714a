from __future__ import annotations

import json
import random

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from sandbox.faults import NO_HARM, Harm
from sandbox.shop import Shop
from sandbox.store import Store, shopper
from sandbox.wire import Request, Response
from tests.support.exposition import Series, read_series, total

VERSION = "v1.5.0"
CHECK = {"x-laneshift-check": "smoke"}
EMAIL, PASSWORD = shopper(1)


class Bench:
    """A shop whose waits are recorded and take no time."""

    def __init__(self, harm: Harm = NO_HARM) -> None:
        self.harm = harm
        self.now = 0.0
        self.waits: list[float] = []
        self.store = Store()
        self.shop = Shop(
            VERSION, self.store, random.Random(11), lambda: self.harm, sleep=self._sleep, clock=lambda: self.now
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Response:
        data = json.dumps(body).encode() if body is not None else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.shop.handle(Request(method, path, named, data))

    async def browse(self, times: int) -> list[Response]:
        return [await self.ask("GET", "/browse") for _ in range(times)]

    async def check_out(self, times: int) -> list[Response]:
        session = self.store.log_in(EMAIL, PASSWORD)
        body = {"session": session, "product": 1}
        return [await self.ask("POST", "/checkout", body) for _ in range(times)]

    async def series(self) -> Series:
        return read_series((await self.ask("GET", "/metrics")).body.decode())


def share_above(waits: list[float], seconds: float) -> float:
    return sum(wait > seconds for wait in waits) / len(waits)


def share_of(answers: list[Response], outcome: str) -> float:
    return sum(answer.headers["x-outcome"] == outcome for answer in answers) / len(answers)


# Bounds on shares of 20,000 are five standard deviations and more: a right shop fails them once in a million seeds.
async def test_service_times_are_the_baseline():
    bench = Bench()
    await bench.browse(20_000)
    assert 0.042 < share_above(bench.waits, 0.150) < 0.058
    assert 0.006 < share_above(bench.waits, 0.500) < 0.014
    assert max(bench.waits) <= 5


async def test_the_latency_fault_triples_p95_and_p99_and_shows_at_400_ms():
    bench = Bench(Harm(slow=True))
    await bench.browse(20_000)
    assert min(bench.waits) > 0.3
    assert 0.042 < share_above(bench.waits, 0.450) < 0.058
    assert 0.006 < share_above(bench.waits, 1.500) < 0.014
    assert 0.068 < share_above(bench.waits, 0.400) < 0.089


async def test_one_answer_in_a_thousand_is_an_error():
    answers = await Bench().browse(20_000)
    assert 1 <= sum(answer.status == 500 for answer in answers) <= 50
    assert {answer.status for answer in answers} == {200, 500}


@pytest.mark.parametrize(("share", "least", "most"), [(0.05, 0.042, 0.058), (0.1, 0.089, 0.111), (1.0, 1.0, 1.0)])
async def test_a_share_of_errors_is_of_all_answers(share, least, most):
    answers = await Bench(Harm(error_share=share)).browse(20_000)
    assert least <= sum(answer.status == 500 for answer in answers) / len(answers) <= most


async def test_98_percent_of_checkouts_succeed():
    answers = await Bench().check_out(20_000)
    assert 0.975 < share_of(answers, "success") < 0.985
    assert all((answer.status == 200) or answer.headers["x-outcome"] == "failure" for answer in answers)


async def test_the_checkout_fault_fails_half_the_purchases_with_answers_of_200():
    bench = Bench(Harm(lost_purchases=0.5))
    answers = await bench.check_out(20_000)
    assert 0.472 < share_of(answers, "success") < 0.508
    assert sum(answer.status != 200 for answer in answers) <= 50
    assert len(bench.store.orders) == sum(answer.headers["x-outcome"] == "success" for answer in answers)


async def test_health_and_integrity_answer_at_once_whatever_is_wrong():
    bench = Bench(Harm(error_share=1.0, slow=True))
    answers = [await bench.ask("GET", path) for path in ("/healthz", "/integrity")]
    assert [answer.status for answer in answers] == [200, 200]
    assert bench.waits == []
    assert json.loads(answers[1].body)["orphans"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("GET", "/browse?page=1", None, 200),
        ("POST", "/login", {"email": EMAIL, "password": PASSWORD}, 200),
        ("POST", "/login", [], 400),
        ("POST", "/checkout", {}, 401),
        ("GET", "/checkout", None, 404),
        ("GET", "/nowhere", None, 404),
    ],
)
async def test_every_answer_says_its_version(method, path, body, status):
    answer = await Bench().ask(method, path, body)
    assert (answer.status, answer.headers["x-version"]) == (status, VERSION)
    assert json.loads(answer.body)["version"] == VERSION


async def test_metrics_of_an_instance():
    bench = Bench()
    await bench.check_out(300)
    await bench.ask("GET", "/nowhere")
    series = await bench.series()
    assert total(series, "shop_requests_total", version=VERSION) == 301
    assert total(series, "shop_requests_total", version=VERSION, code="404") == 1
    assert 44 <= total(series, "shop_db_pool_in_use", version=VERSION) <= 56
    assert total(series, "shop_db_pool_size", version=VERSION) == 100
    assert total(series, "shop_active_users", version=VERSION) == 1
    assert 0.03 < total(series, "shop_cpu_ratio", version=VERSION) <= 1
    assert total(series, "shop_memory_bytes", version=VERSION) > 2**20


async def test_a_leak_ends_with_its_fault():
    bench = Bench()
    for now, leaks, low, high in [(0, True, 44, 56), (20, False, 89, 95), (40, False, 44, 56)]:
        bench.now = now
        bench.shop.follow_faults()
        bench.harm = Harm(leaks=leaks)
        assert low <= total(await bench.series(), "shop_db_pool_in_use") <= high


async def test_own_requests_are_answered_and_not_counted():
    bench = Bench()
    login = {"email": EMAIL, "password": PASSWORD}
    answers = [await bench.ask("POST", "/login", login, **CHECK), await bench.ask("GET", "/browse", **CHECK)]
    assert [answer.status for answer in answers] == [200, 200]
    series = await bench.series()
    assert total(series, "shop_requests_total") == total(series, "shop_active_users") == 0


async def test_both_text_formats_are_spoken():
    bench = Bench()
    accept = "application/openmetrics-text; version=1.0.0"
    answer = await bench.ask("GET", "/metrics", accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "shop_db_pool_size" in {family.name for family in read_openmetrics(answer.body.decode())}
    plain = await bench.ask("GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
