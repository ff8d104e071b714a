"""The tests that every source passes; a source in another package runs them in the same way.

They need an asyncio test runner such as pytest-asyncio (`asyncio_mode = "auto"`). Write a `World` (the server that is
read, and how to change and break it), give it as the fixture `world`, and subclass what your source promises:

    class TestMySource(SourceContract, RestartContract):
        @pytest.fixture
        async def world(self) -> AsyncIterator[MyWorld]:
            async with my_server() as server:
                yield MyWorld(server)

    SourceContract      every source: counts, silence, nonsense, time limits; it never raises
    RestartContract     its counters begin anew when what it reads restarts
    LastingContract     its counters never begin anew (`Reading.lasting`): one that falls is a doubt
    OddNumbersContract  it can be told NaN or infinity
    HalfContract        it asks for the numbers of one metric one by one, and one of them can fail
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.judge.metric import Counts, Sample
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.reading import Differences, Query, Reading, Side

Shown = Mapping[Side, tuple[float, float]]
"""Side -> (all events, bad events) that it has counted so far; a side that is not there shows nothing."""

STABLE, CANARY, NOBODY = Subject("v1", "b1", "shop-stable"), Subject("v2", "b2", "shop-canary"), Subject()
STRANGE = Subject('v2"} or x{a=~".*', "' or ''='", "../..")
BEFORE: Shown = {"stable": (100, 1), "canary": (10, 0)}
AFTER: Shown = {"stable": (160, 3), "canary": (17, 2)}
GROWN: Shown = {"stable": (60, 2), "canary": (7, 2)}
SLACK_S = 3.0  # beyond a source's own time limit


class World(Protocol):
    """What is read, with a source on it.

    query:   one metric of events, `total` and `part`, of kind `bad`
    limit_s: the source's own time limit for one reading
    """

    source: Source
    query: Query
    limit_s: float

    async def show(self, shown: Shown) -> None:
        """This is what a reading from now on finds; STABLE and CANARY say what the sides are called."""

    async def stop(self) -> None:
        """Nobody answers any more."""

    async def hang(self) -> None:
        """Connections are taken, and nothing is answered."""

    async def garble(self) -> None:
        """What is answered makes no sense."""

    async def mend(self) -> None:
        """All of that is over."""


class BreakableWorld(World, Protocol):
    """Of which one of a metric's numbers can fail."""

    async def break_part(self) -> None:
        """The number of bad events can't be read; that of all can."""


@dataclass
class _Looks:
    """Reads a world and takes the differences."""

    world: World
    canary: Subject = CANARY
    differences: Differences = field(init=False)

    def __post_init__(self) -> None:
        self.differences = Differences((self.world.query,))

    async def read(self) -> Reading:
        """One reading, in time."""
        async with asyncio.timeout(self.world.limit_s + SLACK_S):
            return await self.world.source.read((self.world.query,), canary=self.canary, stable=STABLE)

    async def sample(self) -> Sample | None:
        """What is new since the last reading."""
        return next(iter(self.differences.since_last(await self.read())), None)

    async def shown(self, shown: Shown) -> Sample | None:
        """What is new once this is shown."""
        await self.world.show(shown)
        return await self.sample()


def _counts(counts: Counts | None) -> tuple[float, float]:
    assert counts is not None, "this side was read"
    return counts.total, counts.bad


def _news(sample: Sample | None) -> dict[Side, tuple[float, float]]:
    assert sample is not None, "there was a reading before"
    assert sample.problem == "", sample.problem
    return {"stable": _counts(sample.stable), "canary": _counts(sample.canary)}


def _unread(sample: Sample | None) -> str:
    """The reason why nothing counts; there must be one."""
    assert sample is not None, "a reading that fails is told"
    assert (sample.stable, sample.canary) == (None, None), "nothing of it counts"
    assert sample.problem, "the reason is said"
    return sample.problem


class SourceContract:
    """What every source does."""

    async def test_counts_are_those_of_the_service(self, world: World) -> None:
        looks = _Looks(world)
        assert await looks.shown(BEFORE) is None
        assert _news(await looks.shown(AFTER)) == GROWN

    async def test_nothing_new_is_no_event(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown(BEFORE)
        same = await looks.shown(BEFORE)
        assert _news(same) == {"stable": (0, 0), "canary": (0, 0)}

    async def test_a_side_that_is_not_there_has_no_events(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown({"stable": (100, 1)})
        sample = await looks.shown({"stable": (160, 3)})
        assert sample is not None
        assert _counts(sample.stable) == (60, 2)
        assert sample.canary is None or sample.canary.total == 0

    async def test_nothing_at_all_is_no_event(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown({})
        sample = await looks.shown({})
        for counts in (sample.stable, sample.canary) if sample else ():
            assert counts is None or counts.total == 0

    async def test_a_side_of_which_nothing_is_known_is_not_asked_for(self, world: World) -> None:
        await world.show(BEFORE)
        reading = await _Looks(world, canary=NOBODY).read()
        assert {side for _, side, _ in reading.values} == {"stable"}
        assert reading.problem == ""

    async def test_a_version_is_a_value_whatever_is_in_it(self, world: World) -> None:
        looks = _Looks(world, canary=STRANGE)
        await looks.shown(BEFORE)
        sample = await looks.shown(AFTER)
        assert sample is not None
        assert _counts(sample.stable) == (60, 2)
        assert sample.canary is None or sample.canary.total == 0

    async def test_silence_is_told_and_loses_nothing(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown(BEFORE)
        for trouble in (world.stop, world.hang, world.garble):
            await trouble()
            assert _unread(await looks.sample())
            await world.mend()
        assert _news(await looks.shown(AFTER)) == GROWN

    async def test_nothing_raises_whatever_happens(self, world: World) -> None:
        await world.show(BEFORE)
        for trouble in (world.stop, world.hang, world.garble, world.mend):
            await trouble()
            await _Looks(world).read()
            async with asyncio.timeout(10 * (world.limit_s + SLACK_S)):
                found = await world.source.examine((world.query,), canary=CANARY, stable=STABLE)
                past = await world.source.past((world.query,), stable=STABLE, seconds=60.0, step=5.0)
            assert found, "the doctor is told something"
            assert [reading.at for reading in past] == sorted(reading.at for reading in past)
            assert {side for reading in past for _, side, _ in reading.values} <= {"stable"}
            await world.mend()

    async def test_a_series_is_named_by_where_it_was_read(self, world: World) -> None:
        await world.show(BEFORE)
        reading = await _Looks(world).read()
        names = [name for series in reading.values.values() for name in series]
        assert names
        assert all(name.partition(" ")[0] and name.partition(" ")[2] for name in names), names
        if reading.places is not None:
            assert {name.partition(" ")[0] for name in names} <= reading.places

    async def test_it_is_closed_twice_and_while_it_reads(self, world: World) -> None:
        await world.show(BEFORE)
        await world.hang()
        reading = asyncio.create_task(_Looks(world).read())
        await asyncio.sleep(0.05)
        await world.source.close()
        await world.source.close()
        await asyncio.wait_for(asyncio.gather(reading, return_exceptions=True), world.limit_s + SLACK_S)
        await world.mend()


class RestartContract:
    """Counters that begin anew."""

    async def test_a_counter_that_fell_began_anew(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown({"stable": (100, 1), "canary": (50, 5)})
        assert _news(await looks.shown({"stable": (160, 3), "canary": (4, 1)})) == {"stable": (60, 2), "canary": (4, 1)}


class LastingContract:
    """Counters that never begin anew."""

    async def test_a_count_that_falls_is_a_doubt_once(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown({"stable": (100, 1), "canary": (50, 5)})
        assert "fell" in _unread(await looks.shown({"stable": (160, 3), "canary": (4, 1)}))
        assert _news(await looks.shown({"stable": (170, 3), "canary": (6, 1)})) == {"stable": (10, 0), "canary": (2, 0)}


class OddNumbersContract:
    """Numbers that are none."""

    async def test_what_is_no_number_is_doubted_and_changes_no_counter(self, world: World) -> None:
        looks = _Looks(world)
        await looks.shown(BEFORE)
        for odd in (math.nan, math.inf):
            assert _unread(await looks.shown({"stable": (130, 2), "canary": (odd, 0)}))
        assert _news(await looks.shown(AFTER)) == GROWN


class HalfContract:
    """Answers of which a half is missing."""

    async def test_half_an_answer_is_none(self, world: BreakableWorld) -> None:
        looks = _Looks(world)
        await looks.shown(BEFORE)
        await world.show({"stable": (130, 2), "canary": (13, 0)})
        await world.break_part()
        assert _unread(await looks.sample())
        await world.mend()
        assert _news(await looks.shown(AFTER)) == GROWN
