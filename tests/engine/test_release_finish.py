"""A copy or a handover: begun, carried on, complete; and the way back in each phase of it."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.gates import blockers
from engine.judge import Outcome
from engine.state import Phase
from tests.engine.release_driver import Driver, names, rules, verdict


def copying(**changes: object) -> Driver:
    """Past the last stage; the first step of the copy is asked for."""
    return Driver(rules(**{"finish": "copy", **changes})).finishing()


def asked(release: Driver) -> int:
    return len(release.said(ev.FinishIntended))


@pytest.mark.parametrize("finish", ["copy", "handover"])
def test_it_is_asked_for_again_until_it_is_seen_to_be_complete_and_then_checked_and_promoted(finish: str) -> None:
    release = copying(finish=finish)
    assert asked(release) == 1
    release.finish_tried(detail="2 of 10 replaced")
    release.after(4).observe()
    assert asked(release) == 1
    release.after(1).observe()
    assert asked(release) == 2
    release.finish_tried()
    assert not release.state.checks_of("post")
    release.after(1).observe(finished=True)
    release.shows(finished=True).checked("integrity")
    assert release.phase() is Phase.PROMOTED
    assert asked(release) == 2


def test_what_looks_complete_before_it_began_is_not_this_releases() -> None:
    release = Driver(rules(finish="copy")).shows(finished=True).finishing()
    assert asked(release) == 1
    assert not release.state.checks_of("post")
    release.finish_tried()
    release.after(1).clock()
    assert release.state.checks_of("post")


def test_a_step_that_fails_is_tried_again_and_said() -> None:
    release = copying()
    release.finish_tried(ok=False, detail="quota exceeded")
    assert "the copy is not complete: quota exceeded" in blockers(release.state, release.now)
    release.after(5).observe()
    assert asked(release) == 2


def test_stables_version_may_change_while_it_is_copied_to() -> None:
    release = copying()
    release.stable = "v2"
    release.after(1).observe()
    assert release.phase() is Phase.FINISHING
    assert release.state.stable == "v1"


def test_another_canary_while_it_is_copied_rolls_back() -> None:
    release = copying()
    release.canary = "v3"
    release.after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK
    assert release.state.rollback is not None
    assert "canary changed from v2 to v3" in release.state.rollback.reason


@pytest.mark.parametrize("stands", ["pause", "router", "drift", "hold"])
def test_it_is_not_carried_on_while_something_stands_in_its_way(stands: str) -> None:
    release = copying(on_fail="hold")
    release.finish_tried()
    if stands == "pause":
        release.order("pause")
    elif stands == "router":
        release.lose_router()
    elif stands == "drift":
        release.set_weight(60).observe()
    else:
        release.look(verdict("errors", Outcome.FAIL))
    release.after(10).clock()
    assert asked(release) == 1
    assert not any("never recorded" in reason for reason in release.state.holds.values())


def test_a_new_engine_reads_the_weight_before_it_carries_on() -> None:
    release = copying().after(30)
    release.restart()
    release.after(30).clock()
    assert asked(release) == 1
    release.observe()
    assert asked(release) == 2


def test_a_failing_metric_in_mid_copy_rolls_back() -> None:
    release = copying()
    release.look(verdict("errors", Outcome.FAIL))
    assert release.phase() is Phase.ROLLING_BACK
    assert release.writes[-1] == 0


def test_a_way_back_is_not_proven_while_a_step_is_unanswered() -> None:
    release = copying()
    release.order("rollback")
    release.arrived().after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLING_BACK
    release.finish_tried(ok=False, detail="it came too late")
    assert release.phase() is Phase.ROLLING_BACK
    release.after(1).observe()
    release.after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_a_step_that_landed_after_the_way_back_is_undone_by_another() -> None:
    release = copying()
    release.order("rollback")
    release.arrived()
    release.set_weight(100)
    release.finish_tried()
    release.after(3).observe()
    assert release.writes[-2:] == [0, 0]


def test_the_way_back_of_a_copy_does_not_wait_for_stable_which_only_it_can_restore() -> None:
    release = copying()
    release.observe(stable_ready=0)
    release.order("rollback")
    assert release.writes[-1] == 0


def test_with_a_copy_a_promoted_release_rolls_back_like_any_other() -> None:
    release = copying()
    release.finish_tried()
    release.shows(finished=True).after(1).observe()
    release.checked("integrity")
    release.order("rollback")
    release.arrived().after(1).observe()
    assert release.phase() is Phase.ROLLED_BACK


def test_the_answer_to_a_step_comes_once() -> None:
    release = copying()
    assert names(release.finish_tried()) == ["FinishAnswered"]
    assert release.finish_tried() == []
