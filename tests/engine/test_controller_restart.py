"""kill -9 at every record of a release, in virtual time: the next engine goes on with what the journal says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from engine import events as ev
from engine.events import Event
from engine.inputs import Order
from engine.journal.records import Record
from engine.routers import RouterConflict, Write
from engine.state import Phase
from tests.support.engine_bench import Bench, MemoryJournal, bench, rules, stages_entered
from tests.support.fake_shop import Shop
from tests.support.virtual_time import LoopTime, run

HEALTHY = (
    *("Created", "EngineTook", "WeightObserved", "CanarySeen", "PastRead", "ChecksStarted", "CheckFinished"),
    *(
        "ItemTicked",
        "Ticked",
        "VerdictChanged",
        "StageEntered",
        "ShiftIntended",
        "ShiftAnswered",
        "ShiftConfirmed",
        "StepEntered",
    ),
    *("StepEntered", "FinishStarted", "Promoted"),
)
BEFORE_TRAFFIC = ("Created", "EngineTook", "CanarySeen", "ItemTicked")
FAILING = ("RollbackStarted", "ShiftIntended", "ShiftAnswered", "WeightObserved", "RollbackSeen", "RolledBack")


@dataclass(frozen=True)
class Moment:
    """The journal, the world and the time when an append had just got there; `news` are its records."""

    records: tuple[Record, ...]
    news: tuple[Record, ...]
    kept: dict[str, Any]
    shop: Shop
    at: float

    def has(self, kind: str) -> bool:
        return any(record.type == kind for record in self.records)

    def cut(self, seq: int) -> Moment:
        """What is left of it when a damaged journal could be recovered up to this record only."""
        return replace(self, records=self.records[:seq], news=())


async def _moments(breaks_at: int | None) -> list[Moment]:
    async with bench() as release:
        journal, clock = release.journal, asyncio.get_running_loop()
        found = [Moment(tuple(journal.records), tuple(journal.records), {}, release.shop.copy(), clock.time())]

        def note() -> None:
            records = tuple(journal.records)
            news = records[len(found[-1].records) :]
            found.append(Moment(records, news, dict(journal.kept), release.shop.copy(), clock.time()))

        journal.heard = note
        if breaks_at is not None:
            await release.at_stage(breaks_at)
            release.shop.bad_share["canary"] = 0.3
            await release.ends(Phase.ROLLED_BACK)
        else:
            await release.ends(Phase.PROMOTED)
    return found


@cache
def healthy() -> list[Moment]:
    return run(_moments(None))


@cache
def failing() -> list[Moment]:
    """From the start of a roll back on."""
    return [moment for moment in run(_moments(1)) if moment.has("RollbackStarted")]


def of_kind(moments: list[Moment], kind: str) -> list[Moment]:
    """All moments when an event of this kind had got there; of ticks, which are many, every third."""
    found = [moment for moment in moments if any(record.type == kind for record in moment.news)]
    assert found
    return found[::3] if kind == "Ticked" else found


async def resumed(moment: Moment, down_s: float = 5.0) -> Bench:
    """What a new engine finds some seconds after the last one died; it is not started yet."""
    await asyncio.sleep(moment.at + down_s)
    journal = MemoryJournal(list(moment.records), dict(moment.kept))
    return Bench(shop=moment.shop.copy(), journal=journal)


Then = Callable[[Bench, Moment], Coroutine[Any, Any, None]]


def goes_on(moments: Iterable[Moment], then: Then) -> None:
    """`then` for each moment, in a world of its own; it starts the next engine."""

    async def story(moment: Moment) -> None:
        release = await resumed(moment)
        try:
            await then(release, moment)
        finally:
            await release.stop()

    for moment in moments:
        run(story(moment))


def last_intent(moment: Moment) -> Record | None:
    return next((record for record in reversed(moment.records) if record.type == "ShiftIntended"), None)


def land(moment: Moment, shop: Shop) -> None:
    """The dead engine's last write reaches the route after all."""
    intent = last_intent(moment)
    if intent is None:
        return
    data = intent.data
    guard = data["generation"] if data["weight"] else None
    try:
        shop.land(Write("shop-1", data["number"], data["weight"], guard))
    except RouterConflict:
        return


def advances_once_each(history: list[Event]) -> None:
    assert stages_entered(history) == [0, 1, 2]
    entered = -1
    for event in history:
        if isinstance(event, ev.StageEntered):
            entered = event.stage
        if isinstance(event, ev.ShiftIntended):
            assert event.weight == (5, 25, 100)[entered]


def test_the_recorded_releases_have_every_kind_of_event_there_is_in_them() -> None:
    assert {record.type for record in healthy()[-1].records} == set(HEALTHY)
    assert {record.type for moment in failing() for record in moment.news} >= set(FAILING)


@pytest.mark.parametrize("landed", [False, True], ids=["", "the last write landed"])
@pytest.mark.parametrize("kind", HEALTHY)
def test_a_release_goes_on_where_it_was_and_advances_each_stage_once(kind: str, landed: bool) -> None:
    async def then(release: Bench, moment: Moment) -> None:
        if landed:
            land(moment, release.shop)
        release.boot()
        await release.ends(Phase.PROMOTED)
        advances_once_each(release.history)
        assert list(dict.fromkeys(release.shop.writes)) == [5, 25, 100]
        assert release.shop.writes == sorted(release.shop.writes)

    goes_on(of_kind(healthy(), kind), then)


def test_every_prefix_that_a_damaged_journal_may_leave_skips_and_repeats_nothing() -> None:
    """Cut within one append an event may be lost that follows from the one before: then it may hold, and ask."""

    async def then(release: Bench, _moment: Moment) -> None:
        release.boot()
        await asyncio.sleep(60)
        entered = stages_entered(release.history)
        assert entered == [0, 1, 2][: len(entered)]
        assert release.shop.writes == sorted(set(release.shop.writes))
        assert release.shop.writes == [5, 25, 100][: len(release.shop.writes)]

    last = healthy()[-1].records
    inside = {record.seq for moment in healthy() for record in moment.news[:-1]}
    worlds = {seq: next(m for m in healthy() if len(m.records) >= seq) for seq in inside}
    goes_on((worlds[record.seq].cut(record.seq) for record in last if record.seq in inside), then)


def test_a_shift_that_a_damaged_journal_lost_is_written_when_told() -> None:
    async def then(release: Bench, _moment: Moment) -> None:
        release.boot()
        await release.until(lambda: "never recorded" in release.state.holds.get("stuck", ""), limit=30)
        await release.order("retry")
        await release.ends(Phase.PROMOTED)
        assert release.shop.writes == [5, 25, 100]

    entered = next(moment for moment in healthy() if any(r.data.get("stage") == 1 for r in moment.news))
    [seq] = [record.seq for record in entered.news if record.type == "StageEntered"]
    goes_on([entered.cut(seq)], then)


def moved(moments: list[Moment]) -> list[Moment]:
    """Those in which traffic was meant to move."""
    return [moment for moment in moments if moment.has("ShiftIntended")]


@pytest.mark.parametrize("kind", [kind for kind in HEALTHY if kind not in BEFORE_TRAFFIC])
def test_a_weight_lowered_while_the_engine_was_dead_is_not_raised_again(kind: str) -> None:
    async def then(release: Bench, moment: Moment) -> None:
        land(moment, release.shop)
        assert release.shop.weight > 0
        release.shop.set_weight(0)
        release.boot()
        await release.until(
            lambda: release.state.phase is Phase.ROLLED_BACK or "stuck" in release.state.holds, limit=60
        )
        await asyncio.sleep(120)
        assert release.shop.weight == 0

    goes_on(of_kind(moved(healthy()), kind), then)


@pytest.mark.parametrize("kind", [kind for kind in HEALTHY if kind not in BEFORE_TRAFFIC])
def test_rollback_sh_run_while_the_engine_was_dead_is_agreed_with(kind: str) -> None:
    async def then(release: Bench, _moment: Moment) -> None:
        release.shop.run_script("shop-1")
        release.boot()
        await release.ends(Phase.ROLLED_BACK, limit=60)
        assert release.shop.weight == 0

    goes_on(of_kind(moved(healthy()), kind), then)


@pytest.mark.parametrize("landed", [False, True], ids=["", "the last write landed"])
@pytest.mark.parametrize("kind", FAILING)
def test_a_way_back_that_had_begun_is_finished(kind: str, landed: bool) -> None:
    async def then(release: Bench, moment: Moment) -> None:
        if landed:
            land(moment, release.shop)
        release.boot()
        if moment.has("RolledBack"):
            return
        await release.ends(Phase.ROLLED_BACK, limit=60)
        assert release.shop.weight == 0
        assert len(release.all(ev.RollbackStarted)) == 1

    goes_on(of_kind(failing(), kind), then)


def test_time_without_an_engine_is_no_bake() -> None:
    async def story(moment: Moment) -> None:
        release = await resumed(moment, down_s=3600)
        release.boot()
        before = release.state.baked_s
        await asyncio.sleep(2.5)
        assert release.state.baked_s <= before + 2 * release.state.rules.interval_s
        await release.stop()

    run(story(next(m for m in healthy() if m.news[-1].data.get("step") == "bake")))


def test_an_order_repeated_after_a_restart_is_taken_once() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: release.state.canary and not release.state.open_items("pre"))
            await release.until(lambda: release.state.last_tick_at)
            meant: dict[str, Any] = {"stage": release.state.stage, "revision": release.state.revision}
            await release.order("advance", **meant)
            await release.kill()
            release.boot()
            again = Order(at=LoopTime().now(), id="o1", verb="advance", who="ada", **meant)
            assert await release.controller.order(again) == []
            await release.at_stage(0)
            await asyncio.sleep(60)
            assert release.shop.writes == [5]

    run(story())


def test_an_engine_that_dies_again_and_again_still_gets_there() -> None:
    async def story() -> None:
        release = Bench()
        for _ in range(60):
            release.boot()
            await asyncio.sleep(4.7)
            await release.kill()
        release.boot()
        await release.ends(Phase.PROMOTED)
        advances_once_each(release.history)
        await release.stop()

    run(story())
