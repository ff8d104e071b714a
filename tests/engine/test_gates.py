from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.gates import blockers, enough_bake, refusal
from engine.judge import Outcome
from engine.release import VERBS
from tests.engine.release_driver import Driver, rules, verdict


def why(release: Driver) -> str:
    return "; ".join(blockers(release.state, release.now))


def spoil(change: Callable[[Driver], object]) -> Driver:
    """A release at its gate, and what then happens to it."""
    release = Driver(rules(on_fail="hold")).at_gate()
    change(release)
    return release


def test_nothing_stands_before_a_release_at_its_gate() -> None:
    assert why(Driver().at_gate()) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.order("pause"), "paused by ada"),
        (lambda r: r.lose_router(), "the router cannot be read: refused"),
        (lambda r: r.restart(), "the weight has not been read yet"),
        (lambda r: r.after(16), "the weight has not been read for a while"),
        (lambda r: r.after(16), "no samples have come for a while"),
        (lambda r: r.look(problem="refused"), "the source shows nothing: refused"),
        (lambda r: r.look(verdict("errors", Outcome.NO_DATA)), "errors: no_data"),
        (lambda r: r.look(verdict("errors", Outcome.INCONCLUSIVE)), "errors: inconclusive"),
        (lambda r: r.look(verdict("errors", Outcome.ERROR)), "errors: error"),
        (lambda r: r.look(verdict("errors", Outcome.FAIL)), "errors: fail"),
        (lambda r: r.observe(canary_ready=0), "nothing of the canary is ready"),
        (lambda r: r.observe(weight=4), "by hand"),
    ],
)
def test_what_stands_in_the_way_is_said(change: Callable[[Driver], object], reason: str) -> None:
    release = spoil(change)
    assert reason in why(release)
    assert reason in refusal(
        release.state, "advance", release.now, stage=release.state.stage, revision=release.state.revision
    )


def test_the_worst_verdict_is_the_one_that_is_said() -> None:
    release = spoil(lambda r: r.look(verdict("errors", Outcome.INCONCLUSIVE), verdict("latency", Outcome.ERROR)))
    assert "latency: error" in why(release)
    assert "errors" not in why(release)


def test_a_judged_metric_without_a_verdict_stands_in_the_way() -> None:
    release = Driver().at_gate()
    left = {name: said for name, said in release.state.verdicts.items() if name != "latency"}
    assert "the judge has said nothing of latency" in blockers(replace(release.state, verdicts=left), release.now)


def test_before_the_release_its_open_items_are_named() -> None:
    release = Driver().after(1)
    release.observe()
    assert "check smoke is running" in why(release)
    assert "2 open pre items, to tick or waive: smoke, security" in why(release)


def test_with_nothing_to_carry_proof_a_bake_is_still_not_enough_before_the_first_stage() -> None:
    assert not enough_bake(Driver().ready().state)


@pytest.mark.parametrize(
    ("baked", "requests", "until", "enough"),
    [
        (10, 100, "both", True),
        (9, 100, "both", False),
        (10, 99, "both", False),
        (10, 0, "either", True),
        (9, 100, "either", False),
    ],
)
def test_enough_bake(baked: float, requests: float, until: str, *, enough: bool) -> None:
    state = Driver(rules(until=until)).baking().state
    assert enough_bake(replace(state, baked_s=baked, requests=requests)) is enough


def test_a_long_bake_that_ends_with_its_requests_still_takes_two_minutes() -> None:
    long = tuple(replace(rule, bake_s=900) for rule in rules().stages)
    state = Driver(rules(stages=long, until="either")).baking().state
    assert not enough_bake(replace(state, baked_s=119, requests=1000))
    assert enough_bake(replace(state, baked_s=120, requests=1000))


@pytest.mark.parametrize(
    ("ended", "taken"),
    [
        (Driver.cancelled, {"note"}),
        (Driver.rolled_back, {"note", "rollback", "tick", "waive", "untick"}),
        (Driver.promoted, {"note", "rollback", "tick", "waive", "untick"}),
    ],
)
def test_which_orders_an_ended_release_takes(ended: Callable[[Driver], Driver], taken: set[str]) -> None:
    release = ended(Driver())

    def refused(verb: str) -> str:
        item = "security" if verb == "untick" else "cleanup"
        state = release.state
        return refusal(
            state, verb, release.now, stage=state.stage, revision=state.revision, item=item, reason="r", override=True
        )

    assert {verb for verb in VERBS if not refused(verb)} == taken


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("waive", "a waiver needs a reason"),
        ("note", "a note needs words"),
        ("resume", "nothing is paused"),
        ("retry", "there is nothing to retry"),
        ("cancel", "traffic has moved: roll back instead"),
        ("teleport", "there is no order 'teleport'"),
    ],
)
def test_a_refusal_says_what_to_do_instead(verb: str, words: str) -> None:
    release = Driver().baking()
    assert words in refusal(release.state, verb, release.now, item="security")


def test_a_tick_meant_for_another_revision_is_refused() -> None:
    release = Driver().baking()
    assert "look again" in refusal(release.state, "tick", release.now, item="cleanup", revision="another")
    assert "there is no item 'x'" in refusal(release.state, "tick", release.now, item="x")
    assert "security is done already, by ada" in refusal(release.state, "tick", release.now, item="security")


def test_an_override_is_refused_while_paused_and_over_a_weight_out_of_place() -> None:
    for change, words in ((lambda r: r.order("pause"), "resume first"), (lambda r: r.observe(weight=4), "can't mend")):
        release = spoil(change)
        said = refusal(
            release.state,
            "advance",
            release.now,
            stage=release.state.stage,
            revision=release.state.revision,
            reason="hurry",
            override=True,
        )
        assert words in said
