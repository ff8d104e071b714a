"""A release that something else drives: judged like any other, and never touched."""

from __future__ import annotations

from typing import Any

import pytest

from engine import events as ev
from engine.gates import ON_WATCHED
from engine.judge import Outcome
from engine.outlook import outlook
from engine.release import VERBS
from engine.state import Phase
from tests.engine.release_driver import Driver, names, rules, verdict

INTENTS = (ev.ShiftIntended, ev.CapacityAwaited, ev.FinishIntended, ev.LetGoIntended, ev.ChecksStarted)


def watched(**changes: Any) -> Driver:
    """Watched from before its first traffic; `changes` are rules."""
    release = Driver(rules(watched=True, checks={}, items=(), scale="proportional", holds_target=True, **changes))
    release.after(1).observe()
    return release


def driven_to(weight: float, **changes: Any) -> Driver:
    release = watched(**changes).set_weight(weight).after(5)
    release.observe(hand="argo-rollouts")
    return release


def never_touched(release: Driver) -> bool:
    return not any(isinstance(event, INTENTS) for event in release.events)


def test_the_stage_is_that_whose_weight_is_reached() -> None:
    release = driven_to(5)
    assert (release.phase(), release.state.stage, release.state.desired) == (Phase.STAGE, 0, 5)
    release.set_weight(30).after(5).observe(hand="argo-rollouts")
    assert (release.state.stage, release.state.desired) == (1, 30)
    assert never_touched(release)


def test_what_was_proven_would_have_been_advanced_once() -> None:
    release = driven_to(5).watch(30)
    assert [would.act for would in release.state.would] == ["advance"]
    assert release.state.would[0].stage == 0
    release.watch(30)
    assert len(release.state.would) == 1
    assert never_touched(release)


def test_what_fails_would_have_been_rolled_back_and_is_not() -> None:
    release = driven_to(25).watch(5)
    release.after(5).observe(hand="argo-rollouts")
    release.look(verdict("errors", Outcome.FAIL))
    release.after(5).look(verdict("errors", Outcome.FAIL))
    (would,) = release.state.would
    assert (would.act, would.metric, would.weight) == ("rollback", "errors", 25)
    assert release.phase() is Phase.STAGE
    assert "would have rolled back" in outlook(release.state, release.now).waits_for
    assert never_touched(release)


def test_its_owner_takes_the_traffic_back() -> None:
    release = driven_to(25).set_weight(0).after(5)
    release.observe(hand="argo-rollouts")
    assert release.phase() is Phase.ROLLED_BACK
    assert release.state.rollback is not None
    assert release.state.rollback.who == "argo-rollouts"
    assert never_touched(release)


def test_its_owner_finishes_it() -> None:
    release = driven_to(50)
    release.canary = release.stable = "v2"
    release.after(5).observe()
    assert release.phase() is Phase.PROMOTED
    assert release.state.keep_until is None
    assert never_touched(release)


def test_an_end_between_two_readings_is_one_too() -> None:
    """All at once, with no weight in between."""
    release = watched()
    release.canary, release.stable = "", "v2"
    release.after(5).observe()
    assert (release.phase(), release.state.observed, release.state.moved) == (Phase.PROMOTED, 100, True)


BUILDS = {"canary_build": "new", "stable_build": "old"}
UNDOING = {"canary": "v1", "stable": "v2", "canary_build": "old", "stable_build": "new"}


def test_an_update_that_is_undone_on_its_way_is_followed_back() -> None:
    release = Driver(rules(watched=True, checks={}, items=())).shows(**BUILDS)
    release.after(1).observe()
    release.set_weight(50).after(5).observe()
    release.set_weight(75).after(5).observe(**UNDOING, share=75.0, hand="kubectl")
    assert (release.phase(), release.state.desired, release.state.share) == (Phase.STAGE, 25, 25.0)
    assert "kubectl takes v2 back" in release.state.remark
    release.set_weight(0).after(5).observe(canary="", stable="v1", canary_build="", stable_build="old")
    assert release.phase() is Phase.ROLLED_BACK


def test_a_canary_without_a_ready_pod_is_no_roll_back() -> None:
    release = driven_to(25).set_weight(0).after(5)
    release.observe(pending="no pod of v2 is ready")
    assert release.phase() is Phase.STAGE
    release.after(5).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_a_version_that_is_taken_away_before_it_had_traffic_ends_the_watch() -> None:
    release = watched()
    release.canary = ""
    release.after(5).observe(remark="the canary can't be read")
    assert release.phase() is Phase.PREFLIGHT
    release.after(5).observe()
    assert release.phase() is Phase.CANCELLED


def test_all_of_the_traffic_for_the_last_bake_is_the_end() -> None:
    release = driven_to(100).watch(60)
    assert release.phase() is Phase.PROMOTED
    assert never_touched(release)


def test_another_version_ends_the_watch() -> None:
    release = driven_to(5)
    release.canary = "v3"
    release.after(5).observe()
    assert release.phase() is Phase.CANCELLED
    assert "v3" in release.state.ending


def test_nothing_new_ends_the_watch() -> None:
    release = Driver(rules(watched=True, checks={}, items=()))
    release.canary = "v1"
    release.after(1).observe()
    release.after(601).clock()
    assert release.phase() is Phase.CANCELLED


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ON_WATCHED])
def test_orders_that_would_change_something_are_refused(verb: str) -> None:
    release = driven_to(5)
    assert "OrderRefused" in names(release.order(verb, reason="because"))


def test_the_watch_can_be_ended_by_hand() -> None:
    release = driven_to(5)
    release.order("cancel")
    assert release.phase() is Phase.CANCELLED
