"""A Hypothesis state machine that keeps a release, lets the world meddle with its traffic, and has a witness object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import events as ev
from engine.events import CheckList, CheckOutcome, Event, GateRule, Rules
from engine.gates import blockers, refusal
from engine.inputs import (
    Answered,
    Checked,
    Clock,
    FinishTried,
    Input,
    LetGo,
    Looked,
    Observation,
    Observed,
    Order,
    PastLearned,
    Scaled,
    Took,
)
from engine.judge import Verdict
from engine.outlook import outlook
from engine.release import VERBS, decide
from engine.state import FORWARD, GOING_BACK, Phase, State, apply, created, fold
from tests.engine.release_driver import PREVIEW, STAGES, START, creation, rules, sample, stored, verdict
from tests.engine.release_witness import Witness
from tests.engine.worlds import World, Write, step_of, write_of

PEOPLE = st.sampled_from(["ada", "bob", "carol"])
GATES = st.sampled_from(
    [
        None,
        None,
        GateRule(approvers=1),
        GateRule(approvers=2, expires_s=300.0),
        GateRule(approvers=2, expires_s=300.0, then="rollback"),
        GateRule(expires_s=120.0, then="rollback"),
    ]
)
LEASES_S = st.sampled_from([0.0, 0.0, 5.0, 30.0])  # how long the engine before may still write after a take-over
WAITS = st.sampled_from([0.1, 1.0, 2.0, 5.0, 12.0, 61.0, 121.0, 301.0, 4000.0])
WEIGHTS = st.sampled_from([0, 2, 5, 25, 50, 100])
PLANS = st.fixed_dictionaries(
    {
        "on_fail": st.sampled_from(["rollback", "hold", "ask"]),
        "until": st.sampled_from(["both", "either"]),
        "auto_advance": st.booleans(),
        "blind_then": st.sampled_from(["hold", "rollback"]),
        "scale": st.sampled_from(["none", "proportional"]),
        "finish": st.sampled_from(["swap", "copy", "handover"]),
        "holds_target": st.booleans(),
        "canary_to_zero": st.booleans(),
        "guard_s": st.sampled_from([0.0, 300.0]),
        "drain_s": st.sampled_from([0.0, 30.0]),
        "capacity_s": st.just(60.0),
        "stages": st.sampled_from([STAGES, STAGES, PREVIEW]),
    }
)


@dataclass(frozen=True)
class Asked:
    """A check that was asked: the only one that may answer to `ticket`."""

    ticket: int
    listed: CheckList
    name: str
    attempt: int


class Traffic(RuleBasedStateMachine):
    """A release whose traffic is meddled with, its world, and the witness of both.

    It begins after a number of walks drawn from `starts`, of these: nothing seen (0), ready (1), a raise under way (2,
    4, 6), at its gate (3, 5, 7), finishing (8), promoted (9).
    """

    plan: Rules
    state: State
    sound = False
    starts: tuple[int, ...] = (2, 3, 4, 6, 9)
    gates: st.SearchStrategy[GateRule | None] = GATES

    @initialize(chosen=PLANS, wanted=st.sampled_from(["", "v2"]), full=st.sampled_from([None, 2, 4]), data=st.data())
    def begin(self, chosen: dict[str, Any], wanted: str, full: int | None, data: st.DataObject) -> None:
        self.now = START
        chosen["gate"], gate = data.draw(self.gates), data.draw(self.gates)
        chosen["stages"] = tuple(replace(stage, gate=gate) for stage in chosen["stages"])
        self.world = World(full=full, stable_ready=full or 2)
        self.scales: list[int] = []
        self.lettings_go = 0
        self.plan = rules(**chosen)
        self.witness = Witness(self.plan)
        first = creation(self.plan, canary_wanted=wanted)
        self.events: list[Event] = [first]
        self.state = created(first)
        self.questions = 0
        self.asked: list[Asked] = []
        self.old_answers: list[Checked] = []
        self.orders: list[Order] = []
        self.reading: Observation | None = None
        self.read_at = START
        self.tell(Took(at=self.now, epoch=1))
        for walk in range(data.draw(st.sampled_from(self.starts))):
            if walk % 2:
                self._prepare_and_advance()
            else:
                self._go_well(6 if walk else 1)

    def tell(self, given: Input) -> list[Event]:
        before = self.state
        self.sound = False
        self.witness.hears(given)
        said = decide(before, given)
        for event in said:
            self.state = apply(self.state, event)
        self.events += said
        self.witness.judges(before, said, self.state)
        self.witness.guards(given, before, self.state)
        for event in said:
            self._carry_out(event)
        self.sound = True
        if self.state.canary and self.state.past_s is None:
            self.tell(PastLearned(at=self.now, seconds=3600, remarks=()))
        return said

    def _carry_out(self, event: Event) -> None:
        if isinstance(event, ev.ShiftIntended):
            self.world.in_flight.append(write_of(event))
        elif isinstance(event, ev.FinishIntended):
            self.world.in_flight.append(step_of(event, self.state.generation))
        elif isinstance(event, ev.CapacityAwaited) and event.scale:
            self.scales.append(event.weight)
        elif isinstance(event, ev.LetGoIntended):
            self.lettings_go += 1
        elif isinstance(event, ev.ChecksStarted):
            for name in event.names:
                self.questions += 1
                asked = Asked(self.questions, event.list, name, event.attempt)
                self.asked.append(asked)
                self.witness.tickets[event.list, name] = asked.ticket
                self.witness.passed.pop((event.list, name), None)

    def order(self, verb: str, **fields: Any) -> list[Event]:
        order = Order(at=self.now, id=f"o{len(self.orders)}", verb=verb, **fields)
        self.orders.append(order)
        said = self.tell(order)
        answers = [event for event in said if isinstance(event, ev.OrderAccepted | ev.OrderRefused)]
        assert [event.order for event in answers] == [order.id], "each order is answered, and once"
        why = answers[0].why if isinstance(answers[0], ev.OrderRefused) else ""
        assert self.state.answer_to(order.id) == why
        return said

    # --- time, readings, looks

    @rule(seconds=WAITS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(Clock(at=self.now))

    @rule()
    def the_router_is_read(self) -> None:
        self.now += 0.1
        self.tell(Observed(at=self.now, begun=self.now, seen=self.world.shown()))

    @rule()
    def a_reading_begins(self) -> None:
        self.reading, self.read_at = self.world.shown(), self.now

    @precondition(lambda self: self.reading is not None)
    @rule()
    def the_reading_comes_late(self) -> None:
        """It may be older than what is known; an engine reads one at a time, so it is the next one that it gets."""
        self.now += 0.1
        self.tell(Observed(at=self.now, begun=self.read_at, seen=self.reading))
        self.reading = None

    @rule()
    def the_router_is_lost(self) -> None:
        self.tell(Observed(at=self.now, begun=self.now, seen=None, problem="refused"))

    def _look(self, verdicts: tuple[Verdict, ...], problem: str = "", *, held: bool = True) -> None:
        unread = self.state.router_problem or self.state.observed_at is None
        weight = None if unread else self.state.observed
        served = {"canary": 10 * (weight or 0), "stable": 1000 - 10 * (weight or 0)}
        samples = () if problem else tuple(sample(one.metric, **served) for one in verdicts)
        looked = Looked(at=self.now, weight=weight, samples=samples, verdicts=verdicts, problem=problem, held=held)
        baked = self.state.baked_s
        self.tell(looked)
        assert held or self.state.baked_s <= baked, "a look without the lease is no bake"

    # --- writes

    @precondition(lambda self: self.world.in_flight)
    @rule(data=st.data())
    def a_write_lands_and_is_answered(self, data: st.DataObject) -> None:
        write = self._take(data, self.world.in_flight)
        landed = self.world.land(write)
        self._answer(write, ok=landed, conflict=not landed)

    @precondition(lambda self: self.scales)
    @rule(works=st.booleans(), ok=st.booleans())
    def a_wish_for_another_size_is_answered(self, works: bool, ok: bool) -> None:
        weight = self.scales.pop(0)
        if works:
            self.world.scale(weight)
        self.tell(Scaled(at=self.now, weight=weight, ok=ok, detail="said the scaler"))

    @precondition(lambda self: self.lettings_go)
    @rule(ok=st.booleans())
    def what_was_held_is_given_back_or_not(self, ok: bool) -> None:
        self.lettings_go -= 1
        self.tell(LetGo(at=self.now, ok=ok, detail="said the router"))

    @rule(pending=st.sampled_from(["", "", "not accepted yet"]))
    def what_is_written_is_not_in_effect_everywhere(self, pending: str) -> None:
        self.world.pending = pending

    @precondition(lambda self: self.world.in_flight)
    @rule(data=st.data())
    def a_write_lands_and_its_answer_is_lost(self, data: st.DataObject) -> None:
        write = self._take(data, self.world.in_flight)
        self.world.land(write)
        self._answer(write, ok=False)

    @precondition(lambda self: self.world.in_flight)
    @rule(data=st.data())
    def a_write_lands_and_its_answer_is_under_way(self, data: st.DataObject) -> None:
        self.world.land(data.draw(st.sampled_from(self.world.in_flight)))

    @precondition(lambda self: self.world.in_flight)
    @rule(data=st.data(), later=st.booleans())
    def a_write_is_lost_or_only_late(self, data: st.DataObject, later: bool) -> None:
        write = self._take(data, self.world.in_flight)
        if later:
            self.world.ghosts.append(write)
        self._answer(write, ok=False)

    @precondition(lambda self: self.world.in_flight)
    @rule(data=st.data())
    def a_write_is_answered_and_ignored(self, data: st.DataObject) -> None:
        self._answer(self._take(data, self.world.in_flight), ok=True)

    @precondition(lambda self: self.world.ghosts)
    @rule(data=st.data())
    def a_ghost_lands(self, data: st.DataObject) -> None:
        self._ghost_lands(self._take(data, self.world.ghosts))

    @rule(number=st.sampled_from(["1.1", "1.2", "2.2", "9.9"]), ok=st.booleans())
    def an_answer_is_repeated(self, number: str, ok: bool) -> None:
        if number not in {write.number for write in self.world.in_flight}:
            self.tell(Answered(at=self.now, number=number, ok=ok))

    def _take(self, data: st.DataObject, writes: list[Write]) -> Write:
        return writes.pop(data.draw(st.integers(0, len(writes) - 1)))

    def _answer(self, write: Write, *, ok: bool, conflict: bool = False) -> None:
        self.now += 0.1
        if write.finish:
            self.tell(FinishTried(at=self.now, number=write.number, ok=ok, detail="said the router"))
        else:
            self.tell(Answered(at=self.now, number=write.number, ok=ok, conflict=conflict, detail="said the router"))

    def _ghost_lands(self, write: Write) -> None:
        landed = self.world.land(write)
        if self.state.phase is Phase.ROLLED_BACK:
            assert not landed or write.weight == 0, "a delayed raise landed after the roll back"

    # --- people and the world

    @rule(weight=WEIGHTS)
    def somebody_moves_the_weight(self, weight: int) -> None:
        self.world.by_hand(weight)

    @rule()
    def somebody_runs_the_script(self) -> None:
        self.world.by_script()

    @rule(version=st.sampled_from(["v2", "v3", ""]))
    def another_canary_runs(self, version: str) -> None:
        self.world.canary = version

    @rule(lease=LEASES_S)
    def the_engine_is_killed(self, lease: float) -> None:
        self._take_over(lease)

    def _take_over(self, lease: float) -> None:
        again = fold([stored(event) for event in self.events])
        assert again == self.state, "the journal alone rebuilds the release"
        self.world.engine_dies()
        self.asked, self.reading, self.scales, self.lettings_go = [], None, [], 0
        self.now += 1
        raise_after = self.now + lease if lease else 0.0
        self.tell(Took(at=self.now, epoch=self.state.epoch + 1, engine="engine-b", raise_after=raise_after))

    @rule(who=PEOPLE)
    def somebody_retries(self, who: str) -> None:
        self.order("retry", who=who)

    def _check_answers(self, asked: Asked, outcome: CheckOutcome) -> None:
        given = Checked(
            at=self.now,
            list=asked.listed,
            name=asked.name,
            attempt=asked.attempt,
            outcome=outcome,
            summary=f"{asked.name} {outcome.value}",
        )
        self.old_answers.append(given)
        self.witness.answers((asked.listed, asked.name), asked.ticket, outcome)
        self.tell(given)

    @rule(who=PEOPLE)
    def somebody_rolls_back(self, who: str) -> None:
        self._roll_back(who)

    @precondition(lambda self: self.state.phase in FORWARD | GOING_BACK)
    @rule(lands=st.booleans(), readings=st.integers(0, 2))
    def somebody_rolls_back_while_older_writes_hang(self, lands: bool, readings: int) -> None:
        self._roll_back("ada")
        if self.world.in_flight and self.world.in_flight[-1].weight == 0:
            write = self.world.in_flight.pop()
            if lands:
                self.world.land(write)
            self._answer(write, ok=True)
        for _ in range(readings):
            self.the_router_is_read()

    def _roll_back(self, who: str) -> None:
        self.tell(Clock(at=self.now))  # what is due by now is not what the order did
        over = self.state.phase is Phase.CANCELLED
        too_late = self.state.phase is Phase.PROMOTED and (
            self.state.keep_until is None or self.now > self.state.keep_until
        )
        said = self.order("rollback", who=who)
        assert isinstance(said[0], ev.OrderRefused if over or too_late else ev.OrderAccepted)
        if not (over or too_late):
            assert self.state.phase in GOING_BACK | {Phase.ROLLED_BACK}

    @rule(who=PEOPLE, reason=st.sampled_from(["", "known"]))
    def somebody_approves(self, who: str, reason: str) -> None:
        self._approve(who, reason)

    def _approve(self, who: str, reason: str = "") -> None:
        self.order("approve", who=who, reason=reason, stage=self.state.stage, revision=self.state.revision)

    # --- walks that lead deep

    def _go_well(self, looks: int, *, held: bool = True) -> None:
        """Writes land, the router is read, verdicts pass, checks say yes: for some intervals."""
        for _ in range(looks):
            self.now += 5
            self._the_world_answers()
            self.tell(Observed(at=self.now, begun=self.now, seen=self.world.shown()))
            self._look(tuple(verdict(name) for name in ("errors", "latency", "cpu")), held=held)
            for asked in [self.asked.pop() for _ in range(len(self.asked))]:
                self._check_answers(asked, CheckOutcome.PASS)

    def _prepare_and_advance(self) -> None:
        for item in ("smoke", "security"):
            self.order("tick", who="ada", item=item)
        for who in ("ada", "bob"):
            self._approve(who)
        self.order("advance", who="ada", stage=self.state.stage, revision=self.state.revision)

    def _the_world_answers(self) -> None:
        for write in [self.world.in_flight.pop(0) for _ in range(len(self.world.in_flight))]:
            landed = self.world.land(write)
            self._answer(write, ok=landed, conflict=not landed)
        for weight in [self.scales.pop(0) for _ in range(len(self.scales))]:
            self.world.scale(weight)
            self.tell(Scaled(at=self.now, weight=weight, ok=True))

    # --- always

    @invariant()
    def it_can_be_explained(self) -> None:
        state = self.state
        seen = outlook(state, self.now)
        assert seen.waits_for
        assert seen.then
        blockers(state, self.now)
        meant: dict[str, Any] = {"stage": state.stage, "revision": state.revision, "reason": "given", "override": True}
        item = next((one.item.id for one in state.open_items("pre")), "")
        for verb in seen.orders:
            assert not refusal(state, verb, self.now, item=item, **meant), verb

    @invariant()
    def refusals_are_sentences_and_harmless(self) -> None:
        for verb in VERBS:
            order = Order(at=self.now, id="probe", verb=verb, who="ada", item="?")
            said = decide(self.state, order)
            refused = [event for event in said if isinstance(event, ev.OrderRefused)]
            assert all(event.why for event in refused)

    def teardown(self) -> None:
        if not self.sound:
            return  # an objection was raised already: not to be hidden by what follows from it
        again = fold([stored(event) for event in self.events])
        assert again == self.state
        self._a_fair_world_rolls_back()

    def _a_fair_world_rolls_back(self) -> None:
        """From wherever it is: ordered back in a world that does what it is told, it gets there, for good."""
        expired = self.state.phase is Phase.PROMOTED and (
            self.state.keep_until is None or self.now > self.state.keep_until
        )
        self.tell(Clock(at=self.now))
        over = self.state.phase is Phase.CANCELLED or expired
        self.world.stable_ready = self.world.canary_ready = self.world.full or 2
        self.world.pending = ""
        was = self.state.phase
        self._roll_back("ada")
        if was is Phase.ROLLED_BACK:
            self._nothing_can_land_any_more()
        elif not over:
            self._goes_back_fairly()

    def _goes_back_fairly(self) -> None:
        self.now += 0.1
        for _ in range(30):
            for ghost in [self.world.ghosts.pop(0) for _ in range(len(self.world.ghosts) // 2)]:
                self._ghost_lands(ghost)
            self._the_world_answers()
            self.now += 1
            self.tell(Observed(at=self.now, begun=self.now, seen=self.world.shown()))
            self.tell(Clock(at=self.now))
            if self.state.phase is Phase.ROLLED_BACK:
                break
        assert self.state.phase is Phase.ROLLED_BACK
        assert self.world.weight == 0
        self._nothing_can_land_any_more()
        assert self.world.weight == 0
        assert self.world.copied == 0, "stable runs the version that it began with"

    def _nothing_can_land_any_more(self) -> None:
        for write in (*self.world.ghosts, *self.world.in_flight):
            self._ghost_lands(write)
