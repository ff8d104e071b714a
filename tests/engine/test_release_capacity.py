"""A raise waits until both sides carry it; the way back waits only while nothing of stable is ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import events as ev
from engine.events import Step
from engine.inputs import Scaled
from engine.judge import Outcome
from engine.state import Phase
from tests.engine.release_driver import STAGES, Driver, names, rules, verdict


def waiting(**changes: object) -> Driver:
    """At the first gate, the next weight ordered, and the canary with 1 of the 3 replicas that 25% of 10 needs."""
    release = Driver(rules(**{"scale": "proportional", **changes}))
    release.shows(full=10, stable_ready=10, canary_ready=1, canary_asked=1)
    release.at_gate().after(1).order("advance")
    return release


def test_a_raise_waits_for_the_canarys_replicas_and_asks_for_them() -> None:
    release = waiting()
    assert (release.state.stage, release.step(), release.writes) == (1, Step.SHIFT, [5])
    asked = release.said(ev.CapacityAwaited)[-1]
    assert (asked.weight, asked.scale) == (25, True)
    release.after(5).observe(canary_ready=2)
    assert release.writes == [5]
    release.after(5).observe(canary_ready=3)
    assert release.writes == [5, 25]


def test_a_raise_waits_for_stable_which_is_the_way_back() -> None:
    release = waiting()
    release.after(5).observe(canary_ready=3, stable_ready=9)
    assert release.writes == [5]


def test_where_laneshift_does_not_scale_it_waits_for_what_the_canarys_owner_wants() -> None:
    release = waiting(scale="none")
    assert release.writes == [5, 25]
    late = Driver(rules()).shows(full=10, stable_ready=10, canary_ready=1, canary_asked=2).ready()
    late.order("advance")
    assert not late.writes
    assert not late.said(ev.CapacityAwaited)[-1].scale
    late.after(1).observe(canary_ready=2)
    assert late.writes == [5]


def test_what_was_refused_is_asked_for_again_soon_and_what_was_taken_up_later() -> None:
    release = waiting()
    release.scaled(ok=False, detail="403")
    release.after(4).clock()
    asked = len(release.said(ev.CapacityAwaited))
    release.after(1).clock()
    assert len(release.said(ev.CapacityAwaited)) == asked + 1
    release.scaled(detail="3 replicas asked for")
    release.after(29).clock()
    assert len(release.said(ev.CapacityAwaited)) == asked + 1
    release.after(1).clock()
    assert len(release.said(ev.CapacityAwaited)) == asked + 2


def test_the_answer_to_an_earlier_wish_is_no_answer() -> None:
    release = waiting()
    assert release.tell(Scaled(at=release.now, weight=5, ok=True)) == []


def test_capacity_that_does_not_come_is_held_and_goes_on_when_it_comes() -> None:
    release = waiting(capacity_s=60)
    release.scaled(ok=False, detail="quota exceeded")
    release.after(60).clock()
    assert "the canary has 1 of the 3 ready replicas that 25% needs" in release.state.holds["capacity"]
    assert "quota exceeded" in release.state.holds["capacity"]
    release.after(600).observe(canary_ready=3)
    assert release.writes == [5, 25]
    assert not release.state.holds


def test_the_time_to_converge_begins_when_the_weight_is_written() -> None:
    release = waiting()
    release.after(300).observe(canary_ready=3)
    release.after(59).clock()
    assert not release.state.holds
    release.after(1).clock()
    assert "stuck" in release.state.holds


def test_retry_asks_for_the_size_again_and_gives_it_its_time() -> None:
    release = waiting(capacity_s=60).after(60)
    release.clock()
    assert "capacity" in release.state.holds
    assert "CapacityAwaited" in names(release.order("retry"))
    release.after(59).clock()
    assert not release.state.holds


@pytest.mark.parametrize("stands", ["pause", "pending", "router", "drift", "restart", "failing"])
def test_what_waited_is_not_written_while_something_stands_in_its_way(stands: str) -> None:
    release = waiting(on_fail="hold").after(1)
    shown = {"canary_ready": 3}
    if stands == "pause":
        release.order("pause")
        release.observe(**shown)
    elif stands == "pending":
        release.observe(**shown, pending="not accepted")
    elif stands == "router":
        release.order("pause")
        release.observe(**shown)
        release.lose_router()
        release.order("resume")
    elif stands == "drift":
        release.set_weight(7).observe(**shown)
    elif stands == "restart":
        release.order("pause")
        release.observe(**shown)
        release.restart()
        release.order("resume")
    else:
        release.look(verdict("errors", Outcome.FAIL))
        release.observe(**shown)
    assert release.writes == [5]


def test_an_override_does_not_skip_the_stage_that_waits() -> None:
    release = waiting()
    refused = release.order("advance", override=True, reason="hurry")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert release.state.stage == 1


def test_a_new_engine_reads_the_weight_and_gives_capacity_its_time_anew() -> None:
    release = waiting(capacity_s=60).after(3600)
    release.restart()
    release.observe()
    assert not release.state.holds
    release.after(5).observe(canary_ready=3)
    assert release.writes == [5, 25]


def test_a_raise_that_failed_is_not_written_again_over_a_side_that_shrank_or_while_paused() -> None:
    release = waiting().after(1)
    release.observe(canary_ready=3)
    release.answer(ok=False)
    release.after(5).observe(canary_ready=1)
    assert release.writes == [5, 25]
    release.order("pause")
    release.after(5).observe(canary_ready=3)
    assert release.writes == [5, 25]
    release.order("resume")
    release.observe(canary_ready=3)
    assert release.writes == [5, 25, 25]


def test_a_retry_of_a_raise_is_refused_while_a_side_is_too_small() -> None:
    release = waiting().after(1)
    release.observe(canary_ready=3)
    release.answer()
    release.after(61).observe(canary_ready=1)
    assert "stuck" in release.state.holds
    refused = release.order("retry")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert "1 of the 3 ready replicas" in refused.why


def test_a_lower_weight_by_retry_waits_for_no_capacity() -> None:
    release = waiting().set_weight(40).after(1)
    release.observe(stable_ready=3)
    release.state = replace(release.state, stage=0)
    release.order("retry")
    assert release.writes == [5, 5]


def test_another_version_while_waiting_ends_the_wait() -> None:
    release = waiting().after(1)
    release.observe(canary="v3", canary_ready=3)
    assert release.phase() is Phase.PREFLIGHT
    assert release.writes == [5, 0]
    release.land().after(1).observe(canary="v3", canary_ready=3)
    assert release.writes == [5, 0]


def test_the_last_raise_after_a_holdback_waits_too() -> None:
    stages = (*STAGES[:-1], replace(STAGES[-1], weight=98))
    release = Driver(rules(stages=stages, holdback=2)).shows(full=100, stable_ready=100, canary_asked=98)
    release.shows(canary_ready=98).at_gate().next_gate().next_gate()
    release.shows(canary_asked=100).after(1).observe()
    release.order("advance")
    assert release.writes == [5, 25, 98]
    release.after(200).observe(canary_ready=100)
    assert release.writes == [5, 25, 98, 100]
    assert not release.state.holds
    release.shows(canary_ready=100).arrived().checked("integrity")
    assert release.phase() is Phase.PROMOTED


def test_a_canary_at_no_replicas_is_brought_to_the_size_of_its_first_weight_until_it_is_there() -> None:
    release = Driver(rules(scale="proportional")).shows(full=10, stable_ready=10)
    release.observe(canary_ready=0)
    assert [event.weight for event in release.said(ev.CapacityAwaited)] == [5]
    release.scaled(ok=False, detail="409")
    release.after(5).observe(canary_ready=0)
    assert len(release.said(ev.CapacityAwaited)) == 2
    release.after(5).observe(canary_ready=1)
    assert release.state.canary == "v2"


def test_stable_is_brought_to_size_beside_the_way_back_which_does_not_wait_for_it() -> None:
    release = waiting()
    release.after(1).observe(stable_ready=1)
    said = release.order("rollback")
    assert names(said) == ["OrderAccepted", "RollbackStarted", "CapacityAwaited", "ShiftIntended"]
    assert release.writes == [5, 0]
    release.scaled(ok=False)
    release.after(5).clock()
    assert release.said(ev.CapacityAwaited)[-1].weight == 0
    assert len(release.said(ev.CapacityAwaited)) == 4


def test_a_release_that_waits_for_its_first_weight_can_still_be_cancelled() -> None:
    release = Driver(rules()).shows(full=10, stable_ready=9).ready()
    release.order("advance")
    assert not release.writes
    release.order("cancel")
    assert release.phase() is Phase.CANCELLED
