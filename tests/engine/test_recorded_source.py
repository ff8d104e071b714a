"""Stable's past out of a source that keeps one, in stretches from all of the time asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from engine import registry
from engine.past.recorded import Recorded, RecordsError
from engine.past.source import from_source
from engine.plan.model import Plan, parse_plan
from engine.plan.selector import Subject
from engine.secrets import Secrets
from engine.sources.reading import Query, Reading

DAY = 86400.0
PLAN = {
    "service": "shop",
    "router": {"sandbox": {"url": "http://127.0.0.1:1", "stable": "a", "canary": "b"}},
    "source": {"prometheus": {"url": "http://127.0.0.1:1", "interval": "5s"}},
    "metrics": {
        "errors": {"total": 'requests{v="$version"}', "bad": 'errors{v="$version"}', "alert": "> 2%"},
        "shown": {"gauge": "cpu", "weight": "informational"},
    },
}


class Keeper:
    """Keeps `kept_s` of 50 requests/s, or says `problem`; `asked`: ended how long before now, of how many seconds."""

    kept_s: ClassVar[float] = 0.0
    problem: ClassVar[str] = ""
    started: ClassVar[list[float]] = []
    asked: ClassVar[list[tuple[float, float]]] = []
    closed: ClassVar[int] = 0

    def __init__(self, _config: object, *, now: Callable[[], float]) -> None:
        self._now = now
        Keeper.started.append(now())

    async def past(self, queries: tuple[Query, ...], *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        assert stable == Subject("v1")
        assert [query.metric.name for query in queries] == ["errors"]
        end, newest = self._now(), self.started[-1]
        Keeper.asked.append((round(newest - end), seconds))
        if self.problem:
            return [Reading(end, {}, self.problem)]
        times = [end - seconds + number * step for number in range(int(seconds / step) + 1)]
        return [reading_at(at) for at in times if at >= newest - self.kept_s]

    async def close(self) -> None:
        Keeper.closed += 1


def reading_at(at: float) -> Reading:
    return Reading(at, {("errors", "stable", "total"): {"a/1 requests": 50 * at}})


class Hourglass:
    """A source of another package, without a clock that can be set."""

    def __init__(self, _config: object) -> None:
        self.keeper = Keeper(None, now=lambda: 1e9)
        self.past, self.close = self.keeper.past, self.keeper.close


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What the source keeps."""

    def keeping(kind: type = Keeper, **kept: object) -> None:
        for name, value in {"started": [], "asked": [], "closed": 0, **kept}.items():
            monkeypatch.setattr(Keeper, name, value)
        monkeypatch.setattr(registry, "resolve", lambda _family, _name: kind)

    return keeping


async def read(since_s: float, stretch_s: float = 3600.0, limit_s: float = 60.0) -> Recorded | None:
    plan: Plan = parse_plan(json.dumps(PLAN).encode())
    asked = {"stable": Subject("v1"), "since_s": since_s, "stretch_s": stretch_s, "limit_s": limit_s}
    return await from_source(plan, Secrets(Path("/nowhere")), **asked)


async def test_stretches_are_spread_over_all_of_the_time(keep) -> None:
    keep(kept_s=40 * DAY)
    found = await read(30 * DAY)
    assert found is not None
    assert found.origin == "prometheus: v1 in 8 stretches of the last 30d"
    stretches = sorted(back for back, seconds in Keeper.asked if seconds == 3600)
    assert stretches[0] == 0
    assert stretches[-1] == 30 * DAY - 3600
    assert len(found.scrapes) == 8 * 720
    # Between two stretches lie hours: their requests are nobody's sample.
    assert {(sample.seconds, sample.stable.total) for one in found.scrapes for sample in one} == {(5.0, 250.0)}
    assert Keeper.closed == 1


async def test_a_past_that_is_shorter_than_asked_for_is_read_whole(keep) -> None:
    keep(kept_s=600.0)
    found = await read(30 * DAY)
    assert found is not None
    assert (len(found.scrapes), found.seconds) == (120, 600.0)
    assert found.origin.startswith("prometheus: v1 in one stretch of the last ")


async def test_what_there_is_room_for_is_read_without_a_gap(keep) -> None:
    keep(kept_s=40 * DAY)
    found = await read(9000.0)
    assert found is not None
    assert sorted(one for one in Keeper.asked if one[1] > 100) == [(0, 4500), (4500, 4500)]
    assert found.seconds == 9000.0


async def test_reading_ends_early_with_the_newest_stretch_at_least(keep) -> None:
    keep(kept_s=40 * DAY)
    found = await read(30 * DAY, limit_s=0.0)
    assert found is not None
    assert len(found.scrapes) == 720


async def test_a_source_whose_clock_cannot_be_set_is_asked_for_its_latest_past(keep) -> None:
    keep(Hourglass, kept_s=40 * DAY)
    found = await read(30 * DAY)
    assert found is not None
    assert Keeper.asked == [(0, 3600)]


async def test_no_past_is_none_and_a_past_that_cannot_be_read_an_error(keep) -> None:
    keep(kept_s=-1.0)
    assert await read(DAY) is None
    keep(problem="it is on fire")
    with pytest.raises(RecordsError, match="the prometheus source can't be read: it is on fire"):
        await read(DAY)
    assert Keeper.closed == 1
