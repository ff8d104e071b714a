from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.events import GateRule
from engine.inputs import SupersedeOld
from engine.judge import Outcome
from engine.outlook import outlook
from tests.engine.release_driver import MANUAL, STAGES, Driver, rules, verdict

Walk = Callable[[], Driver]
HOUR = GateRule(approvers=2, expires_s=3600.0, then="rollback")
GATED = rules(gate=HOUR, stages=(replace(STAGES[0], gate=HOUR), *STAGES[1:]))


def after(release: Driver, change: Callable[[Driver], object]) -> Driver:
    change(release)
    return release


def failing(policy: str) -> Driver:
    return after(Driver(rules(on_fail=policy)).baking(), lambda r: r.look(verdict("errors", Outcome.FAIL)))


@pytest.mark.parametrize(
    ("walk", "waits_for", "then", "orders"),
    [
        (lambda: after(Driver(), lambda r: r.observe(canary="")), "waits until canary v2", "cancelled", ("cancel",)),
        (lambda: after(Driver(), lambda r: r.observe()), "open pre items", "5%", ("tick", "waive", "cancel")),
        (Driver().ready, "ready to start", "5% of the traffic", ("advance", "cancel")),
        (Driver().shifting, "5% in effect", "warmup", ()),
        (Driver().shifting().arrived, "warmup", "bake", ()),
        (Driver().baking, "bake", "25%", ()),
        (Driver().at_gate, "ready", "advance brings 25%", ("advance",)),
        (Driver().at_gate().next_gate().next_gate, "ready", "advance finishes it", ("advance",)),
        (Driver().finishing, "check integrity is running", "promoted", ()),
        (Driver().promoted, "promoted; the old side is kept", "no way back", ("rollback",)),
        (Driver().rolling_back, "all traffic on stable, read twice", "rolled back", ()),
        (Driver().rolled_back, "rolled back: it smells", "nothing more happens", ()),
        (lambda: failing("hold"), "held: errors: fail", "until somebody decides", ("rollback", "advance")),
        (lambda: failing("ask"), "roll back?", "rolls back by itself", ("rollback", "resume")),
        (lambda: after(Driver().baking(), lambda r: r.order("pause")), "paused by ada", "resumed", ("resume",)),
        (lambda: after(Driver().baking(), lambda r: r.observe(weight=2)), "by hand", "decides", ("rollback", "retry")),
    ],
)
def test_it_says_what_it_waits_for_what_then_and_which_order_helps(
    walk: Walk, waits_for: str, then: str, orders: tuple[str, ...]
) -> None:
    release = walk()
    seen = outlook(release.state, release.now)
    assert waits_for in seen.waits_for
    assert then in seen.then
    assert seen.orders == orders


def test_it_says_until_when() -> None:
    shift = Driver().shifting()
    assert outlook(shift.state, shift.now).until == shift.now + 60
    bake = Driver().baking()
    assert outlook(bake.state, bake.now).until == bake.now + 10
    asked = failing("ask")
    assert outlook(asked.state, asked.now).until == asked.now + 120
    kept = Driver().promoted()
    assert outlook(kept.state, kept.now).until == kept.now + 3600
    back = Driver().rolling_back()
    assert outlook(back.state, back.now).until == back.now + 120


def test_a_stage_short_of_requests_says_when_it_will_have_them() -> None:
    few = [verdict(name, requests=50) for name in ("errors", "latency", "cpu")]
    release = Driver().shifting().arrived().watch(5).watch(10, *few)
    seen = outlook(release.state, release.now)
    assert seen.waits_for == "enough requests: 50 of 100 requests"
    assert seen.until == release.now + 10


def test_with_until_either_a_bake_that_has_its_requests_ends_sooner() -> None:
    long = tuple(replace(rule, bake_s=900) for rule in rules().stages)
    release = Driver(rules(stages=long, until="either")).baking()
    seen = outlook(release.state, release.now)
    assert seen.until == release.now + 120


def test_a_bake_that_stands_still_has_no_countdown() -> None:
    release = after(Driver().baking(), lambda r: r.look(problem="refused"))
    seen = outlook(release.state, release.now)
    assert seen.until is None
    assert "stands still: refused" in seen.waits_for


def test_a_rollback_past_its_budget_says_the_command_for_a_person() -> None:
    release = Driver().rolling_back().after(121)
    release.clock()
    assert MANUAL in outlook(release.state, release.now).waits_for


def test_a_rollback_that_waits_for_stable_says_so() -> None:
    release = Driver().baking()
    release.observe(stable_ready=0)
    release.order("rollback")
    assert "nothing of stable is ready" in outlook(release.state, release.now).waits_for


def seen(release: Driver) -> str:
    said = outlook(release.state, release.now)
    return f"{said.waits_for} | {said.then}"


def test_a_raise_that_waits_for_capacity_says_how_many_are_ready_what_was_answered_and_until_when() -> None:
    release = Driver(rules(scale="proportional")).shows(full=10, stable_ready=10, canary_ready=1)
    release.at_gate().order("advance")
    release.scaled(ok=False, detail="quota exceeded")
    said = outlook(release.state, release.now)
    assert said.waits_for == "the canary has 1 of the 3 ready replicas that 25% needs (refused: quota exceeded)"
    assert said.then == "25% is written; else it is held"
    assert said.until == release.now + 600
    release.observe(canary_ready=3, pending="no such backend")
    assert "not in effect everywhere: no such backend | 25% is written" in seen(release)


def test_before_any_traffic_a_wait_for_capacity_can_be_cancelled() -> None:
    release = Driver().shows(full=10, stable_ready=9).ready()
    release.order("advance")
    assert outlook(release.state, release.now).orders == ("cancel",)


def test_what_is_pending_is_said_in_a_shift_a_bake_and_a_way_back() -> None:
    shift = Driver().shifting().after(1)
    shift.observe(weight=5, pending="not accepted")
    assert "5% in effect: not accepted | warmup" in seen(shift)
    bake = Driver().baking()
    bake.observe(pending="haproxy-2 is silent")
    assert "stands still: haproxy-2 is silent" in seen(bake)
    back = Driver().rolling_back().land()
    back.after(1).observe(pending="haproxy-2 is silent")
    assert "read twice (haproxy-2 is silent)" in seen(back)


def test_a_way_back_that_waits_for_an_earlier_write_says_so() -> None:
    release = Driver().shifting()
    release.order("rollback")
    release.arrived()
    assert "an earlier write is not answered yet" in seen(release)


def test_a_copy_under_way_says_what_was_answered() -> None:
    release = Driver(rules(finish="copy")).finishing()
    release.finish_tried(detail="3 of 10 replaced")
    assert seen(release) == "the copy is under way: 3 of 10 replaced | the checks after it"
    release.shows(finished=True).after(1).observe()
    assert "check integrity is running" in seen(release)


def test_a_last_raise_says_what_comes_after_it() -> None:
    stages = (*rules().stages[:-1], replace(rules().stages[-1], weight=98))
    release = Driver(rules(stages=stages, holdback=2, finish="copy")).at_gate().next_gate().next_gate()
    release.order("advance")
    assert seen(release) == "100% in effect | the copy"


def test_who_moved_the_weight_is_said() -> None:
    release = Driver().baking().set_weight(40)
    release.observe(hand="argocd")
    assert "raised by argocd from 5% to 40%" in seen(release)


def test_after_a_roll_back_it_says_that_it_is_guarded_and_until_when() -> None:
    release = Driver(rules(guard_s=900.0)).rolled_back()
    said = outlook(release.state, release.now)
    assert (said.then, said.until) == ("traffic put on the canary is no longer taken back", release.now + 900)
    release.set_weight(30).after(1).observe(hand="argocd")
    assert "30% were put on the canary again by argocd | it is being taken back" in seen(release)
    release.after(900).clock()
    said = outlook(release.state, release.now)
    assert (said.then, said.orders) == ("nobody takes it back", ("rollback",))


def test_a_canary_that_is_put_back_at_once_again_and_again_is_taken_back_by_nobody_in_the_end() -> None:
    release = Driver(rules(guard_s=900.0)).rolled_back()
    for taken_back in ("it is being taken back", "it is being taken back", "it is being taken back", "nobody"):
        release.set_weight(30).after(5).observe(hand="argocd")
        assert f"again by argocd | {taken_back}" in seen(release)
        release.answer()


def test_a_way_back_that_is_late_says_why() -> None:
    release = Driver().baking()
    release.order("rollback")
    release.answer(ok=False, detail="may not patch the route")
    release.after(300).clock()
    release.answer(ok=False, detail="may not patch the route")
    assert "still trying (may not patch the route); by hand: " in seen(release)


def test_the_next_release_ends_the_guard() -> None:
    release = Driver(rules(guard_s=900.0)).rolled_back()
    release.tell(SupersedeOld(at=release.now, by="shop-2"))
    assert seen(release) == "rolled back: it smells | nothing more happens"


def test_what_is_still_held_or_could_not_be_given_back_is_said() -> None:
    release = Driver(rules(holds_target=True, drain_s=60.0)).rolled_back()
    assert "what it held of the target is not given back yet" in seen(release)
    release.after(60).clock()
    release.let_go(ok=False, detail="403")
    assert "what it held of the target could not be given back: 403" in seen(release)
    release.after(5).clock()
    release.let_go()
    assert seen(release) == "rolled back: it smells | nothing more happens"


def test_before_the_first_stage_it_waits_for_people_and_says_what_follows_without_them() -> None:
    release = Driver(GATED).ready()
    seen = outlook(release.state, release.now)
    assert (seen.waits_for, seen.then) == ("waits for 2 approvals", "the gate expires: it is cancelled")
    assert (seen.until, seen.orders) == (release.now + 3600, ("approve", "cancel"))


def test_at_a_gate_it_says_who_approved_and_when_it_expires() -> None:
    release = Driver(replace(GATED, gate=None)).at_gate()
    until = release.now + 3600
    release.order("approve", who="alice")
    release.after(240).observe()
    release.look()
    seen = outlook(release.state, release.now)
    assert seen.waits_for == "waits for 1 more approval of 2 (alice approved 4 min ago)"
    assert (seen.then, seen.until, seen.orders) == ("the gate expires: it rolls back", until, ("approve",))
    release.order("approve", who="bob")
    seen = outlook(release.state, release.now)
    assert (seen.waits_for, seen.until, seen.orders) == ("ready: advance brings 25%", until, ("advance",))


def test_a_gate_without_an_end_waits_for_as_long_as_it_takes() -> None:
    release = Driver(rules(stages=(replace(STAGES[0], gate=GateRule(1)), *STAGES[1:]))).at_gate()
    seen = outlook(release.state, release.now)
    assert (seen.waits_for, seen.then, seen.until) == ("waits for 1 approval", "25%", None)


def test_an_expired_gate_is_held_and_retry_helps() -> None:
    held = replace(HOUR, then="hold")
    release = Driver(rules(stages=(replace(STAGES[0], gate=held), *STAGES[1:]))).at_gate()
    release.after(3600).clock()
    seen = outlook(release.state, release.now)
    assert seen.waits_for.startswith("held: the gate of stage 1 (5%) expired after 1h with 0 of 2 approvals")
    assert seen.orders == ("rollback", "retry")


def test_an_engine_that_took_over_says_why_it_does_not_raise_yet() -> None:
    release = Driver().shifting()
    release.restart(raise_after=release.now + 30)
    release.observe()
    seen = outlook(release.state, release.now)
    assert "a write of the engine before may still land" in seen.waits_for
    assert seen.until == release.now + 30
