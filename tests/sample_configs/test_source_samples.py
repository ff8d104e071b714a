"""The sample plans of sources, read: every metric has its numbers on both sides, from where the plan says."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import generate_latest

import sample_configs
from engine.assembly import queries_of
from engine.judge.metric import Counts, Sample
from engine.plan.model import Plan, parse_plan
from engine.plan.selector import Subject
from engine.secrets import Secrets
from engine.sources.making import source_of
from engine.sources.reading import Differences
from sandbox.metrics import GatewayMetrics
from tests.support.canned_http import Canned, answered, canned

STABLE, CANARY = "v1.4.0", "v1.5.0"
LOOKS_OF_30S = 7  # of 5 s


@pytest.fixture
async def gateway() -> AsyncIterator[Canned]:
    """The sandbox's own page, of ten requests a side."""
    metrics = GatewayMetrics()
    for version in (STABLE, CANARY):
        for _ in range(10):
            metrics.count(version, 200, 0.1)
    async with canned() as server:
        server.answers["/metrics"] = answered(200, generate_latest(metrics.registry), {"Content-Type": "text/plain"})
        yield server


def plan(name: str, replaced: Mapping[str, str]) -> Plan:
    """The sample with its addresses replaced by a test's."""
    text = sample_configs.path(name).read_text(encoding="utf-8")
    for written, real in replaced.items():
        assert written in text
        text = text.replace(written, real)
    return parse_plan(text.encode())


class Looking:
    """Looks at a plan's sources, five seconds apart."""

    def __init__(self, read: Plan) -> None:
        self.at = 1_700_000_000.0
        self.queries = queries_of(read)
        self.source = source_of(read, Secrets(Path("/nowhere")), lambda: self.at)
        self.differences = Differences(self.queries)

    async def look(self) -> dict[str, Sample]:
        reading = await self.source.read(self.queries, canary=Subject(CANARY), stable=Subject(STABLE))
        assert (reading.problem, reading.doubts, reading.lost) == ("", {}, {})
        self.at += 5.0
        return {one.metric: one for one in self.differences.since_last(reading)}


def counts(sample: Sample) -> list[tuple[float, float]]:
    return [(side.total, side.bad) for side in (sample.stable, sample.canary) if isinstance(side, Counts)]


async def test_purchases_are_counted_in_the_database(gateway: Canned, tmp_path: Path) -> None:
    path = tmp_path / "orders.db"

    def sell(version: str, paid: int, failed: int) -> None:
        with closing(sqlite3.connect(path)) as connection:
            states = ["paid"] * paid + ["failed"] * failed + ["open"]
            connection.executemany("insert into orders (version, state) values (?, ?)", [(version, s) for s in states])
            connection.commit()

    written = sample_configs.path("sql.yaml").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection:
        for line in written.splitlines():
            if line.startswith("#   create "):
                connection.execute(line.removeprefix("#   "))
    sell(STABLE, 100, 2)
    addresses = {"http://127.0.0.1:7480/metrics": f"{gateway.url}/metrics", "/var/lib/shop/orders.db": str(path)}
    looking = Looking(plan("sql.yaml", addresses))
    await looking.look()
    sell(STABLE, 50, 1)
    sell(CANARY, 4, 1)
    found = [await looking.look() for _ in range(LOOKS_OF_30S)]
    assert counts(found[0]["error_rate"]) == [(0, 0), (0, 0)]
    seen = [counts(one["checkout_success"]) for one in found]
    assert [one for one in seen if one[0][0]] == [[(51, 1), (5, 1)]]
    await looking.source.close()


async def test_purchases_are_counted_by_a_service_that_answers_json(gateway: Canned) -> None:
    def serve(**versions: tuple[int, int]) -> None:
        told = {name.replace("_", "."): {"checkouts": all_, "paid": paid} for name, (all_, paid) in versions.items()}
        gateway.answers["/stats"] = answered(200, json.dumps({"versions": told}).encode())

    serve(v1_4_0=(81_234, 79_711))
    addresses = {"http://127.0.0.1:7480/metrics": f"{gateway.url}/metrics", "http://127.0.0.1:7490": gateway.url}
    looking = Looking(plan("http-json.yaml", addresses))
    await looking.look()
    serve(v1_4_0=(81_334, 79_809), v1_5_0=(11, 10))
    found = [await looking.look() for _ in range(LOOKS_OF_30S)]
    seen = [counts(one["checkout_success"]) for one in found]
    assert [one for one in seen if one[0][0]] == [[(100, 2), (11, 1)]]
    await looking.source.close()
