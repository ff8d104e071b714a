"""A witness that keeps its own account of a release, from its inputs and events alone, and objects.

What it holds against the machine is the design's "What must always hold": it sums the bake, remembers verdicts, checks
and readings by itself and asks no function of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine import events as ev
from engine.events import ENGINE, CheckOutcome, Event, GateRule, Rules
from engine.inputs import Answered, FinishTried, Input, LetGo, Looked, Observation, Observed, Took
from engine.judge import Outcome
from engine.state import FINAL, FORWARD, GOING_BACK, Phase, State

Key = tuple[str, str]


@dataclass
class Witness:
    """One release's account. `read` is the (weight, generation) that the living engine has read."""

    rules: Rules
    stage: int = -1
    desired: int = 0
    moved: bool = False
    read: tuple[float, str] | None = None
    confirmed: bool = False
    good_s: float = 0.0
    good_at: float | None = None
    requests: float = 0.0
    verdicts: dict[str, Outcome] = field(default_factory=dict)
    passed: dict[Key, bool] = field(default_factory=dict)
    tickets: dict[Key, int] = field(default_factory=dict)
    paused: bool = False
    last: ev.ShiftIntended | None = None
    refused_last: bool = False
    waits_for_answer: bool = False
    raises_out: set[str] = field(default_factory=set)
    written_at: float | None = None
    sightings: int = 0
    seen: Observation = field(default_factory=lambda: Observation(0.0))
    awaited: int | None = None
    finish_begun: bool = False
    put_back: int = 0
    gave_back: bool = False
    raise_after: float = 0.0
    approved: set[str] = field(default_factory=set)
    gate_reached: bool = False
    gate_until: float | None = None
    gate_expired: bool = False

    # --- inputs

    def hears(self, given: Input) -> None:
        """Before the machine decides."""
        if isinstance(given, Took):
            self.read, self.good_at, self.raises_out, self.tickets = None, None, set(), {}
            self.refused_last = self.refused_last or (self.last is not None and not self.confirmed)
            self.waits_for_answer, self.raise_after = False, given.raise_after
        elif isinstance(given, Observed):
            self._observed(given)
        elif isinstance(given, Looked):
            self._looked(given)
        elif isinstance(given, Answered):
            self._answered(given)
        elif isinstance(given, FinishTried):
            self._raise_answered(given.number)
        elif isinstance(given, LetGo):
            self.gave_back = given.ok

    def _observed(self, given: Observed) -> None:
        if given.seen is None:
            self.good_at = None
            return
        self.seen, self.read = given.seen, (given.seen.weight, given.seen.generation)
        if given.seen.weight != self.desired or given.seen.pending:
            self.good_at = None
        if given.seen.weight != 0 or given.seen.pending:
            self.sightings = 0
        elif self.written_at is not None and given.begun > self.written_at:
            self.sightings += 1

    def _looked(self, given: Looked) -> None:
        in_place = given.weight == self.desired and not self.seen.pending
        good = (self.confirmed or self._previews()) and not given.problem and in_place and given.held
        if good and self.good_at is not None:
            self.good_s += min(given.at - self.good_at, 2 * self.rules.interval_s)
        self.good_at = given.at if good else None
        if given.verdicts:
            self._what_turns_bad_is_not_approved(given)
            self.verdicts = {verdict.metric: verdict.outcome for verdict in given.verdicts}
            self.requests = max(verdict.canary.total for verdict in given.verdicts)

    def _what_turns_bad_is_not_approved(self, given: Looked) -> None:
        judged = {metric.name for metric in self.rules.metrics if metric.judged}
        for verdict in given.verdicts:
            was = self.verdicts.get(verdict.metric)
            if verdict.outcome is Outcome.FAIL and was not in (None, Outcome.FAIL) and verdict.metric in judged:
                self.approved.clear()

    def _answered(self, given: Answered) -> None:
        self._raise_answered(given.number)
        if self.last is not None and given.number == self.last.number and self.waits_for_answer:
            self.waits_for_answer = False
            self.refused_last = not given.ok
            if given.ok and self.last.weight == 0 and self.written_at is None:
                self.written_at = given.at

    def _raise_answered(self, number: str) -> None:
        if number in self.raises_out:
            self.raises_out.remove(number)
            self.sightings = 0

    def _previews(self) -> bool:
        return self.stage >= 0 and self.rules.stages[self.stage].weight == 0

    def answers(self, key: Key, ticket: int, outcome: CheckOutcome) -> None:
        """A check's answer comes; `ticket` is the question that it answers, of which only the last one counts."""
        if self.tickets.get(key) == ticket:
            self.passed[key] = outcome is CheckOutcome.PASS
            del self.tickets[key]

    # --- events

    def judges(self, before: State, said: Sequence[Event], after: State) -> None:
        """Object to what the machine said, event by event."""
        accepted = {event.verb for event in said if isinstance(event, ev.OrderAccepted)}
        entered = any(isinstance(event, ev.StageEntered) for event in said)
        for event in said:
            self._people(event, before)
            if isinstance(event, ev.StageEntered | ev.FinishStarted):
                self._goes_forward(event, before, accepted)
            elif isinstance(event, ev.ShiftIntended):
                self._intends(event, before, accepted, entered=entered, after=after)
            elif isinstance(event, ev.Promoted):
                self._promoted()
            elif isinstance(event, ev.RolledBack):
                assert self.sightings >= 2
                assert not self.raises_out
            elif isinstance(event, ev.FinishIntended):
                self._finishes(event, before)
            elif isinstance(event, ev.LetGoIntended):
                self._gives_back(event, after)
            else:
                self._takes_note(event)

    def _people(self, event: Event, before: State) -> None:
        """Gates and approvals, kept apart from all the rest."""
        if isinstance(event, ev.Approved):
            assert event.who not in self.approved, "each approval is another person's"
            assert event.stage == self.stage
            assert event.revision == before.revision
            assert not self.gate_expired
            self.approved.add(event.who)
        elif isinstance(event, ev.GateReached):
            gate = self._gate()
            assert gate is not None
            self.gate_reached, self.gate_expired = True, False
            self.gate_until = None if gate.expires_s is None else event.at + gate.expires_s
        elif isinstance(event, ev.GateExpired):
            assert self.gate_until is not None
            assert event.at >= self.gate_until
            self.approved.clear()
            self.gate_until, self.gate_expired = None, True
        elif isinstance(event, ev.ApprovalsVoided):
            self.approved.clear()
        elif isinstance(event, ev.RollbackStarted | ev.Cancelled):
            self._leaves_the_gate()

    def _gate(self) -> GateRule | None:
        return self.rules.gate if self.stage < 0 else self.rules.stages[self.stage].gate

    def _leaves_the_gate(self) -> None:
        self.approved.clear()
        self.gate_reached, self.gate_until, self.gate_expired = False, None, False

    def _gate_is_passed(self, event: ev.StageEntered | ev.FinishStarted) -> None:
        gate = self._gate()
        if gate is None:
            return
        assert len(self.approved) >= gate.approvers, "nothing stands for people"
        assert self.gate_reached or event.override
        assert not self.gate_expired
        assert self.gate_until is None or event.at < self.gate_until

    def _takes_note(self, event: Event) -> None:
        if isinstance(event, ev.RevisionChanged):
            self._begins(-1)
            self.passed.clear()
            self.tickets.clear()
        elif isinstance(event, ev.ShiftConfirmed):
            assert self.read is not None
            assert self.read[0] == self.desired
            assert not self.seen.pending
            self.confirmed = True
        elif isinstance(event, ev.CapacityAwaited):
            self.awaited = event.weight
        elif isinstance(event, ev.Disturbed):
            self.put_back += event.put_back
            self.gave_back = self.gave_back and not event.put_back
            assert self.put_back <= 3
        elif isinstance(event, ev.RollbackStarted):
            self.written_at, self.sightings = None, 0
        elif isinstance(event, ev.Paused | ev.Resumed):
            self.paused = isinstance(event, ev.Paused)

    def _begins(self, stage: int) -> None:
        self.stage, self.good_s, self.good_at, self.requests, self.confirmed = stage, 0.0, None, 0.0, False
        self.awaited = None
        self._leaves_the_gate()
        self.verdicts.clear()
        for known in (self.passed, self.tickets):
            for key in [key for key in known if key[0] == "stage"]:
                del known[key]

    def _goes_forward(self, event: ev.StageEntered | ev.FinishStarted, before: State, accepted: set[str]) -> None:
        assert not self.paused
        assert "advance" in accepted or (self.rules.auto_advance and event.who == ENGINE)
        assert self.read is not None, "no step forward over a weight unread"
        assert self.read[0] == self.desired
        assert not self.seen.pending
        assert self.stage < 0 or self.desired == self.rules.stages[self.stage].weight, "no stage is skipped"
        assert event.at >= self.raise_after, "a write of the engine before may still land"
        self._gate_is_passed(event)
        if event.override:
            assert event.override.strip()
            assert self.stage >= 0
        elif self.stage >= 0:
            self._stage_is_proven()
        else:
            self._all_is_prepared(before)
        if isinstance(event, ev.StageEntered):
            assert event.stage == self.stage + 1
            self._begins(event.stage)
        else:
            assert self.stage == len(self.rules.stages) - 1
            self._leaves_the_gate()

    def _stage_is_proven(self) -> None:
        rule = self.rules.stages[self.stage]
        timed, counted = self.good_s >= rule.warmup_s + rule.bake_s, self.requests >= rule.min_requests
        assert (timed and counted) if self.rules.until == "both" else (timed or counted)
        judged = [metric.name for metric in self.rules.metrics if metric.judged and rule.weight]
        assert all(self.verdicts.get(name) is Outcome.PASS for name in judged)
        assert all(self.passed.get(("stage", name)) for name in self.rules.checks["stage"])

    def _all_is_prepared(self, before: State) -> None:
        waived = {item.item.id for item in before.items.values() if item.mark == "waived"}
        assert all(self.passed.get(("pre", name)) or name in waived for name in self.rules.checks["pre"])

    def _intends(
        self, event: ev.ShiftIntended, before: State, accepted: set[str], *, entered: bool, after: State
    ) -> None:
        if event.weight == 0:
            assert after.phase in GOING_BACK | {Phase.ROLLED_BACK} or self.stage == -1 or self._previews()
        else:
            assert after.phase in FORWARD
            assert self.read == (event.base, event.generation), "a raise is from the weight that was read"
            assert event.weight == self.rules.stages[self.stage].weight
            assert not self.seen.pending or event.weight <= self.seen.weight
            self._both_sides_carry(event.weight)
            assert event.weight <= (event.base or 0) or event.at >= self.raise_after
            if not entered and "retry" not in accepted:
                self._goes_on_with(event, before)
            self.raises_out.add(event.number)
            self.moved = True
        self.desired, self.last, self.confirmed, self.refused_last = event.weight, event, False, False
        self.waits_for_answer = True

    def _both_sides_carry(self, weight: int) -> None:
        full = self.seen.full
        if full is None or weight <= self.seen.weight:
            return
        needed = full * weight / 100 if self.rules.scale == "proportional" else 1
        assert (self.seen.canary_ready or 0) >= needed, "the canary is too small for it"
        assert (self.seen.stable_ready or 0) >= full, "stable is no way back for all of it"

    def _finishes(self, event: ev.FinishIntended, before: State) -> None:
        assert self.read is not None, "nothing is finished before the weight is read"
        assert not self.paused
        assert self.rules.finish != "swap"
        assert self.stage == len(self.rules.stages) - 1
        assert before.phase in FORWARD
        assert event.at >= self.raise_after
        self.finish_begun = True
        self.raises_out.add(event.number)

    def _gives_back(self, event: ev.LetGoIntended, after: State) -> None:
        assert self.rules.holds_target
        assert after.phase in FINAL
        assert after.keep_until is None
        assert not self.gave_back, "once is enough"
        if event.canary_to_zero:
            assert after.phase is Phase.ROLLED_BACK
            assert self.seen.weight == 0

    def _goes_on_with(self, event: ev.ShiftIntended, before: State) -> None:
        """An unfinished raise, by nobody's order: the route must be exactly what it was."""
        assert not self.paused
        if event.weight != self.desired:
            assert self.awaited == event.weight, "it waited for both sides to carry it"
            return
        assert self.last is not None
        assert (event.weight, event.base, event.generation) == (self.last.weight, self.last.base, self.last.generation)
        assert self.refused_last
        assert not before.holds

    def _promoted(self) -> None:
        assert not self.paused
        assert self.read is not None
        assert self.read[0] == self.desired == self.rules.stages[-1].weight
        assert self.stage == len(self.rules.stages) - 1
        assert all(self.passed.get(("post", name)) for name in self.rules.checks["post"])
        assert self.rules.finish == "swap" or (self.finish_begun and self.seen.finished)

    # --- safety is never off

    def guards(self, given: Input, before: State, after: State) -> None:
        """Harm has its consequence, in whatever state; an overdue question too."""
        if after.phase in FORWARD:
            assert all(question.due > given.at for question in after.questions.values())
            assert self.gate_until is None or given.at < self.gate_until, "a gate expires in time, paused or not"
        if after.phase is Phase.STAGE:
            assert after.warmed_s + after.baked_s <= self.good_s + 1e-6, "a bake is the sum of what was good and held"
        if not isinstance(given, Looked) or before.phase not in FORWARD or not self.moved:
            return
        judged = {metric.name for metric in self.rules.metrics if metric.judged}
        failing = [v.metric for v in given.verdicts if v.outcome is Outcome.FAIL and v.metric in judged]
        for metric in failing:
            held = f"failing {metric}" in after.holds
            asked = metric in after.questions
            policy = self.rules.on_fail_of.get(metric, self.rules.on_fail)
            allowed = {"rollback": False, "hold": held, "ask": held or asked}[policy]
            assert allowed or after.phase in GOING_BACK
