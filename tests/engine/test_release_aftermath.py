"""After the end: what a roll back guards, and giving back what a release held of its target."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.inputs import SupersedeOld
from engine.release import LET_GO_TRIES
from engine.state import Phase
from tests.engine.release_driver import Driver, names, rules

GUARD_S = 900.0


def back(**changes: object) -> Driver:
    return Driver(rules(**{"guard_s": GUARD_S, **changes})).rolled_back()


def disturb(release: Driver, weight: float = 30, **shown: object) -> list[str]:
    """Somebody puts traffic on the canary."""
    return names(release.set_weight(weight).after(1).observe(hand="argocd", **shown))


def superseded(release: Driver) -> list[str]:
    return names(release.tell(SupersedeOld(at=release.now, by="shop-2")))


# --- the guard


def test_traffic_that_somebody_puts_on_the_canary_is_taken_back_three_times_and_then_only_said() -> None:
    release = back()
    before = len(release.writes)
    for times in (1, 2, 3):
        assert disturb(release) == ["WeightObserved", "Disturbed", "ShiftIntended"]
        release.arrived()
        assert release.state.disturbed == times
        assert not release.state.shifting
    assert disturb(release) == ["WeightObserved", "Disturbed"]
    last = release.said(ev.Disturbed)[-1]
    assert (last.weight, last.hand, last.times, last.put_back) == (30, "argocd", 4, False)
    release.after(60).observe()
    assert len(release.said(ev.Disturbed)) == 4
    assert release.writes[before:] == [0, 0, 0]


def test_somebody_who_raises_it_at_once_again_is_counted_too() -> None:
    release = back()
    for _ in range(4):
        disturb(release)
        release.answer()
        release.set_weight(30).after(5)
        release.observe()
    assert len(release.said(ev.Disturbed)) == 4
    assert release.writes.count(0) == 1 + 3


def test_a_write_that_failed_is_made_again_while_it_is_guarded() -> None:
    release = back()
    disturb(release)
    release.answer(ok=False)
    release.after(2).observe()
    assert release.writes[-2:] == [0, 0]
    release.answer(ok=False)
    release.after(GUARD_S).observe()
    assert release.writes.count(0) == 3


@pytest.mark.parametrize("guard_s", [0.0, GUARD_S])
def test_after_the_guard_nothing_is_taken_back(guard_s: float) -> None:
    release = back(guard_s=guard_s).after(guard_s)
    assert disturb(release) == ["WeightObserved"]


def test_a_reading_from_before_the_end_disturbs_nobody() -> None:
    release = back()
    release.now -= 1
    assert names(release.set_weight(30).observe()) == ["WeightObserved"]


def test_the_next_release_is_no_disturbance_by_its_mark_or_by_its_beginning() -> None:
    marked = back()
    assert disturb(marked, marked_release="shop-2") == ["WeightObserved"]
    told = back()
    assert superseded(told) == ["Superseded"]
    assert superseded(told) == []
    assert disturb(told) == ["WeightObserved"]
    assert told.state.ending == "it smells"


def test_a_person_who_orders_it_gets_the_traffic_back_after_the_guard_too() -> None:
    release = back().after(GUARD_S)
    disturb(release)
    assert names(release.order("rollback")) == ["OrderAccepted", "ShiftIntended"]
    release.arrived()
    assert not release.state.shifting


def test_a_new_engine_repeats_an_unfinished_way_back_only_while_it_is_guarded() -> None:
    release = back()
    disturb(release)
    assert names(release.restart()) == ["EngineTook", "ShiftIntended"]
    release.after(GUARD_S)
    assert names(release.restart()) == ["EngineTook"]


# --- giving back


def holding(**changes: object) -> Driver:
    return Driver(rules(**{"holds_target": True, **changes}))


def test_it_is_given_back_once_after_keep_old_and_never_before_the_end() -> None:
    release = holding().promoted()
    release.after(3600).clock()
    assert not release.said(ev.LetGoIntended)
    release.after(1).clock()
    assert [event.canary_to_zero for event in release.said(ev.LetGoIntended)] == [False]
    release.let_go()
    release.after(600).clock()
    assert len(release.said(ev.LetGoIntended)) == 1


def test_after_a_roll_back_it_waits_until_the_canary_is_drained_and_then_goes_to_nothing() -> None:
    release = holding(drain_s=60.0, canary_to_zero=True).rolled_back()
    release.after(59).clock()
    assert not release.said(ev.LetGoIntended)
    release.after(1).clock()
    assert [event.canary_to_zero for event in release.said(ev.LetGoIntended)] == [True]


def test_what_fails_is_tried_again_and_not_for_ever() -> None:
    release = holding().rolled_back()
    for _ in range(3 * LET_GO_TRIES):
        release.let_go(ok=False, detail="403")
        release.after(5).clock()
    assert len(release.said(ev.LetGoIntended)) == LET_GO_TRIES


def test_a_cancelled_release_gives_its_claim_back() -> None:
    release = holding(canary_to_zero=True).cancelled()
    assert [event.canary_to_zero for event in release.said(ev.LetGoIntended)] == [False]


def test_a_size_under_way_is_waited_for() -> None:
    release = holding(scale="proportional").shows(full=2).rolled_back()
    assert not release.said(ev.LetGoIntended)
    release.scaled()
    assert release.said(ev.LetGoIntended)


def test_the_canary_does_not_go_to_nothing_under_traffic_that_somebody_put_on_it() -> None:
    release = holding(canary_to_zero=True, drain_s=30.0).rolled_back()
    disturb(release)
    release.after(30).clock()
    assert [event.canary_to_zero for event in release.said(ev.LetGoIntended)] == [False]


def test_the_canary_does_not_go_to_nothing_before_its_weight_is_read() -> None:
    release = holding(canary_to_zero=True, drain_s=30.0).rolled_back()
    release.after(60).restart()
    assert not release.said(ev.LetGoIntended)
    release.observe()
    assert release.said(ev.LetGoIntended)


def test_after_a_disturbance_it_is_given_back_again_once_the_traffic_is_back_and_drained() -> None:
    release = holding(guard_s=GUARD_S, drain_s=30.0).rolled_back().after(30)
    release.clock()
    release.let_go()
    disturb(release)
    release.after(30).clock()
    assert len(release.said(ev.LetGoIntended)) == 1
    release.arrived().after(30).clock()
    assert len(release.said(ev.LetGoIntended)) == 2


def test_a_new_engine_gives_back_what_the_one_before_did_not_finish() -> None:
    release = holding().rolled_back()
    release.restart()
    release.after(5).clock()
    assert len(release.said(ev.LetGoIntended)) == 2


@pytest.mark.parametrize("walk", ["promoted", "rolled_back"])
def test_what_the_next_release_has_now_is_not_given_back(walk: str) -> None:
    release: Driver = getattr(holding(drain_s=30.0), walk)()
    superseded(release)
    release.after(7200).clock()
    assert not release.said(ev.LetGoIntended)
    assert release.phase() in (Phase.PROMOTED, Phase.ROLLED_BACK)
