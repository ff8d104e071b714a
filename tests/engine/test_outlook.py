from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.judge import Outcome
from engine.outlook import outlook
from tests.engine.release_driver import MANUAL, Driver, rules, verdict

Walk = Callable[[], Driver]


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
