"""Whole releases, run by the real controller on a fake shop in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import events as ev
from engine.events import CheckOutcome, Step
from engine.outlook import outlook
from engine.state import Phase
from tests.support.engine_bench import bench, rules, stages_entered
from tests.support.fake_shop import Shop
from tests.support.virtual_time import run


def test_a_healthy_release_goes_through_every_stage_and_is_promoted() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.ends(Phase.PROMOTED)
            assert stages_entered(release.history) == [0, 1, 2]
            assert release.shop.writes == [5, 25, 100]
            assert release.state.weights == (5, 25, 100)
            assert release.said == release.history[1:]
            assert release.scripts == [-1, 0, 1, 2]

    run(story())


def test_a_promoted_release_is_let_go_when_its_old_side_is_kept_no_more() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.ends(Phase.PROMOTED)
            await release.until(lambda: release.state.keep_until is None)
            assert "OrderRefused" in [type(event).__name__ for event in await release.order("rollback")]
            assert release.shop.weight == 100

    run(story())


def test_a_promoted_release_is_rolled_back_while_its_old_side_is_kept() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.ends(Phase.PROMOTED)
            await release.order("rollback", reason="regrets")
            await release.ends(Phase.ROLLED_BACK)
            assert release.shop.weight == 0

    run(story())


def test_with_manual_advance_nothing_moves_until_somebody_says_so() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: outlook(release.state, 0).orders)
            await asyncio.sleep(60)
            assert release.shop.writes == []
            for stage in range(3):
                await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
                await release.order("advance")
                await release.at_stage(stage)
                await release.until(lambda: release.state.step is Step.GATE)
                before = list(release.shop.writes)
                await asyncio.sleep(60)
                assert release.shop.writes == before
            await release.order("advance")
            await release.ends(Phase.PROMOTED)
            assert release.shop.writes == [5, 25, 100]

    run(story())


def test_two_people_who_advance_at_once_advance_one_stage() -> None:
    async def story() -> None:
        async with bench(rules(auto_advance=False)) as release:
            await release.until(lambda: "advance" in outlook(release.state, release.state.last_tick_at or 0).orders)
            meant = {"stage": release.state.stage, "revision": release.state.revision}
            both = await asyncio.gather(release.order("advance", **meant), release.order("advance", **meant))
            kinds = [{type(event).__name__ for event in events} for events in both]
            assert ["OrderAccepted" in said for said in kinds] == [True, False]
            await asyncio.sleep(60)
            assert release.shop.writes == [5]

    run(story())


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_errors_of_the_canary_roll_back_from_every_stage(stage: int) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(stage)
            release.shop.bad_share["canary"] = 0.2
            await release.ends(Phase.ROLLED_BACK, limit=150)  # at 100% there is no control: it takes 90 s
            assert release.shop.weight == 0
            [started] = release.all(ev.RollbackStarted)
            assert (started.metric, started.who) == ("errors", "laneshift")
            assert max(release.shop.writes) == (5, 25, 100)[stage]

    run(story())


def test_errors_on_both_sides_are_not_blamed_on_the_canary_alone() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.bad_share = {"canary": 0.2, "stable": 0.2}
            await asyncio.sleep(120)
            assert release.state.stage == 1
            assert release.state.phase is Phase.STAGE
            assert "both versions" in outlook(release.state, release.state.last_tick_at or 0).waits_for

    run(story())


@pytest.mark.parametrize("policy", ["hold", "ask"])
def test_a_failing_metric_that_is_not_to_roll_back_stops_the_release(policy: Any) -> None:
    async def story() -> None:
        async with bench(rules(on_fail=policy)) as release:
            await release.at_stage(1)
            release.shop.bad_share["canary"] = 0.2
            await release.until(lambda: release.state.holds or release.state.questions)
            await asyncio.sleep(100)
            assert release.state.phase is Phase.STAGE
            assert release.shop.writes == [5, 25]
            assert "errors" in outlook(release.state, release.state.last_tick_at or 0).waits_for
            if policy == "ask":
                await release.ends(Phase.ROLLED_BACK, limit=60)  # nobody answered for two minutes

    run(story())


def test_a_question_answered_with_resume_stands_where_it_is() -> None:
    async def story() -> None:
        async with bench(rules(on_fail="ask")) as release:
            await release.at_stage(1)
            release.shop.bad_share["canary"] = 0.2
            await release.until(lambda: release.state.questions)
            await release.order("resume", reason="a known test")
            await asyncio.sleep(300)
            assert release.state.phase is Phase.STAGE
            assert release.shop.writes == [5, 25]

    run(story())


def test_a_pause_stops_advancing_and_guards_on() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(0)
            await release.order("pause")
            await asyncio.sleep(120)
            assert release.shop.writes == [5]
            release.shop.bad_share["canary"] = 0.2
            await release.ends(Phase.ROLLED_BACK, limit=60)

    run(story())


def test_a_paused_release_goes_on_when_it_is_resumed() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(0)
            await release.order("pause")
            await asyncio.sleep(60)
            await release.order("resume")
            await release.ends(Phase.PROMOTED)

    run(story())


# --- the source


@pytest.mark.parametrize("fault", ["silent", "hangs", "breaks", "nan", "gauges-only"])
@pytest.mark.parametrize("then", ["hold", "rollback"])
def test_blindness_never_advances_and_does_what_the_plan_says(fault: str, then: Any) -> None:
    async def story() -> None:
        async with bench(rules(blind_then=then)) as release:
            await release.at_stage(1)
            release.shop.source_fault = fault
            if then == "rollback":
                await release.ends(Phase.ROLLED_BACK, limit=60)
                assert release.all(ev.RollbackStarted)[0].metric == "blind"
                return
            await release.until(lambda: "blind" in release.state.holds, limit=60)
            await asyncio.sleep(120)
            assert release.shop.writes == [5, 25]
            assert outlook(release.state, release.state.last_tick_at or 0).waits_for
            release.shop.source_fault = ""
            await release.ends(Phase.PROMOTED)

    run(story())


@pytest.mark.parametrize("fault", ["silent", "hangs", "breaks", "nan", "gauges-only"])
def test_time_without_an_answer_of_the_source_is_no_bake(fault: str) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            await release.until(lambda: release.state.baked_s > 0)
            release.shop.source_fault = fault
            await asyncio.sleep(5)  # an interval that had begun may count
            before = release.state.baked_s
            await asyncio.sleep(10)
            assert release.state.baked_s == before

    run(story())


@pytest.mark.parametrize("fault", ["canary-silent", "canary-gone"])
def test_a_canary_that_shows_nothing_while_stable_does_is_a_failure(fault: str) -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.source_fault = fault
            await release.ends(Phase.ROLLED_BACK, limit=60)
            assert release.all(ev.RollbackStarted)[0].metric == "liveness"

    run(story())


# --- checks


def says(**scripts: list[CheckOutcome | str]) -> Shop:
    return Shop(check_says=dict(scripts))


def test_a_check_that_says_no_once_is_asked_again() -> None:
    async def story() -> None:
        async with bench(shop=says(health=[CheckOutcome.FAIL])) as release:
            await release.ends(Phase.PROMOTED)

    run(story())


def test_a_stage_check_that_says_no_twice_rolls_back() -> None:
    async def story() -> None:
        async with bench(shop=says(health=[CheckOutcome.FAIL, CheckOutcome.FAIL])) as release:
            await release.ends(Phase.ROLLED_BACK)
            assert "said no twice" in release.all(ev.RollbackStarted)[0].reason

    run(story())


@pytest.mark.parametrize("trouble", [CheckOutcome.ERROR, "hangs", "breaks", "no-json"])
@pytest.mark.parametrize("name", ["smoke", "health", "integrity"])
def test_a_check_that_cannot_run_stands_until_it_is_retried(name: str, trouble: CheckOutcome | str) -> None:
    async def story() -> None:
        async with bench(shop=says(**{name: [trouble]})) as release:
            await release.until(lambda: CheckOutcome.ERROR in [one.outcome for one in release.state.checks.values()])
            before = list(release.shop.writes)
            await asyncio.sleep(60)
            assert release.shop.writes == before
            assert f"check {name} could not run" in outlook(release.state, release.state.last_tick_at or 0).waits_for
            await release.order("retry")
            await release.ends(Phase.PROMOTED)

    run(story())


def test_a_check_without_the_canarys_address_is_an_error() -> None:
    async def story() -> None:
        async with bench() as release:
            release.controller._parts.checks.clear()
            await release.until(lambda: CheckOutcome.ERROR in [one.outcome for one in release.state.checks.values()])
            assert release.shop.writes == []

    run(story())


# --- the revision


def test_another_version_in_mid_release_takes_the_traffic_back_and_starts_anew_only_when_told() -> None:
    async def story() -> None:
        async with bench() as release:
            await release.at_stage(1)
            release.shop.canary = "v3"
            await release.until(lambda: "revision" in release.state.holds)
            await release.until(lambda: release.shop.weight == 0)
            await asyncio.sleep(120)
            assert release.shop.writes == [5, 25, 0]
            release.shop.canary = "v2"
            await release.until(lambda: "from v3 to v2" in release.state.holds["revision"])
            await release.order("retry")
            await release.ends(Phase.PROMOTED)
            assert release.shop.writes == [5, 25, 0, 5, 25, 100]

    run(story())


def test_a_canary_that_never_comes_cancels_the_release() -> None:
    async def story() -> None:
        async with bench(rules(wait_for_canary_s=30.0), shop=Shop(ready=0)) as release:
            await release.ends(Phase.CANCELLED, limit=60)
            assert release.shop.asked == []

    run(story())


def test_a_release_is_cancelled_while_it_waits() -> None:
    async def story() -> None:
        async with bench(shop=Shop(ready=0)) as release:
            await release.order("cancel")
            await release.ends(Phase.CANCELLED)

    run(story())


def test_stables_past_is_read_first_and_a_baseline_that_disagrees_with_it_is_said() -> None:
    async def story() -> None:
        async with bench(shop=Shop(past_share=0.0034)) as release:
            await release.until(lambda: release.all(ev.PastRead))
            read = release.all(ev.PastRead)[0]
            await release.at_stage(0)
            kinds = [type(event) for event in release.history]
            assert kinds.index(ev.PastRead) < kinds.index(ev.StageEntered)
            assert read.seconds > 3000
            [remark] = read.remarks
            assert "0.10%" in remark
            assert "0.34%" in remark

    run(story())


def test_a_past_that_cannot_be_read_keeps_no_release_from_going_on() -> None:
    async def story() -> None:
        async with bench(shop=Shop(source_fault="hangs")) as release:
            await release.until(lambda: release.all(ev.PastRead))
            assert release.all(ev.PastRead)[0].seconds == 0
            release.shop.source_fault = ""
            await release.ends(Phase.PROMOTED)

    run(story())
