"""Routers that fail, people who move the weight by hand, and a journal that does not take records."""

from __future__ import annotations

import asyncio

import pytest

from engine import events as ev
from engine.events import StageRule
from engine.outlook import outlook
from engine.state import Phase
from tests.support.engine_bench import Bench, bench, rules
from tests.support.virtual_time import run

ROUTER_FAULTS = ["lost", "hangs", "ignores", "late", "unanswered", "breaks"]


def waits_for(release: Bench) -> str:
    return outlook(release.state, release.state.last_tick_at or 0).waits_for


def test_a_canary_is_not_silent_for_a_gateway_that_takes_its_time() -> None:
    async def story() -> None:
        async with bench() as release:
            release.shop.router_fault = "not-taken"
            await release.until(lambda: "stuck" in release.state.holds)
            await asyncio.sleep(60)
            assert "no gateway has taken it" in waits_for(release)
            assert (release.state.phase, release.state.baked_s) == (Phase.STAGE, 0)
            release.shop.router_fault, release.shop.served = "", release.shop.weight
            await release.ends(Phase.PROMOTED)

    run(story())


# --- by hand


@pytest.mark.parametrize("weight", [3, 60])
def test_a_weight_moved_by_hand_is_held_and_never_undone(weight: int) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.set_weight(weight)
            await release.until(lambda: "drift" in release.state.holds)
            await asyncio.sleep(300)
            assert release.shop.weight == weight
            assert f"by somebody from 25% to {weight}%" in waits_for(release)

    run(story())


def test_all_traffic_put_on_stable_by_hand_is_their_roll_back_and_is_carried_through() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.set_weight(0)
            await release.ends(Phase.ROLLED_BACK)
            assert set(release.shop.writes[2:]) == {0}
            assert release.state.rollback is not None
            assert release.state.rollback.who == "somebody"

    run(story())


def test_after_drift_a_retry_brings_the_stages_weight_back_and_the_release_goes_on() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.set_weight(3)
            await release.until(lambda: "drift" in release.state.holds)
            await release.order("retry")
            await release.ends(Phase.PROMOTED)
            assert release.shop.writes == [5, 25, 3, 25, 100]

    run(story())


def test_a_weight_raised_by_hand_is_taken_back_with_compare_and_set() -> None:
    """Without it the write, come late, would bring traffic back onto a canary that was rolled back meanwhile."""

    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.set_weight(60)
            await release.until(lambda: "drift" in release.state.holds)
            await release.order("retry")
            await release.at_stage(1)
            assert release.shop.asked[-1].generation is not None

    run(story())


def test_a_route_changed_between_reading_and_writing_is_not_written_over() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            release.shop.generation += 1  # somebody touches the route at this very moment
            await release.order("advance")
            await release.until(lambda: "stuck" in release.state.holds)
            await asyncio.sleep(120)
            assert release.shop.writes == []
            await release.order("retry")
            await release.at_stage(0)

    run(story())


def test_rollback_sh_run_by_hand_is_agreed_with() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.run_script("shop-1")
            await release.ends(Phase.ROLLED_BACK)
            assert release.shop.weight == 0
            assert release.all(ev.RollbackStarted)[0].who == "rollback.sh"

    run(story())


# --- the router


@pytest.mark.parametrize("fault", ROUTER_FAULTS)
def test_a_shift_through_a_broken_router_is_said_and_goes_on_when_told_after_it_is_mended(fault: str) -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            release.shop.router_fault = fault
            await release.order("advance")
            await asyncio.sleep(60)
            assert release.state.stage == 0
            assert set(release.shop.writes) <= {5.0}
            if release.state.shifting:
                assert "5%" in waits_for(release)
                assert "stuck" in release.state.holds
            release.shop.router_fault = ""
            await release.until(lambda: not release.state.router_problem and release.state.observed_at)
            if "stuck" in release.state.holds:
                await release.order("retry")
            await release.at_stage(0)
            assert set(release.shop.writes) == {5.0}

    run(story())


@pytest.mark.parametrize("fault", ROUTER_FAULTS)
def test_a_way_back_through_a_broken_router_ends_once_it_is_mended_and_is_loud_until_then(fault: str) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.router_fault = fault
            await release.order("rollback", reason="smells")
            await asyncio.sleep(90)
            if fault not in ("late", "unanswered"):  # with these the weight is there, and read back
                assert release.state.phase is Phase.ROLLBACK_FAILED
                assert release.all(ev.RollbackLate)[-1].failed
                assert "by hand: by hand" in waits_for(release)
            release.shop.router_fault = ""
            await release.ends(Phase.ROLLED_BACK, limit=30)
            await asyncio.sleep(60)
            assert release.shop.weight == 0
            assert set(release.shop.writes[2:]) == {0.0}

    run(story())


@pytest.mark.parametrize("fault", ROUTER_FAULTS)
def test_a_raise_still_under_way_never_lands_after_the_way_back(fault: str) -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            release.shop.router_fault = fault
            await release.order("advance")
            await asyncio.sleep(2)
            release.shop.router_fault = ""
            await release.order("rollback")
            await release.ends(Phase.ROLLED_BACK)
            await asyncio.sleep(60)
            assert release.shop.weight == 0

    run(story())


@pytest.mark.parametrize("fault", ["lost", "hangs", "breaks"])
def test_a_router_that_cannot_be_read_advances_nothing_and_bakes_nothing(fault: str) -> None:
    stages = (StageRule(5, 0, 6, 100), StageRule(25, 0, 30, 100))

    async def story() -> None:
        async with bench(rules(stages=stages)) as release:
            await release.at_stage(1)
            await release.until(lambda: release.state.baked_s > 0)
            release.shop.router_fault = fault
            await asyncio.sleep(8)  # a time limit and an interval that had begun
            before = release.state.baked_s
            await asyncio.sleep(60)
            assert (release.state.stage, release.state.baked_s) == (1, before)
            assert release.state.router_problem in waits_for(release)
            release.shop.router_fault = ""
            await release.ends(Phase.PROMOTED)

    run(story())


def test_with_nothing_of_stable_ready_it_says_so_and_goes_back_when_there_is() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.stable_ready = 0
            await release.until(lambda: release.state.stable_ready == 0)
            await release.order("rollback")
            await asyncio.sleep(10)
            assert release.shop.weight == 25
            assert "nothing of stable is ready" in waits_for(release)
            release.shop.stable_ready = 1
            await release.ends(Phase.ROLLED_BACK, limit=10)

    run(story())


# --- the journal


def test_nothing_is_raised_that_is_not_recorded() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            release.journal.answers.clear()
            advance = asyncio.create_task(release.order("advance"))
            await asyncio.sleep(60)
            assert not advance.done()
            assert release.shop.asked == []
            release.journal.answers.set()
            await advance
            await release.at_stage(0)

    run(story())


@pytest.mark.parametrize("mood", ["hangs", "full"])
def test_a_way_back_needs_no_journal(mood: str) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            if mood == "hangs":
                release.journal.answers.clear()
            else:
                release.journal.is_full = True
            await asyncio.sleep(30)
            await release.order("rollback")
            await release.until(lambda: release.shop.weight == 0, limit=2)
            await release.until(lambda: release.state.phase is Phase.ROLLED_BACK, limit=10)
            assert release.state.journal_late
            assert release.shop.asked[-1].generation is None
            release.journal.is_full = False
            release.journal.answers.set()
            await release.ends(Phase.ROLLED_BACK)
            await release.until(lambda: not release.state.journal_late)
            assert [record.seq for record in release.journal.records] == list(range(1, release.controller.seq + 1))

    run(story())


@pytest.mark.parametrize("mood", ["hangs", "full"])
def test_a_verdict_takes_the_traffic_back_without_a_journal(mood: str) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            if mood == "hangs":
                release.journal.answers.clear()
            else:
                release.journal.is_full = True
            release.shop.bad_share["canary"] = 0.5
            await release.until(lambda: release.shop.weight == 0, limit=20)

    run(story())


def test_a_raise_that_waited_behind_a_journal_that_hangs_is_not_made_before_the_way_back() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            release.journal.answers.clear()
            advance = asyncio.create_task(release.order("advance"))
            await asyncio.sleep(1)
            await release.order("rollback")
            await release.until(lambda: release.state.phase is Phase.ROLLED_BACK, limit=20)
            assert {write.weight for write in release.shop.asked} == {0}
            release.journal.answers.set()
            await advance

    run(story())


def test_a_way_back_asked_for_twice_is_one() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            await asyncio.gather(*(release.order("rollback") for _ in range(5)))
            await release.ends(Phase.ROLLED_BACK)
            assert len(release.all(ev.RollbackStarted)) == 1
            assert not release.all(ev.OrderRefused)

    run(story())


def test_a_rollback_sh_that_cannot_be_written_stops_nothing() -> None:
    async def story() -> None:
        async with bench() as release:

            async def full(_state: object) -> None:
                raise OSError(28, "no space left on device")

            release.controller._script = full
            await release.ends(Phase.PROMOTED)

    run(story())
