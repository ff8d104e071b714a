"""What must always hold of a release, whatever the world does to it: properties 1, 2, 3 and 5 of the design.

`LANESHIFT_EXAMPLES=20000 pytest tests/engine/test_release_properties.py` looks much longer.
"""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from engine import events as ev
from engine.events import CheckOutcome, GateRule
from engine.inputs import JournalSlow, Observed, SupersedeOld
from engine.judge import Outcome
from engine.state import GOING_BACK, Phase
from tests.engine.release_driver import START, verdict
from tests.engine.release_machine import PEOPLE, Traffic

OUTCOMES = st.sampled_from([Outcome.PASS] * 3 + list(Outcome))
ANSWERS = st.sampled_from([CheckOutcome.PASS, *CheckOutcome])
REASONS = st.sampled_from(["", "  ", "known"])
ITEM_NAMES = st.sampled_from(["smoke", "security", "?"])


class Releases(Traffic):
    """All that can happen to a release: its metrics, checks, people and orders too."""

    starts = tuple(range(10))

    @rule(
        errors=OUTCOMES,
        latency=OUTCOMES,
        cpu=OUTCOMES,
        alert=st.booleans(),
        requests=st.sampled_from([0, 99, 1000]),
        held=st.sampled_from([True, True, False]),
    )
    def the_judge_looks(
        self, errors: Outcome, latency: Outcome, cpu: Outcome, alert: bool, requests: int, held: bool
    ) -> None:
        said = {"errors": errors, "latency": latency, "cpu": cpu}
        self._look(tuple(verdict(name, out, requests=requests, alert=alert) for name, out in said.items()), held=held)

    @rule(problem=st.sampled_from(["no scrape", "timeout"]))
    def the_source_is_blind(self, problem: str) -> None:
        self._look((), problem)

    @rule(missing=st.sampled_from(["errors", "latency"]))
    def the_judge_leaves_a_metric_out(self, missing: str) -> None:
        self._look(tuple(verdict(name) for name in ("errors", "latency", "cpu") if name != missing))

    @rule(canary=st.sampled_from([0, 2]), stable=st.sampled_from([0, 2]))
    def instances_come_and_go(self, canary: int, stable: int) -> None:
        self.world.canary_ready, self.world.stable_ready = canary, stable

    @rule(reason=st.sampled_from(["", "no answer in 300 ms"]))
    def the_journal_is_slow(self, reason: str) -> None:
        self.tell(JournalSlow(at=self.now, reason=reason))

    @precondition(lambda self: self.state.phase is Phase.PROMOTED)
    @rule()
    def the_next_release_begins(self) -> None:
        self.tell(SupersedeOld(at=self.now, by="shop-2"))
        assert self.state.keep_until is None

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), outcome=ANSWERS)
    def a_check_answers(self, data: st.DataObject, outcome: CheckOutcome) -> None:
        asked = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        self._check_answers(asked, outcome)

    @precondition(lambda self: self.old_answers)
    @rule(data=st.data())
    def a_check_answers_twice(self, data: st.DataObject) -> None:
        self.tell(replace(data.draw(st.sampled_from(self.old_answers)), at=self.now))

    @rule(who=PEOPLE, override=st.booleans(), reason=REASONS)
    def somebody_advances(self, who: str, override: bool, reason: str) -> None:
        meant = {"stage": self.state.stage, "revision": self.state.revision}
        self.order("advance", who=who, override=override, reason=reason, **meant)

    @rule(
        verb=st.sampled_from(["advance", "approve"]),
        stage=st.sampled_from([None, -1, 0, 1, 2, 3]),
        revision=st.sampled_from([None, "another"]),
    )
    def somebody_decides_on_what_is_not_there(self, verb: str, stage: int | None, revision: str | None) -> None:
        said = self.order(verb, who="ada", stage=stage, revision=revision, override=True, reason="stale")
        assert [event.why for event in said if isinstance(event, ev.OrderRefused)]

    @rule(verb=st.sampled_from(["resume", "retry"]), stage=st.sampled_from([-1, 0, 1]))
    def somebody_orders_what_was_meant_for_then(self, verb: str, stage: int) -> None:
        going_back = self.state.phase in GOING_BACK
        stale = stage != self.state.stage
        said = self.order(verb, who="ada", stage=stage, reason="stale")
        refused = any(isinstance(event, ev.OrderRefused) for event in said)
        assert refused or not stale or (verb == "retry" and going_back)

    @rule(verb=st.sampled_from(["advance", "approve", "rollback", "pause"]), glass=st.booleans(), why=REASONS)
    def somebody_orders_what_they_may_not(self, verb: str, glass: bool, why: str) -> None:
        meant = {"stage": self.state.stage, "revision": self.state.revision}
        said = self.order(verb, who="eve", forbidden="eve may not", break_glass=glass, reason=why, **meant)
        broken = [event for event in said if isinstance(event, ev.GlassBroken)]
        accepted = any(isinstance(event, ev.OrderAccepted) for event in said)
        assert accepted == bool(broken)
        assert not broken or (verb == "rollback" and glass and why.strip())

    @rule()
    def two_people_press_the_same_key(self) -> None:
        meant = {"stage": self.state.stage, "revision": self.state.revision, "override": True, "reason": "go"}
        said = self.order("advance", who="ada", **meant) + self.order("advance", who="bob", **meant)
        assert sum(isinstance(event, ev.StageEntered | ev.FinishStarted) for event in said) <= 1

    @rule()
    def one_person_approves_twice(self) -> None:
        for _ in range(2):
            self._approve("ada", "trust")
        assert sum(said.who == "ada" for said in self.state.approvals) <= 1

    @rule(who=PEOPLE, verb=st.sampled_from(["pause", "resume", "retry", "note"]), reason=st.sampled_from(["", "seen"]))
    def somebody_orders(self, who: str, verb: str, reason: str) -> None:
        self.order(verb, who=who, reason=reason)

    @rule(who=PEOPLE, verb=st.sampled_from(["tick", "untick", "waive"]), item=ITEM_NAMES)
    def somebody_ticks(self, who: str, verb: str, item: str) -> None:
        self.order(verb, who=who, item=item, reason="looked")

    @precondition(lambda self: self.witness.moved or self.now > START + 300)
    @rule()
    def somebody_cancels(self) -> None:
        moved = self.witness.moved
        self.order("cancel", who="ada")
        assert not (moved and self.state.phase is Phase.CANCELLED)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def an_order_comes_again(self, data: st.DataObject) -> None:
        order = replace(data.draw(st.sampled_from(self.orders)), at=self.now)
        answer = self.state.answer_to(order.id)
        said = self.tell(order)
        assert not any(isinstance(event, ev.OrderAccepted | ev.OrderRefused) for event in said)
        assert self.state.answer_to(order.id) == answer
        assert answer is not None

    @rule(looks=st.integers(1, 6))
    def all_goes_well(self, looks: int) -> None:
        self._go_well(looks)

    @rule()
    def somebody_prepares_and_advances(self) -> None:
        self._prepare_and_advance()


class Decisions(Traffic):
    """People at gates that expire, engines that follow each other, and little else going wrong."""

    starts = (1, 2, 3, 4, 5, 7, 8)
    gates = st.sampled_from([GateRule(2, 300.0), GateRule(2, 300.0, "rollback"), GateRule(0, 120.0), GateRule(1)])

    @rule(looks=st.integers(1, 4), held=st.booleans())
    def all_goes_well(self, looks: int, held: bool) -> None:
        self._go_well(looks, held=held)

    @rule(seconds=st.sampled_from([60.0, 119.0, 120.0, 299.0, 300.0]), paused=st.booleans())
    def people_take_their_time(self, seconds: float, paused: bool) -> None:
        if paused:
            self.order("pause", who="carol")
        self.time_passes(seconds)
        self._go_well(1)
        if paused:
            self.order("resume", who="carol")

    @rule(who=PEOPLE, reason=REASONS, override=st.booleans())
    def somebody_presses_on(self, who: str, reason: str, override: bool) -> None:
        self._approve(who, reason)
        meant = {"stage": self.state.stage, "revision": self.state.revision}
        self.order("advance", who=who, reason=reason, override=override, **meant)

    @rule(seconds=st.sampled_from([120.0, 300.0]))
    def an_advance_comes_before_the_clock_does(self, seconds: float) -> None:
        """The first thing that the engine hears after a while."""
        self.now += seconds
        meant = {"stage": self.state.stage, "revision": self.state.revision}
        self.order("advance", who="ada", override=True, reason="late", **meant)

    @rule(outcome=OUTCOMES)
    def a_metric_turns(self, outcome: Outcome) -> None:
        self.now += 5
        self._look((verdict("errors", outcome), verdict("latency"), verdict("cpu")))

    @rule()
    def what_was_approved_turns_bad_for_a_moment(self) -> None:
        for who in ("ada", "bob"):
            self._approve(who, "trust")
        self.a_metric_turns(Outcome.FAIL)
        self._go_well(2)
        self.order("advance", who="ada", stage=self.state.stage, revision=self.state.revision)

    @rule(lease=st.sampled_from([5.0, 30.0, 60.0]), looks=st.integers(1, 3))
    def another_engine_goes_on(self, lease: float, looks: int) -> None:
        self._take_over(lease)
        self._go_well(looks)
        self.somebody_retries("ada")

    @rule(lease=st.sampled_from([5.0, 30.0]))
    def an_engine_dies_in_the_midst_of_a_write(self, lease: float) -> None:
        """What it wrote is lost: the next one writes it again, in time."""
        self._prepare_and_advance()
        self.world.in_flight.clear()
        self._take_over(lease)
        for _ in range(4):
            self.now += 3
            self.tell(Observed(at=self.now, begun=self.now, seen=self.world.shown()))


for machine in (Traffic, Releases, Decisions):
    machine.TestCase.settings = settings(
        max_examples=int(os.environ.get("LANESHIFT_EXAMPLES", "50")),
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
TestTraffic = Traffic.TestCase
TestReleases = Releases.TestCase
TestDecisions = Decisions.TestCase
