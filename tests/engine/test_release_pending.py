"""What is written is not in effect everywhere; and what somebody else's hand does to the weight."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.events import Step
from engine.inputs import Rehearsed
from engine.judge import Outcome
from engine.state import Phase
from tests.engine.release_driver import PREVIEW, Driver, names, rules, verdict

PENDING = "the route is not accepted: no such backend"


# --- pending


def test_a_weight_that_is_pending_is_not_in_effect_and_is_stuck_in_the_end_with_the_reason() -> None:
    release = Driver().shifting().after(1).land().after(1)
    release.observe(pending=PENDING)
    assert release.step() is Step.SHIFT
    release.after(60).observe(pending=PENDING)
    assert PENDING in release.state.holds["stuck"]
    release.observe()
    assert release.step() is Step.WARMUP


def test_time_with_something_pending_is_no_bake() -> None:
    release = Driver().baking().after(5)
    release.observe(pending=PENDING)
    release.look()
    release.after(5).look()
    before = release.state.baked_s
    release.after(4).observe()
    release.after(1).look()  # a second of it was good, and nobody knows which
    assert release.state.baked_s == before
    release.after(5).look()
    assert release.state.baked_s == before + 5


def test_nothing_is_raised_while_something_is_pending() -> None:
    release = Driver().at_gate()
    release.observe(pending=PENDING)
    for override in (False, True):
        assert names(release.order("advance", override=override, reason="hurry")) == ["OrderRefused"]


def test_a_way_back_that_is_pending_is_neither_proven_nor_written_over() -> None:
    release = Driver().baking()
    release.order("rollback")
    release.land()
    for _ in range(5):
        release.after(3).observe(pending="haproxy-2 is silent")
    assert release.state.rollback_sightings == 0
    assert release.writes == [5, 0]
    release.after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_stables_weight_after_another_version_is_not_written_over_while_it_is_pending() -> None:
    release = Driver().at_gate()
    release.canary = "v3"
    release.after(1).observe()
    release.land()
    for _ in range(5):
        release.after(3).observe(pending=PENDING)
    assert release.writes == [5, 0]


def test_a_raise_is_not_tried_again_while_something_is_pending() -> None:
    release = Driver().shifting().set_weight(2).after(1)
    release.observe(pending=PENDING)
    assert "drift" in release.state.holds
    assert PENDING in str(release.order("retry")[0])
    release.after(1).observe()
    assert names(release.order("retry"))[0] == "OrderAccepted"


# --- by hand


@pytest.mark.parametrize("walk", ["baking", "at_gate", "finishing", "promoted"])
def test_a_weight_that_somebody_sets_to_0_is_their_roll_back(walk: str) -> None:
    release: Driver = getattr(Driver(), walk)()
    release.set_weight(0).after(1).observe(hand="kubectl-edit")
    assert release.phase() is Phase.ROLLING_BACK
    watch = release.state.rollback
    assert watch is not None
    assert watch.who == "kubectl-edit"
    assert "all traffic was put on stable by kubectl-edit" in watch.reason
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_after_the_promotion_a_0_that_was_pending_first_is_their_roll_back_too() -> None:
    release = Driver().promoted().set_weight(0).after(1)
    release.observe(pending=PENDING)
    assert release.phase() is Phase.PROMOTED
    release.after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK


def test_a_0_of_another_release_is_no_roll_back_of_a_promoted_one() -> None:
    release = Driver().promoted().set_weight(0, mark="9.1", by="laneshift").after(1)
    release.observe(marked_release="shop-2")
    assert release.phase() is Phase.PROMOTED


def test_any_other_move_is_held_with_who_and_by_how_much() -> None:
    release = Driver().baking().set_weight(40).after(1)
    release.observe(hand="argocd")
    assert release.state.holds["drift"] == "the weight was raised by argocd from 5% to 40%: roll back, or retry"
    release.set_weight(30).after(1).observe(marked_release="shop-9")
    assert "by release shop-9" in release.state.holds["drift"]


# --- a preview


def preview() -> Driver:
    release = Driver(rules(stages=PREVIEW, items=())).after(1)
    release.observe()
    release.look()
    release.checked("smoke")
    release.order("advance")
    return release


def test_a_preview_writes_nothing_needs_no_verdict_and_its_checks_open_the_gate() -> None:
    release = preview()
    assert release.step() is Step.CHECKS
    release.checked("health")
    assert (release.step(), release.writes, release.state.moved) == (Step.GATE, [], False)
    release.order("advance")
    assert release.writes == [100]


def test_a_preview_can_be_cancelled_and_not_with_traffic_that_somebody_put_on_it() -> None:
    release = preview().set_weight(30).after(1)
    release.observe()
    assert "raised" in release.state.holds["drift"]
    assert names(release.order("cancel")) == ["OrderRefused"]
    release.set_weight(0).after(1).observe()
    assert not release.state.holds
    release.order("cancel")
    assert release.phase() is Phase.CANCELLED


def test_traffic_that_somebody_put_on_a_preview_is_taken_off_by_retry_whatever_the_capacity() -> None:
    release = preview().set_weight(30).after(1)
    release.observe(full=10, stable_ready=2)
    release.order("retry")
    assert release.writes == [0]
    release.land().after(1).observe(full=10, stable_ready=2)
    assert not release.state.holds


def test_harm_to_those_that_somebody_put_on_a_preview_rolls_back() -> None:
    release = preview()
    release.look(verdict("errors", Outcome.FAIL))
    assert release.phase() is Phase.STAGE
    release.set_weight(30).after(1).observe()
    release.look(verdict("errors", Outcome.FAIL))
    assert release.phase() is Phase.ROLLING_BACK


def test_a_preview_is_brought_to_the_size_that_serves() -> None:
    release = Driver(rules(stages=PREVIEW, scale="proportional")).shows(full=4, stable_ready=4)
    release.observe(canary_ready=0)
    assert [event.weight for event in release.said(ev.CapacityAwaited)] == [100]


def test_before_the_release_traffic_that_is_not_ours_stays_when_the_version_changes() -> None:
    release = Driver().after(1)
    release.observe()
    release.set_weight(20).after(1).observe()
    release.canary = "v3"
    release.after(1).observe()
    assert not release.writes


# --- the share that the source counts


def test_another_share_than_the_routers_stands_in_the_way() -> None:
    release = Driver().baking()
    release.watch(60)
    assert release.step() is Step.CHECKS
    off = Driver().shows(share=20).baking()
    off.watch(200)
    assert off.step() is Step.BAKE
    assert "the router shows 20% on the canary, and the source counts 5.0%" in str(off.order("advance")[0])


def test_a_way_back_that_was_tried_and_fails_stands_in_the_way() -> None:
    release = Driver().at_gate()
    release.tell(Rehearsed(at=release.now, ok=False, detail="403: patch httproutes"))
    assert "403: patch httproutes" in str(release.order("advance")[0])
    release.tell(Rehearsed(at=release.now, ok=True))
    assert names(release.order("advance"))[0] == "OrderAccepted"
