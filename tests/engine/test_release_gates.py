"""Gates: people's word for one stage of one revision, in time, and never in the way of safety."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine import events as ev
from engine.events import CheckOutcome, GateRule
from engine.gates import blockers
from engine.judge import Outcome
from engine.state import Phase
from tests.engine.release_driver import STAGES, Driver, names, rules, verdict

TWO = GateRule(approvers=2)
HOUR = GateRule(approvers=2, expires_s=3600.0)
BACK = GateRule(expires_s=3600.0, then="rollback")


def gated(gate: GateRule, **changes: Any) -> Driver:
    """A release whose first stage has this gate."""
    return Driver(rules(stages=(replace(STAGES[0], gate=gate), *STAGES[1:]), **changes))


def before_first(gate: GateRule, **changes: Any) -> Driver:
    return Driver(rules(gate=gate, **changes))


def refused(release: Driver, verb: str, **fields: Any) -> str:
    """Why the order is refused; the test fails when it is not."""
    return next(event.why for event in release.order(verb, **fields) if isinstance(event, ev.OrderRefused))


def accepted(release: Driver, verb: str, **fields: Any) -> bool:
    return "OrderAccepted" in names(release.order(verb, **fields))


# --- approvals


def test_two_people_approve_and_then_it_may_advance() -> None:
    release = gated(TWO).at_gate()
    assert refused(release, "advance") == "not yet: waits for 2 approvals"
    assert accepted(release, "approve", who="alice", where="host a")
    [said] = release.said(ev.Approved)
    assert (said.who, said.stage, said.revision, said.where) == ("alice", 0, release.state.revision, "host a")
    release.after(4)
    assert refused(release, "advance") == "not yet: waits for 1 more approval of 2 (alice approved 4 s ago)"
    assert refused(release, "approve", who="alice") == (
        "alice approved 4 s ago: the second approval comes from another person"
    )
    assert accepted(release, "approve", who="bob")
    assert "of alice and bob: an advance goes on" in refused(release, "approve", who="carol")
    assert accepted(release, "advance")
    assert (release.state.stage, release.state.approvals) == (1, ())


def test_where_the_engine_advances_the_last_approval_lets_it_go_on() -> None:
    release = gated(TWO, auto_advance=True).ready().arrived().watch(15)
    release.checked("health")
    release.order("approve", who="alice")
    assert release.state.stage == 0
    release.order("approve", who="bob")
    assert (release.state.stage, release.state.entered_by) == (1, ev.ENGINE)


def test_the_last_stages_gate_is_before_the_finish() -> None:
    release = Driver(rules(stages=(*STAGES[:-1], replace(STAGES[-1], gate=TWO)))).at_gate().next_gate().next_gate()
    assert refused(release, "advance") == "not yet: waits for 2 approvals"
    for who in ("alice", "bob"):
        release.order("approve", who=who)
    assert accepted(release, "advance")
    assert release.phase() is Phase.FINISHING


def test_before_the_first_stage_people_approve_what_is_ready() -> None:
    release = before_first(TWO).after(1)
    release.observe()
    assert "check smoke is running" in refused(release, "approve", who="alice", reason="I am in a hurry")
    release.ready()
    assert release.said(ev.GateReached)[0].stage == -1
    for who in ("alice", "bob"):
        assert accepted(release, "approve", who=who)
    release.order("untick", item="security")
    assert [event.reason for event in release.said(ev.ApprovalsVoided)] == ["security is open again"]
    assert "1 open pre item" in refused(release, "approve", who="alice")
    release.order("tick", item="security")
    assert "waits for 2 approvals" in refused(release, "advance")
    for who in ("alice", "bob"):
        assert accepted(release, "approve", who=who)
    assert accepted(release, "advance")


def test_an_approval_before_the_gate_is_trust_and_says_why() -> None:
    release = gated(TWO).shifting()
    assert "waits until 5% is in effect" in refused(release, "approve", who="alice", reason="I trust you")
    release.arrived().watch(5)
    said = refused(release, "approve", who="alice")
    assert said == "stage 1 (5%) is not at its gate yet: an approval all the same needs a reason; it is recorded"
    assert accepted(release, "approve", who="alice", reason="the others sleep by then")
    release.watch(10).checked("health")
    assert accepted(release, "approve", who="bob")
    assert accepted(release, "advance")


def test_no_override_and_no_reason_stands_for_people() -> None:
    release = gated(TWO).baking()
    said = refused(release, "advance", override=True, reason="it is Friday")
    assert said == "an override answers for proof, never for people: waits for 2 approvals"
    for who in ("alice", "bob"):
        release.order("approve", who=who, reason="known")
    assert accepted(release, "advance", override=True, reason="it is Friday")


def test_nobody_approves_where_nobody_is_asked() -> None:
    assert refused(Driver().at_gate(), "approve") == "no approval is asked for at stage 1 (5%)"
    assert refused(gated(BACK).at_gate(), "approve") == "no approval is asked for at stage 1 (5%)"
    assert "must say the stage and the revision" in refused(gated(TWO).at_gate(), "approve", stage=None)
    assert "look again" in refused(gated(TWO).at_gate(), "approve", revision="another")


def test_what_turns_bad_voids_what_was_approved() -> None:
    release = gated(TWO, on_fail="hold").at_gate()
    release.order("approve", who="alice")
    release.look(verdict("errors", Outcome.FAIL))
    assert [event.reason for event in release.said(ev.ApprovalsVoided)] == ["errors: fail"]
    assert release.state.approvals == ()
    said = refused(release, "approve", who="alice")
    assert said == "errors: fail: an approval all the same needs a reason; it is recorded"
    assert accepted(release, "approve", who="alice", reason="a known fault")
    release.look(verdict("errors", Outcome.FAIL))
    assert len(release.state.approvals) == 1, "it was said knowing this"


def test_a_check_that_says_no_twice_voids_what_was_approved_early() -> None:
    release = gated(TWO, on_fail="hold").baking()
    release.order("approve", who="alice", reason="off to bed")
    release.watch(10).checked("health", CheckOutcome.FAIL)
    assert release.state.approvals
    release.checked("health", CheckOutcome.FAIL)
    assert not release.state.approvals


def test_another_revision_voids_approvals_and_a_shift_tried_again_does_not() -> None:
    release = gated(TWO).at_gate()
    release.order("approve", who="alice")
    release.set_weight(9).observe()
    assert "drift" in release.state.holds
    release.after(3).order("retry")
    release.arrived()
    assert [said.who for said in release.state.approvals] == ["alice"]
    release.observe(canary="v3")
    assert (release.state.approvals, release.state.gate_at) == ((), None)


# --- time


def at_its_end(gate: GateRule, **changes: Any) -> Driver:
    """At the first stage's gate, a moment before it expires; still watched."""
    release = gated(gate, **changes).at_gate()
    assert release.state.gate_until == release.now + 3600
    release.after(3599).observe()
    release.look()
    return release


def test_a_gate_at_which_nobody_decides_is_held_until_it_is_opened_anew() -> None:
    release = at_its_end(HOUR)
    release.order("approve", who="alice")
    release.after(1).clock()
    reason = "the gate of stage 1 (5%) expired after 1h with 1 of 2 approvals"
    assert [event.reason for event in release.said(ev.GateExpired)] == [reason]
    assert release.state.holds == {"gate": f"{reason}: retry opens it anew, or roll back"}
    assert "expired" in refused(release, "approve", who="bob")
    assert "expired" in refused(release, "advance")
    assert "retry opens it anew" in refused(release, "advance", override=True, reason="now")
    assert accepted(release, "retry")
    assert (release.state.holds, release.state.gate_until) == ({}, release.now + 3600)
    assert "waits for 2 approvals" in refused(release, "advance")


def test_a_gate_that_rolls_back_does_so_by_itself_paused_or_not() -> None:
    for change in (Driver.clock, lambda r: r.order("pause"), lambda r: r.lose_router()):
        release = at_its_end(BACK)
        change(release)
        release.after(1).clock()
        assert release.phase() is Phase.ROLLING_BACK
        assert release.state.rollback is not None
        assert release.state.rollback.reason == "the gate of stage 1 (5%) expired after 1h, nobody decided"


def test_before_the_first_stage_a_gate_that_rolls_back_cancels() -> None:
    release = before_first(BACK).ready()
    release.after(3600).clock()
    assert (release.phase(), release.state.ending) == (
        Phase.CANCELLED,
        "the gate before the first stage expired after 1h, nobody decided",
    )
    release = before_first(replace(BACK, then="hold")).ready()
    release.after(3600).clock()
    assert release.state.holds["gate"].endswith("retry opens it anew, or cancel")


def test_an_advance_that_comes_with_the_expiry_comes_too_late() -> None:
    release = at_its_end(replace(BACK, then="hold"))
    release.after(1)
    assert "expired" in refused(release, "advance")
    release = at_its_end(BACK)
    assert accepted(release, "advance")


def test_a_gate_expires_while_no_engine_is_there_and_the_next_one_says_so_after_it_took_the_release() -> None:
    release = at_its_end(BACK)
    release.after(7200)
    said = names(release.restart())
    assert said.index("EngineTook") < said.index("GateExpired") < said.index("RollbackStarted")
    assert release.intended.number.startswith("2.")


@pytest.mark.parametrize("on_fail", ["rollback", "ask", "hold"])
def test_no_gate_keeps_harm_from_its_consequence(on_fail: str) -> None:
    """Before the gate, at it, and after it expired."""
    walks: tuple[Callable[[Driver], object], ...] = (Driver.clock, lambda r: r.after(3600).clock())
    for walk in walks:
        release = gated(HOUR, on_fail=on_fail).at_gate()
        walk(release)
        release.look(verdict("errors", Outcome.FAIL))
        wanted = {"rollback": Phase.ROLLING_BACK, "ask": Phase.STAGE, "hold": Phase.STAGE}[on_fail]
        assert release.phase() is wanted
        assert (on_fail == "rollback") or release.state.questions or "failing errors" in release.state.holds


def test_roll_back_waits_for_no_gate() -> None:
    release = gated(HOUR).at_gate()
    assert accepted(release, "rollback")
    assert (release.phase(), release.state.gate_until, release.writes[-1]) == (Phase.ROLLING_BACK, None, 0)


# --- who may


def test_who_may_not_order_is_refused_and_the_refusal_is_recorded() -> None:
    release = gated(TWO).at_gate()
    assert (
        refused(release, "approve", who="eve", forbidden="eve is no approver", where="host e") == "eve is no approver"
    )
    assert release.said(ev.OrderRefused)[-1].where == "host e"
    assert refused(release, "advance", forbidden="no", break_glass=True, reason="now") == "no"


def test_the_glass_is_broken_for_a_roll_back_with_a_reason_and_says_so_first() -> None:
    release = gated(TWO).at_gate()
    no = {"who": "eve", "forbidden": "eve may not roll back", "where": "host e"}
    assert refused(release, "rollback", reason="fire", **no) == "eve may not roll back"
    assert "to break the glass needs a reason" in refused(release, "rollback", break_glass=True, **no)
    said = release.order("rollback", break_glass=True, reason="fire", **no)
    assert names(said)[:3] == ["GlassBroken", "OrderAccepted", "RollbackStarted"]
    assert (said[0].who, said[0].where, said[0].reason) == ("eve", "host e", "fire")  # type: ignore[attr-defined]  # the GlassBroken


def test_who_may_roll_back_breaks_no_glass() -> None:
    release = Driver().baking()
    assert "GlassBroken" not in names(release.order("rollback", break_glass=True, reason="fire"))


def test_where_a_person_sits_is_in_the_record() -> None:
    release = Driver().ready()
    release.order("note", reason="x", where="pts/3")
    assert release.said(ev.OrderAccepted)[-1].where == "pts/3"


# --- orders that do not collide


def test_a_stale_order_hears_what_happened_meanwhile() -> None:
    release = Driver().at_gate()
    old = {"stage": release.state.stage, "revision": release.state.revision}
    release.order("advance", who="bob")
    release.after(3)
    for verb in ("advance", "retry", "resume"):
        said = refused(release, verb, **old)
        assert said == "meant for stage 1 (5%); bob advanced it to stage 2 (25%) 3 s ago: look again"
    release.order("rollback", who="bob", reason="it smells")
    release.after(240)
    assert refused(release, "advance", **old) == "the release is rolling back, by bob 4 min ago: it smells"


def test_an_order_for_what_ran_before_hears_what_changed() -> None:
    release = Driver().at_gate()
    old = {"stage": release.state.stage, "revision": release.state.revision}
    release.observe(canary="v3")
    release.after(12)
    said = refused(release, "advance", **old)
    assert "canary changed from v2 to v3 12 s ago, it is at 0123456789ab/v3/v1 now: look again" in said


def test_an_order_for_the_last_stage_hears_who_finished() -> None:
    release = Driver().at_gate().next_gate().next_gate()
    old = {"stage": release.state.stage, "revision": release.state.revision}
    release.order("advance", who="bob")
    release.after(2)
    said = refused(release, "advance", **old)
    assert said == "the release is finishing: bob advanced it past the last stage 2 s ago"


def test_a_repeat_is_answered_as_the_first_time() -> None:
    release = Driver().ready()
    why = refused(release, "resume", id="x1")
    release.order("pause")
    assert release.order("resume", id="x1") == []
    assert release.state.answer_to("x1") == why
    assert release.state.answer_to("o3") == ""
    assert release.state.answer_to("never") is None


def test_refusals_are_remembered_for_a_while_only() -> None:
    release = Driver()
    for number in range(1005):
        release.order("resume", id=f"r{number}")
    assert len(release.state.refused) == 1000
    assert release.state.answer_to("r4") is None
    assert release.state.answer_to("r5") == "nothing is paused"


# --- engines that follow each other


def test_a_look_while_the_lease_is_unsure_is_no_bake_and_neither_is_the_time_to_the_next() -> None:
    release = Driver().baking()
    release.watch(5)
    baked = release.state.baked_s
    for held in (False, True):
        release.after(5).observe()
        release.look(held=held)
        assert release.state.baked_s == baked
    release.after(5).observe()
    release.look()
    assert release.state.baked_s == baked + 5


def test_harm_seen_while_the_lease_is_unsure_still_rolls_back() -> None:
    release = Driver().baking()
    release.look(verdict("errors", Outcome.FAIL), held=False)
    assert release.phase() is Phase.ROLLING_BACK


def taken_over(release: Driver, wait: float = 30.0) -> Driver:
    release.restart(engine="engine-b", raise_after=release.now + wait)
    release.observe()
    release.look()
    return release


def test_nothing_is_raised_while_the_engine_before_may_still_write() -> None:
    release = taken_over(Driver().at_gate())
    assert release.state.engine == "engine-b"
    soon = "a write of the engine before may still land: nothing is raised for another 30 s"
    assert soon in blockers(release.state, release.now)
    assert refused(release, "advance", override=True, reason="now") == soon
    release.after(30).observe()
    release.look()
    assert accepted(release, "advance")


def test_a_raise_that_was_lost_with_its_engine_waits_too() -> None:
    release = taken_over(Driver().shifting())
    release.after(10).observe()
    assert release.writes == [5]
    assert not release.state.holds
    release.after(21).observe()
    assert release.writes == [5, 5]
    waits = taken_over(Driver().at_gate())
    waits.set_weight(2).observe()
    assert refused(waits, "retry").startswith("not yet: a write of the engine before may still land")


def test_no_lowering_waits_for_the_engine_before() -> None:
    release = taken_over(Driver().at_gate())
    release.set_weight(50).observe()
    assert accepted(release, "retry")
    assert release.writes[-1] == 5
    release = taken_over(Driver().at_gate())
    release.order("rollback")
    assert release.writes[-1] == 0


def test_what_is_finished_waits_for_the_engine_before() -> None:
    release = Driver(rules(finish="copy")).at_gate().next_gate().next_gate()
    release.order("advance")
    begun = len(release.said(ev.FinishIntended))
    taken_over(release)
    release.after(10).clock()
    assert len(release.said(ev.FinishIntended)) == begun
    release.after(20).clock()
    assert len(release.said(ev.FinishIntended)) == begun + 1
