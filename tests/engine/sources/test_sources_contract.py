"""Every source keeps the contract of sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.contract.sources import (
    HalfContract,
    LastingContract,
    OddNumbersContract,
    RestartContract,
    SourceContract,
)
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.reading import Query, Reading
from tests.engine.sources.worlds import (
    AllTimeWorld,
    CombinedWorld,
    HttpJsonWorld,
    HttpWorld,
    PrometheusWorld,
    ScrapeWorld,
    SqlWorld,
    http_world,
    prometheus_world,
)


class TestScrape(SourceContract, RestartContract, OddNumbersContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[HttpWorld]:
        async with http_world(ScrapeWorld) as world:
            yield world


class TestCombined(SourceContract, RestartContract, OddNumbersContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[HttpWorld]:
        async with http_world(CombinedWorld) as world:
            yield world


class TestHttpJson(SourceContract, RestartContract, OddNumbersContract, HalfContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[HttpWorld]:
        async with http_world(HttpJsonWorld) as world:
            yield world


class TestHttpJsonOfAllTime(SourceContract, LastingContract, OddNumbersContract, HalfContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[HttpWorld]:
        async with http_world(AllTimeWorld) as world:
            yield world


class TestPrometheus(SourceContract, RestartContract, OddNumbersContract, HalfContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[PrometheusWorld]:
        async with prometheus_world() as world:
            yield world


class TestSql(SourceContract, LastingContract, HalfContract):
    @pytest.fixture
    async def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlWorld]:
        world = SqlWorld(tmp_path / "shop.db", monkeypatch)
        yield world
        await world.mend()
        await world.source.close()


class Liar(Source):
    """Reads a world's numbers, and lies in one way."""

    def __init__(self, world: HttpJsonWorld, lie: str) -> None:
        self.honest, self.world, self.lie = world.source, world, lie

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        reading = await self.honest.read(queries, canary=canary, stable=stable)
        if self.lie == "silence is no problem":
            return replace(reading, problem="", doubts={})
        if self.lie == "raises" and reading.problem:
            raise RuntimeError(reading.problem)
        if self.lie == "waits" and reading.problem:
            await asyncio.Event().wait()
        if self.lie == "sides are mixed up":
            return await self.honest.read(queries, canary=stable, stable=stable)
        if self.lie == "no address":
            named = {key: {"x": sum(series.values())} for key, series in reading.values.items()}
            return replace(reading, values=named)
        return reading

    async def close(self) -> None:
        await self.honest.close()


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        ("silence is no problem", SourceContract.test_silence_is_told_and_loses_nothing),
        ("raises", SourceContract.test_nothing_raises_whatever_happens),
        ("waits", SourceContract.test_silence_is_told_and_loses_nothing),
        ("sides are mixed up", SourceContract.test_counts_are_those_of_the_service),
        ("sides are mixed up", SourceContract.test_a_side_of_which_nothing_is_known_is_not_asked_for),
        ("no address", SourceContract.test_a_series_is_named_by_where_it_was_read),
    ],
)
async def test_a_source_that_lies_does_not_keep_it(
    lie: str, broken: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.contract.sources.SLACK_S", 0.5)
    async with http_world(HttpJsonWorld) as world:
        world.source = Liar(world, lie)
        with pytest.raises((AssertionError, RuntimeError, TimeoutError)):
            await broken(SourceContract(), world)
