"""Several sources as one: side by side, each at its own pace, each with its own faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from engine.judge.metric import Metric, Sample, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources import Source
from engine.sources.combined import Beside, Combined
from engine.sources.reading import Differences, Query, Reading

CANARY, STABLE = Subject("v2"), Subject("v1")
ANY = Selector.parse("any")
ERRORS = Query(Metric("errors", "bad", (Threshold(0.02),)), total=ANY, part=ANY)
SALES = Query(Metric("sales", "bad", (Threshold(0.02),)), total=ANY, part=ANY, source="orders")
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=ANY, source="orders")
QUERIES = (ERRORS, SALES, POOL)


@dataclass
class Counter(Source):
    """Counts ten events a reading; `fault`: `silent`, `breaks`, `hangs`, `doubt`, `lost`."""

    fault: str = ""
    reads: int = 0
    asked: list[tuple[str, ...]] = field(default_factory=list)
    kept: Sequence[Reading] = ()
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        self.reads += 1
        self.asked.append(tuple(query.metric.name for query in queries))
        if self.fault == "hangs":
            await self.hanging.wait()
        if self.fault == "breaks":
            raise ZeroDivisionError("a bug")
        if self.fault == "silent":
            return Reading(0.0, {}, "connection refused")
        doubts = {"sales": "a warning"} if self.fault == "doubt" else {}
        lost = {"0": "zero is silent"} if self.fault == "lost" else {}
        return Reading(0.0, values(queries, 10.0 * self.reads), doubts=doubts, lost=lost)

    async def past(self, queries: tuple[Query, ...], *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        return list(self.kept)

    async def close(self) -> None:
        self.closed = True


def values(queries: tuple[Query, ...], count: float):
    found = {}
    for query in queries:
        for side in ("canary", "stable"):
            for role in query.questions:
                found[query.metric.name, side, role] = {"0 x": count}
    return found


class World:
    """A first source, one beside it, and a clock that goes on by the interval with each look."""

    def __init__(self, *, interval: float = 5.0, beside: float = 5.0) -> None:
        self.at = 1000.0
        self.interval = interval
        self.first, self.orders = Counter(), Counter()
        self.combined = Combined(
            self.first, {"orders": Beside(self.orders, beside)}, interval=interval, now=lambda: self.at
        )
        self.differences = Differences(QUERIES)

    async def look(self, canary: Subject = CANARY) -> Reading:
        reading = await self.combined.read(QUERIES, canary=canary, stable=STABLE)
        self.at += self.interval
        return reading

    async def samples(self) -> dict[str, Sample]:
        return {one.metric: one for one in self.differences.since_last(await self.look())}


def total(sample: Sample) -> float | None:
    return sample.canary.total if sample.canary else None


async def test_each_metric_is_read_from_its_own_source() -> None:
    world = World()
    await world.samples()
    samples = await world.samples()
    assert {name: total(one) for name, one in samples.items()} == {"errors": 10, "sales": 10, "pool": 1}
    assert (world.first.asked[0], world.orders.asked[0]) == (("errors",), ("sales", "pool"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("silent", "orders: connection refused"),
        ("breaks", "orders: the source failed: ZeroDivisionError: a bug"),
        ("doubt", "a warning"),
        ("lost", "partly read: zero is silent"),
    ],
)
async def test_what_one_does_wrong_is_a_doubt_of_its_own_metrics(fault: str, said: str) -> None:
    world = World()
    await world.samples()
    world.orders.fault = fault
    samples = await world.samples()
    assert (total(samples["errors"]), samples["errors"].problem) == (10, "")
    assert (total(samples["sales"]), samples["sales"].problem) == (None, said)


async def test_what_the_first_does_wrong_is_no_doubt_of_the_others() -> None:
    world = World()
    await world.samples()
    world.first.fault = "silent"
    samples = await world.samples()
    assert (total(samples["sales"]), samples["errors"].problem) == (10, "connection refused")
    world.first.fault = ""
    assert total((await world.samples())["errors"]) == 20, "nothing is lost"


async def test_an_address_that_was_never_read_is_missing_from_its_own_source_only() -> None:
    world = World()
    world.orders.fault = "lost"
    world.orders.kept = ()
    reading = await world.look()
    assert set(reading.lost) == {"orders|0"}
    [sales] = Differences((SALES,)).since_last(Reading(0.0, reading.values, lost={"orders|new": "new is silent"}))
    assert sales.problem == "partly read: new is silent"
    assert Differences((ERRORS,)).since_last(Reading(0.0, reading.values, lost={"orders|new": "new is silent"})) == ()


async def test_when_all_are_silent_that_is_the_problem() -> None:
    world = World()
    world.first.fault = world.orders.fault = "silent"
    assert (await world.look()).problem == "connection refused; orders: connection refused"


async def test_a_slow_pace_is_kept_and_its_counters_stand_still_between() -> None:
    world = World(interval=5.0, beside=20.0)
    found = [await world.samples() for _ in range(9)]
    assert (world.first.reads, world.orders.reads) == (9, 3)
    assert [total(one["sales"]) for one in found[1:]] == [0, 0, 0, 10, 0, 0, 0, 10]
    assert all(one["sales"].problem == "" for one in found[1:])
    assert [total(one["pool"]) for one in found[1:6]] == [None, None, None, 1, None], "a gauge is read or it is not"


async def test_one_that_hangs_keeps_no_look_waiting_and_is_said() -> None:
    world = World(interval=0.25, beside=0.25)
    await world.samples()
    world.orders.fault = "hangs"
    found = [await world.samples() for _ in range(4)]
    assert [total(one["errors"]) for one in found] == [10] * 4
    assert [total(one["sales"]) for one in found] == [0, 0, None, None]
    assert found[-1]["sales"].problem == "orders: what it said last is 1s old"
    assert world.orders.reads == 2, "it is not asked again before it has answered"
    world.orders.fault = ""
    world.orders.hanging.set()
    assert total((await world.samples())["sales"]) == 10
    assert total((await world.samples())["sales"]) == 10
    await world.combined.close()


async def test_what_was_said_of_another_revision_is_forgotten() -> None:
    world = World(interval=0.2, beside=60.0)
    await world.look()
    world.orders.fault = "hangs"
    reading = await world.look(Subject("v3"))
    assert "it has not answered" in reading.doubts["sales"]
    assert ("sales", "canary", "total") not in reading.values
    await world.combined.close()
    assert (world.first.closed, world.orders.closed) == (True, True)


async def test_the_past_is_put_together_step_by_step() -> None:
    world = World()
    world.first.kept = [Reading(at, values((ERRORS,), at)) for at in (100.0, 110.0, 120.0)]
    world.orders.kept = [Reading(at + 0.01, values((SALES,), at)) for at in (110.0, 120.0)]
    past = await world.combined.past(QUERIES, stable=STABLE, seconds=20, step=10)
    assert [{metric for metric, *_ in reading.values} for reading in past] == [
        {"errors"},
        {"errors", "sales"},
        {"errors", "sales"},
    ]
    differences = Differences((ERRORS, SALES))
    assert [
        [(one.metric, one.stable and one.stable.total) for one in differences.since_last(reading)] for reading in past
    ] == [[("sales", None)], [("errors", 10)], [("errors", 10), ("sales", 10)]]


async def test_what_each_finds_is_under_its_name() -> None:
    found = await World().combined.examine(QUERIES, canary=CANARY, stable=STABLE)
    assert [(one.grade, one.what) for one in found] == [
        ("ok", "metric errors"),
        ("ok", "orders: metric sales"),
        ("ok", "orders: metric pool"),
    ]
