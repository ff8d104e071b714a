"""Other hands on the route while a release runs, and after it: theirs is never undone, but for a canary that was taken
back."""

from __future__ import annotations

import threading

import pytest

from engine import events as ev
from tests.end_to_end.steps import (
    advance_refused,
    at_first_gate,
    events_of,
    never_advanced,
    rolled_back,
    until_explained,
)
from tests.support.shop_behind_envoy import Site

pytestmark = pytest.mark.real


def test_a_weight_lowered_to_nothing_by_hand_is_their_roll_back(site: Site) -> None:
    at_first_gate(site)
    site.set_weight(0)
    rolled_back(site)
    [back] = events_of(site, ev.RollbackStarted)
    assert "kubectl-edit" in back.who
    assert "all traffic was put on stable by kubectl-edit" in back.reason
    never_advanced(site.history())


@pytest.mark.parametrize(("weight", "word"), [(70, "raised"), (10, "lowered")])
def test_another_weight_by_hand_is_held_with_who_and_never_undone(site: Site, weight: int, word: str) -> None:
    at_first_gate(site)
    site.set_weight(weight)
    until_explained(site, f"the weight was {word} by kubectl-edit")
    assert f"from 20% to {weight}%" in advance_refused(site)
    site.never(lambda: site.weight() != weight, 2)
    site.order("retry")
    site.until(lambda: site.weight() == 20)
    never_advanced(site.history())
    site.order("rollback")
    rolled_back(site)


def test_a_canary_that_another_controller_puts_back_is_taken_back_three_times_and_then_said(site: Site) -> None:
    at_first_gate(site)
    over = threading.Event()

    def revert() -> None:
        while not over.wait(0.3):
            if site.weight() == 0:
                site.set_weight(20)

    controller = threading.Thread(target=revert)
    site.order("rollback")
    rolled_back(site)
    controller.start()
    try:
        site.until(lambda: len(events_of(site, ev.Disturbed)) == 4, 60)
        until_explained(site, "20% were put on the canary again by kubectl-edit")
        site.until(lambda: site.look()["then"] == "nobody takes it back")
        assert [event.put_back for event in events_of(site, ev.Disturbed)] == [True, True, True, False]
        site.never(lambda: site.weight() != 20, 2)
    finally:
        over.set()
        controller.join()
    site.order("rollback")
    site.until(lambda: site.weight() == 0)
    site.until(lambda: site.look()["weight"]["observed"] == 0)
    assert site.look()["phase"] == "rolled_back"


def test_a_canary_that_is_deployed_anew_in_mid_release_voids_the_proof(site: Site) -> None:
    at_first_gate(site)
    site.deploy("checkout-canary", "v1.5.1")
    # The new version may show before its build does: that is a second change, said in place of the first.
    site.until(lambda: any(isinstance(event, ev.RevisionChanged) for event in site.history()))
    site.until(lambda: site.weight() == 0)
    never_advanced(site.history())
    assert "all proof is void" in site.look()["waits_for"]
    site.order("rollback")
    site.ends("rolled_back")


def test_rollback_sh_by_hand_is_seen_as_such(site: Site) -> None:
    at_first_gate(site)
    site.kill()
    ran = site.run_script()
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert site.weight() == 0
    site.boot()
    rolled_back(site)
    assert site.look()["rollback"]["who"] == "rollback.sh"
