"""Every row of the table at the top of engine/release, in its order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import events as ev
from engine.events import CheckOutcome, Step
from engine.inputs import SupersedeOld
from engine.judge import Outcome
from engine.state import GOING_BACK, Phase
from tests.engine.release_driver import STAGES, Driver, names, rules, verdict

FAIL, PASS, ERROR = CheckOutcome.FAIL, CheckOutcome.PASS, CheckOutcome.ERROR


# --- preflight


def test_a_canary_that_is_ready_at_the_wanted_version_is_the_revision_and_the_pre_checks_start() -> None:
    release = Driver()
    said = release.observe()
    assert names(said) == ["WeightObserved", "CanarySeen", "ChecksStarted"]
    assert (release.state.canary, release.state.stable) == ("v2", "v1")


@pytest.mark.parametrize("shown", [{"canary": "v3"}, {"canary": ""}, {"canary_ready": 0}, {"stable": ""}])
def test_another_version_or_one_not_ready_is_waited_for(shown: dict[str, object]) -> None:
    release = Driver()
    release.observe(**shown)
    assert release.state.canary == ""


def test_a_canary_that_does_not_come_in_time_ends_the_release_as_cancelled() -> None:
    release = Driver()
    release.observe(canary="")
    release.after(599).clock()
    assert release.phase() is Phase.PREFLIGHT
    release.after(1).clock()
    assert release.phase() is Phase.CANCELLED
    assert "v2 was not ready within 600 s" in release.state.ending


def test_an_engine_that_comes_late_looks_before_it_gives_a_canary_up() -> None:
    release = Driver().after(3600)
    release.restart()
    assert release.phase() is Phase.PREFLIGHT
    release.observe()
    assert release.state.canary == "v2"


def test_traffic_on_the_canary_before_the_release_began_holds_it_until_there_is_none() -> None:
    release = Driver().set_weight(20)
    release.observe()
    assert "20%" in release.state.holds["target"]
    release.set_weight(0).observe()
    assert not release.state.holds


def test_an_advance_with_all_pre_items_settled_intends_the_first_raise() -> None:
    release = Driver().ready()
    said = release.order("advance")
    assert names(said) == ["OrderAccepted", "StageEntered", "ShiftIntended"]
    assert release.intended.weight == 5
    assert (release.intended.base, release.intended.generation) == (0.0, "1")


def test_an_open_pre_item_refuses_the_advance_and_nothing_overrides_it() -> None:
    release = Driver().ready()
    release.order("untick", item="security")
    for override in (False, True):
        refused = release.order("advance", override=override, reason="hurry")[0]
        assert isinstance(refused, ev.OrderRefused)
        assert "security" in refused.why


def test_an_item_waived_with_a_reason_is_settled_and_its_check_counts_no_more() -> None:
    release = Driver().after(1)
    release.observe()
    release.look()
    release.order("tick", item="security")
    for _ in range(2):
        release.checked("smoke", FAIL)
    assert names(release.order("waive", item="smoke")) == ["OrderRefused"]
    release.order("waive", item="smoke", reason="known flake")
    assert names(release.order("advance"))[0] == "OrderAccepted"


def test_a_release_is_cancelled_before_any_traffic_moved_and_not_after() -> None:
    release = Driver().ready()
    release.order("cancel")
    assert release.phase() is Phase.CANCELLED
    moved = Driver().shifting()
    assert names(moved.order("cancel")) == ["OrderRefused"]


# --- stage: shift


def test_a_weight_read_back_as_intended_goes_on_to_warmup() -> None:
    release = Driver().shifting().arrived()
    assert release.step() is Step.WARMUP
    assert release.state.weights == (5.0,)


def test_a_raise_that_failed_is_written_again_while_the_route_is_what_it_was() -> None:
    release = Driver().shifting().after(1)
    release.answer(ok=False, detail="no answer")
    release.after(1).observe()
    assert release.writes == [5]
    release.after(1).observe()
    assert release.writes == [5, 5]


def test_a_raise_is_not_written_again_over_a_route_that_somebody_touched() -> None:
    release = Driver().shifting().after(1)
    release.answer(ok=False, detail="no answer")
    release.set_weight(0).after(5).observe()
    assert release.writes == [5]


def test_a_raise_is_not_written_again_while_something_holds_the_release() -> None:
    release = Driver(rules(on_fail="hold")).shifting().after(1)
    release.answer(ok=False)
    release.look(verdict("errors", Outcome.FAIL))
    release.after(5).observe()
    assert release.writes == [5]


def test_a_weight_that_does_not_arrive_within_converge_is_stuck_until_retried() -> None:
    release = Driver().shifting().after(1)
    release.answer()  # answered as done, and ignored
    release.after(60).observe()
    assert "5% was not in effect within 60 s: it shows 0%" in release.state.holds["stuck"]
    said = release.order("retry")
    assert "ShiftIntended" in names(said)
    release.arrived()
    assert not release.state.holds


def test_a_conflict_is_stuck_at_once_and_says_so() -> None:
    release = Driver().shifting().after(1)
    release.answer(ok=False, conflict=True, detail="generation 7")
    assert "the route changed" in release.state.holds["stuck"]


def test_a_conflict_that_comes_after_the_weight_was_read_back_means_nothing() -> None:
    release = Driver().shifting().set_weight(5).after(1)
    release.observe()
    release.answer(ok=False, conflict=True)
    assert not release.state.holds


def test_a_weight_that_somebody_else_set_holds_and_is_never_undone_by_itself() -> None:
    release = Driver().shifting().set_weight(2).after(1)
    release.observe()
    assert "by hand" in release.state.holds["drift"]
    release.after(60).observe()
    assert release.writes == [5]


# --- stage: warmup, bake


def test_warmup_and_bake_are_sums_of_good_looks() -> None:
    release = Driver().shifting().arrived()
    release.watch(5)
    assert (release.state.step, release.state.warmed_s) == (Step.BAKE, 5.0)
    release.watch(10)
    assert release.step() is Step.CHECKS


def test_one_look_adds_two_intervals_at_most() -> None:
    release = Driver().baking().after(500)
    release.observe()
    release.look()
    assert release.state.baked_s == 10.0


@pytest.mark.parametrize("spoil", ["weight", "source", "router", "engine"])
def test_the_time_up_to_and_after_a_bad_look_is_no_bake(spoil: str) -> None:
    release = Driver().baking().after(5)
    before = release.state.baked_s
    if spoil == "weight":
        release.set_weight(3).observe()
        release.look()
        release.set_weight(5)
    elif spoil == "source":
        release.look(problem="no scrape")
    elif spoil == "router":
        release.lose_router()
    else:
        release.restart()
    release.after(5).observe()
    release.look()
    assert release.state.baked_s == before
    release.after(5).look()
    assert release.state.baked_s == before + 5


@pytest.mark.parametrize("outcome", [Outcome.INCONCLUSIVE, Outcome.NO_DATA, Outcome.ERROR])
def test_a_bake_does_not_end_on_a_verdict_that_is_no_pass(outcome: Outcome) -> None:
    release = Driver().baking().watch(60, verdict("latency", outcome))
    assert release.step() is Step.BAKE
    release.after(5).look()
    assert release.step() is Step.CHECKS


def test_a_bake_needs_its_requests_too() -> None:
    few = [verdict(name, requests=99) for name in ("errors", "latency", "cpu")]
    release = Driver().shifting().arrived().watch(60, *few)
    assert release.step() is Step.BAKE


def test_until_either_a_bake_ends_with_its_time_or_its_requests() -> None:
    few = [verdict(name, requests=9) for name in ("errors", "latency", "cpu")]
    release = Driver(rules(until="either")).shifting().arrived().watch(20, *few)
    assert release.step() is Step.CHECKS


def test_an_informational_metric_decides_nothing() -> None:
    release = Driver().baking().watch(10, verdict("cpu", Outcome.FAIL))
    assert release.step() is Step.CHECKS


def test_the_verdicts_of_one_stage_are_no_proof_for_the_next() -> None:
    release = Driver().at_gate()
    release.order("advance")
    assert not release.state.verdicts


# --- stage: checks


def test_a_check_that_says_no_is_asked_once_more_and_a_second_no_fails() -> None:
    release = Driver().baking().watch(10)
    assert names(release.checked("health", FAIL)) == ["CheckFinished", "ChecksStarted"]
    release.checked("health", FAIL)
    assert release.phase() is Phase.ROLLING_BACK
    assert release.state.rollback is not None
    assert "check health said no twice" in release.state.rollback.reason


def test_a_check_that_says_yes_the_second_time_is_enough() -> None:
    release = Driver().baking().watch(10)
    release.checked("health", FAIL)
    release.checked("health", PASS)
    assert release.step() is Step.GATE


def test_a_check_that_cannot_run_stands_until_retry() -> None:
    release = Driver().baking().watch(10)
    release.checked("health", ERROR)
    release.after(60).clock()
    assert release.step() is Step.CHECKS
    assert names(release.order("retry")) == ["OrderAccepted", "ChecksStarted"]
    release.checked("health")
    assert release.step() is Step.GATE


def test_a_check_asked_again_by_retry_has_its_two_answers_again() -> None:
    release = Driver(rules(on_fail="hold")).baking().watch(10)
    for _ in range(2):
        release.checked("health", FAIL)
    assert "failing check health" in release.state.holds
    release.order("retry")
    assert names(release.checked("health", FAIL)) == ["CheckFinished", "ChecksStarted"]


def test_the_answer_to_an_earlier_question_is_no_answer_to_this_one() -> None:
    release = Driver().baking().watch(10)
    old = release.state.checks["stage/health"].attempt
    release.order("advance", override=True, reason="known")
    release.arrived().watch(20)
    assert release.checked("health", attempt=old) == []
    assert release.step() is Step.CHECKS


def test_two_lists_may_have_a_check_of_the_same_name() -> None:
    release = Driver(rules(checks={"pre": ("smoke",), "stage": ("smoke",)})).baking().watch(10)
    assert release.step() is Step.CHECKS
    assert release.state.checks["stage/smoke"].outcome is None


def test_a_check_that_says_yes_at_last_answers_the_question_about_it() -> None:
    release = Driver(rules(on_fail="ask")).baking().watch(10)
    for _ in range(2):
        release.checked("health", FAIL)
    assert "check health" in release.state.questions
    release.order("retry")
    release.checked("health")
    release.after(200).clock()
    assert release.phase() is Phase.STAGE


# --- stage: gate


def test_at_the_gate_an_advance_brings_the_next_stage() -> None:
    release = Driver().at_gate()
    release.after(1).order("advance")
    assert (release.state.stage, release.intended.weight, release.intended.base) == (1, 25, 5.0)


def test_after_the_last_stage_an_advance_finishes() -> None:
    release = Driver().finishing()
    assert release.phase() is Phase.FINISHING
    assert release.writes == [5, 25, 100]


def test_an_engine_told_to_advances_by_itself() -> None:
    release = Driver(rules(auto_advance=True)).ready().arrived().watch(5).watch(10)
    release.checked("health")
    assert release.writes == [5, 25]


def test_an_engine_told_to_advance_does_not_while_paused() -> None:
    release = Driver(rules(auto_advance=True)).ready().arrived().watch(5)
    release.order("pause")
    release.watch(10).checked("health")
    assert release.writes == [5]
    assert "ShiftIntended" in names(release.order("resume"))


def test_a_canary_of_which_nothing_is_ready_gets_no_more_traffic() -> None:
    release = Driver().at_gate()
    release.observe(canary_ready=0)
    for override in (False, True):
        assert names(release.order("advance", override=override, reason="hurry")) == ["OrderRefused"]


# --- override


def test_an_override_with_a_reason_goes_on_without_proof_and_is_recorded() -> None:
    release = Driver().baking()
    assert names(release.order("advance", override=True)) == ["OrderRefused"]
    release.order("advance", override=True, reason="the shop burns")
    entered = next(event for event in reversed(release.events) if isinstance(event, ev.StageEntered))
    assert (entered.stage, entered.who, entered.override) == (1, "ada", "the shop burns")


def test_an_override_of_nothing_is_no_override() -> None:
    release = Driver().at_gate()
    release.order("advance", override=True, reason=" ")
    entered = next(event for event in reversed(release.events) if isinstance(event, ev.StageEntered))
    assert (entered.stage, entered.override) == (1, "")
    assert release.state.items["stage-5"].mark == "done"


def test_an_override_never_goes_over_a_weight_that_is_not_read() -> None:
    release = Driver().baking()
    release.restart()
    refused = release.order("advance", override=True, reason="hurry")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert "has not been read" in refused.why


def test_what_fails_on_after_an_override_is_asked_about_anew() -> None:
    release = Driver(rules(on_fail="ask")).baking()
    release.look(verdict("errors", Outcome.FAIL))
    release.order("advance", override=True, reason="a false alarm")
    assert not release.state.questions
    release.after(1).look(verdict("errors", Outcome.FAIL))
    release.after(120).clock()
    assert release.phase() is Phase.ROLLING_BACK


# --- finishing, promoted


def test_when_the_post_checks_say_yes_it_is_promoted_and_the_old_side_kept() -> None:
    release = Driver().promoted()
    assert release.phase() is Phase.PROMOTED
    assert release.state.keep_until == release.now + 3600


def test_nothing_is_promoted_on_a_weight_that_this_engine_has_not_read() -> None:
    release = Driver().finishing()
    release.restart()
    release.checked("integrity")
    assert release.phase() is Phase.FINISHING
    release.set_weight(40).observe()
    assert release.phase() is Phase.FINISHING
    release.order("retry")
    release.arrived()
    assert release.phase() is Phase.PROMOTED


def held_back() -> Driver:
    """A release that keeps 2% on stable in its last stage, at that stage's gate."""
    stages = (*STAGES[:-1], replace(STAGES[-1], weight=98))
    return Driver(rules(stages=stages, holdback=2)).at_gate().next_gate().next_gate()


def test_what_was_held_back_is_raised_at_the_finish_and_only_then() -> None:
    release = held_back()
    assert release.writes == [5, 25, 98]
    release.order("advance")
    assert release.writes == [5, 25, 98, 100]
    assert not release.state.checks_of("post")  # they are of all the traffic
    release.arrived().checked("integrity")
    assert release.phase() is Phase.PROMOTED
    assert release.state.weights == (5, 25, 98, 100)


def test_a_last_raise_that_does_not_arrive_is_stuck_until_retried_or_rolled_back() -> None:
    release = held_back()
    release.order("advance")
    release.after(1).answer(ok=True)
    release.after(61).observe()
    assert "100%" in release.state.holds["stuck"]
    release.order("retry")
    assert release.writes[-1] == 100
    release.arrived().checked("integrity")
    assert release.phase() is Phase.PROMOTED


def test_a_post_check_that_says_no_twice_rolls_back() -> None:
    release = Driver().finishing()
    release.checked("integrity", FAIL)
    release.checked("integrity", FAIL)
    assert release.phase() is Phase.ROLLING_BACK


def test_when_keep_old_is_over_the_answer_is_the_command_that_would_do_it() -> None:
    release = Driver().promoted().after(3601)
    assert names(release.clock()) == ["OldSideReleased"]
    refused = release.order("rollback")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert release.state.manual_rollback in refused.why


def test_the_next_release_on_the_target_takes_the_old_side() -> None:
    release = Driver().promoted()
    release.tell(SupersedeOld(at=release.now, by="shop-2"))
    assert "shop-2" in release.state.ending
    assert names(release.order("rollback")) == ["OrderRefused"]


def test_a_promoted_release_rolls_back_like_any_other() -> None:
    release = Driver().promoted()
    release.order("rollback")
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


# --- forward states


@pytest.mark.parametrize("step", ["shifting", "baking", "at_gate", "finishing"])
@pytest.mark.parametrize("paused", [False, True])
def test_a_failing_metric_rolls_back_paused_or_not(step: str, *, paused: bool) -> None:
    release: Driver = getattr(Driver(), step)()
    if paused:
        release.order("pause")
    release.look(verdict("errors", Outcome.FAIL))
    assert release.phase() is Phase.ROLLING_BACK
    assert release.intended.weight == 0
    assert release.state.rollback is not None
    assert release.state.rollback.metric == "errors"


def test_an_alert_that_is_neither_proven_nor_over_asks_a_person_again_and_again() -> None:
    rings = verdict("errors", Outcome.INCONCLUSIVE, alert=True)
    release = Driver().baking().watch(295, rings)
    assert not release.state.holds
    release.watch(5, rings)
    assert "rings for 5 min" in release.state.holds["alert errors"]
    release.order("resume")
    assert not release.state.holds
    release.watch(305, rings)
    assert "alert errors" in release.state.holds


def test_an_alert_that_is_over_asks_nobody() -> None:
    release = Driver().baking().watch(305, verdict("errors", Outcome.INCONCLUSIVE, alert=True))
    release.watch(5)
    assert not release.state.holds
    assert not release.state.alerts


def test_a_plan_that_says_hold_holds_until_the_metric_is_well() -> None:
    release = Driver(rules(on_fail_of={"errors": "hold"})).baking()
    release.look(verdict("errors", Outcome.FAIL))
    assert release.state.holds == {"failing errors": "errors: fail"}
    release.look(verdict("errors", Outcome.ERROR))
    assert release.state.holds, "not to be read is no recovery"
    release.look()
    assert not release.state.holds


def test_a_question_without_an_answer_rolls_back() -> None:
    release = Driver(rules(on_fail="ask")).baking()
    release.look(verdict("errors", Outcome.FAIL))
    release.order("pause")
    release.after(60).look(verdict("errors", Outcome.NO_DATA))
    release.after(59).clock()
    assert release.phase() is Phase.STAGE
    release.after(1).clock()
    assert release.phase() is Phase.ROLLING_BACK


def test_a_question_is_answered_with_a_reason_and_asked_anew_after_a_recovery() -> None:
    release = Driver(rules(on_fail="ask")).baking()
    release.look(verdict("errors", Outcome.FAIL))
    assert names(release.order("resume")) == ["OrderRefused"]
    release.order("resume", reason="we watch it")
    release.after(200).look(verdict("errors", Outcome.FAIL))
    assert release.phase() is Phase.STAGE
    assert "failing errors" in release.state.holds
    release.look()
    release.look(verdict("errors", Outcome.FAIL))
    assert "errors" in release.state.questions


@pytest.mark.parametrize(("then", "phase"), [("hold", Phase.STAGE), ("rollback", Phase.ROLLING_BACK)])
def test_blindness_holds_or_rolls_back_as_the_plan_says(then: str, phase: Phase) -> None:
    release = Driver(rules(blind_then=then)).baking().after(5)
    release.look(problem="connection refused")
    release.after(120).look(problem="connection refused")
    assert release.phase() is phase
    assert ("blind" in release.state.holds) == (then == "hold")


def test_another_version_voids_all_proof_and_every_approval() -> None:
    release = Driver(rules(on_fail="hold")).at_gate()
    release.look(verdict("errors", Outcome.FAIL))
    release.canary = "v2.1"
    said = release.after(1).observe()
    assert names(said) == ["RevisionChanged", "ShiftIntended", "Held"]
    state = release.state
    assert (state.phase, state.stage, release.intended.weight) == (Phase.PREFLIGHT, -1, 0)
    assert set(state.holds) == {"revision"}
    assert not state.checks
    assert not state.verdicts
    assert {item.mark for item in state.items.values()} == {"open"}


def test_a_release_of_another_version_than_the_wanted_one_does_not_start_again() -> None:
    release = Driver().at_gate()
    release.canary = "v3"
    release.after(1).observe()
    release.arrived().order("retry")
    refused = release.order("advance")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert "v3 runs as canary, and this release is of v2" in refused.why


def test_after_another_version_nothing_starts_before_the_weight_is_back() -> None:
    release = Driver(canary_wanted="").at_gate()
    release.canary = "v3"
    release.after(1).observe()
    release.order("retry")
    refused = release.order("advance")[0]
    assert isinstance(refused, ev.OrderRefused)
    assert "waits until 0% is in effect" in refused.why


def test_a_waiver_was_for_the_revision_that_it_was_given_to() -> None:
    release = Driver().after(1)
    release.observe()
    release.order("waive", item="security", reason="scanned by hand")
    release.canary = "v3"
    release.after(1).observe()
    assert release.state.items["security"].mark == "open"


@pytest.mark.parametrize("step", ["baking", "finishing", "promoted"])
def test_the_mark_of_the_script_rolls_back(step: str) -> None:
    release: Driver = getattr(Driver(), step)()
    release.set_weight(0, mark="rollback.sh", by="rollback.sh").after(1)
    release.observe(marked_release="shop-1")
    assert release.phase() in GOING_BACK
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_the_mark_that_the_script_left_for_another_release_means_nothing() -> None:
    release = Driver().baking().set_weight(3, by="rollback.sh").after(1)
    release.observe(marked_release="shop-0")
    assert release.phase() is Phase.STAGE
    assert "drift" in release.state.holds


# --- the way back


def test_a_rollback_is_written_at_once_and_every_second_until_it_is_answered() -> None:
    release = Driver().baking()
    release.order("rollback")
    assert release.writes == [5, 0]
    release.answer(ok=False, detail="gateway down")
    release.after(0.9).clock()
    assert release.writes == [5, 0]
    release.after(0.1).clock()
    assert release.writes == [5, 0, 0]


def test_a_rollback_answered_as_done_that_is_not_is_written_again() -> None:
    release = Driver().baking()
    release.order("rollback")
    release.answer()
    release.after(2).observe()
    assert release.writes == [5, 0, 0]


def test_a_rollback_waits_when_nothing_of_stable_is_ready_and_a_person_can_insist() -> None:
    release = Driver().baking()
    release.observe(stable_ready=0)
    release.order("rollback")
    assert release.writes == [5]
    release.order("retry")
    assert release.writes == [5, 0]


def test_rolled_back_needs_two_observations_begun_after_the_answer() -> None:
    release = Driver().rolling_back().set_weight(0).after(1)
    release.observe()
    assert release.state.rollback_sightings == 0
    release.answer()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK
    release.after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_a_route_whose_generation_stands_still_was_not_written() -> None:
    release = Driver().shifting()  # the raise is on its way, the route shows 0
    raise_number = release.intended.number
    release.order("rollback")
    release.answer(number=raise_number, ok=False)
    release.answer()
    release.after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK
    assert release.state.rollback_sightings == 0


def test_an_unanswered_raise_keeps_it_rolling_back_and_what_was_seen_before_its_answer_is_void() -> None:
    release = Driver().shifting()
    raise_number = release.intended.number
    release.order("rollback")
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK
    release.answer(number=raise_number, ok=False)
    assert release.phase() is Phase.ROLLING_BACK
    release.after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_a_late_rollback_is_said_loudly_and_goes_on_trying() -> None:
    release = Driver().baking()
    release.order("rollback")
    release.answer(ok=False)
    release.after(120).clock()
    assert "budget of 120 s" in release.state.late
    release.answer(ok=False)
    release.after(180).clock()
    assert release.phase() is Phase.ROLLBACK_FAILED
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_a_second_order_to_roll_back_is_accepted_and_changes_nothing() -> None:
    release = Driver().rolled_back()
    assert names(release.order("rollback")) == ["OrderAccepted"]
    assert release.phase() is Phase.ROLLED_BACK


def test_the_stopwatch_has_its_laps() -> None:
    release = Driver().baking()
    asked = release.now
    release.after(1).order("rollback", asked_at=asked)
    release.arrived().after(1).observe()
    release.look()
    watch = release.state.rollback
    assert watch is not None
    assert (watch.asked, watch.accepted, watch.written, watch.observed) == (asked, asked + 1, asked + 2, asked + 3)
    assert watch.done == asked + 4


# --- engines


def test_an_engine_that_takes_over_raises_nothing_before_it_has_read_the_weight() -> None:
    release = Driver().shifting().after(30)
    release.restart()
    release.after(30).clock()
    assert release.writes == [5]
    release.observe()
    assert release.writes == [5, 5]


def test_an_engine_that_takes_over_late_in_a_shift_goes_on_with_it() -> None:
    release = Driver().shifting().after(500)
    release.restart()
    assert not release.state.holds


def test_an_engine_that_takes_over_does_not_undo_a_weight_that_a_person_lowered() -> None:
    release = Driver().baking().set_weight(0)
    release.restart()
    release.after(5).observe(hand="kubectl-edit")
    assert release.writes == [5, 0]
    assert release.phase() is Phase.ROLLING_BACK
    assert release.state.rollback is not None
    assert release.state.rollback.who == "kubectl-edit"


def test_an_engine_that_takes_over_holds_for_a_weight_that_a_person_lowered_in_part() -> None:
    release = Driver().baking().at_gate().next_gate().set_weight(10)
    release.restart()
    release.after(5).observe()
    assert release.writes == [5, 25]
    assert "drift" in release.state.holds


def test_an_engine_that_takes_over_repeats_an_unfinished_way_back_at_once() -> None:
    release = Driver().rolling_back()
    assert names(release.restart()) == ["EngineTook", "ShiftIntended"]
    assert release.writes == [5, 0, 0]


def test_an_engine_that_takes_over_a_way_back_reads_the_weight_twice_itself() -> None:
    release = Driver().shifting()  # a raise hangs, and dies with its engine
    release.order("rollback")
    release.arrived().after(1).observe()
    assert release.state.rollback_sightings == 2
    release.restart()
    assert release.phase() is Phase.ROLLING_BACK
    release.after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_an_engine_that_takes_over_asks_the_running_checks_again() -> None:
    release = Driver().baking().watch(10)
    release.checked("health", FAIL)
    assert names(release.restart()) == ["EngineTook", "ChecksStarted"]
    release.checked("health", FAIL)
    assert release.phase() in GOING_BACK


# --- orders


def test_two_people_who_press_the_same_key_advance_one_stage() -> None:
    release = Driver().at_gate()
    meant = {"stage": release.state.stage, "revision": release.state.revision}
    release.order("advance", who="ada", **meant)
    refused = release.order("advance", who="bob", **meant)[0]
    assert isinstance(refused, ev.OrderRefused)
    assert refused.why == "meant for stage 1 (5%); ada advanced it to stage 2 (25%) just now: look again"


def test_an_order_repeated_with_its_id_is_taken_once() -> None:
    release = Driver().at_gate()
    release.order("pause", id="same")
    assert release.order("pause", id="same") == []


def test_an_advance_that_does_not_say_what_it_is_meant_for_is_refused() -> None:
    release = Driver().at_gate()
    assert names(release.order("advance", stage=None)) == ["OrderRefused"]
    assert names(release.order("advance", revision="another")) == ["OrderRefused"]


def test_a_lower_weight_by_retry_is_no_way_over_a_person_who_lowers_it_further() -> None:
    release = Driver().baking().set_weight(50).after(1)
    release.observe()
    release.order("retry")
    assert release.writes == [5, 5]
    assert not release.state.intent or not release.state.intent.to_stable
    release.set_weight(3).after(1).answer(ok=False)
    release.after(5).observe()
    assert release.writes == [5, 5]
    assert "drift" in release.state.holds
    release.set_weight(0).after(1).observe()
    assert release.writes == [5, 5, 0]
    assert release.phase() is Phase.ROLLING_BACK
