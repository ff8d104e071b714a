"""The state of a release: what folding its events gives. The engine, the cockpit, reports and tests fold alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from typing import Any

from engine import events as ev
from engine.events import CheckOutcome, Item, Rules, StageRule, Step
from engine.judge.metric import Outcome, Sample, Verdict


class Phase(StrEnum):
    """Where a release is in its life. The table in `engine.release` says what leads where."""

    PREFLIGHT = "preflight"
    STAGE = "stage"
    FINISHING = "finishing"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    ROLLBACK_FAILED = "rollback_failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


FINAL = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.CANCELLED})
GOING_BACK = frozenset({Phase.ROLLING_BACK, Phase.ROLLBACK_FAILED})
FORWARD = frozenset({Phase.PREFLIGHT, Phase.STAGE, Phase.FINISHING})

RINGING = "alert "  # begins the cause of a hold for an alert that nobody decides on
FAILING = "failing "  # begins the cause of a hold for a metric or check that fails


@dataclass(frozen=True, slots=True)
class ItemState:
    """`mark`: open, done, waived or n/a; `evidence` is the engine's, `note` a person's words. An open item with a `who`
    was unticked by that person: the engine does not tick it again by itself."""

    item: Item
    mark: str = "open"
    who: str = ""
    at: float = 0.0
    note: str = ""
    evidence: str = ""

    @property
    def settled(self) -> bool:
        return self.mark != "open"


@dataclass(frozen=True, slots=True)
class CheckState:
    """`outcome` is None while the check runs; `again` when it was asked once more after a no. An `attempt` is never
    used twice in a release, so that the answer to an earlier question is no answer to a later one."""

    list: str
    name: str
    attempt: int
    again: bool = False
    outcome: CheckOutcome | None = None
    summary: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """A write of the weight: `answered_at` None while it is under way, `confirmed` once read back."""

    number: str
    weight: int
    base: float | None
    generation: str
    at: float
    answered_at: float | None = None
    ok: bool = False
    detail: str = ""
    confirmed: bool = False

    @property
    def to_stable(self) -> bool:
        """All traffic to stable: written over anything and repeated. Any other weight, a lower one too, is
        compare-and-set: written late, it would land on top of a person's 0 or of a roll back."""
        return self.weight == 0


@dataclass(frozen=True, slots=True)
class Effort:
    """Something that the router was asked for beside a shift, again and again until it is so: another size, a copy or
    a handover, letting go. `weight` is what a size is for."""

    at: float
    weight: int = 0
    number: str = ""
    answered_at: float | None = None
    ok: bool = False
    detail: str = ""
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Question:
    metric: str
    text: str
    due: float


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """The laps of a rollback, each a time: asked, accepted, weight written, seen, last canary request, recovered."""

    asked: float
    accepted: float
    who: str
    reason: str
    metric: str = ""
    was: float = 0.0
    written: float | None = None
    observed: float | None = None
    last_canary_request: float | None = None
    recovered: float | None = None
    done: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A release now. Weights in percent, times in seconds since the epoch, durations in seconds.

    `requests` are the canary's in this stage; `exposed` those of the whole release, `harmed` the failed among them.
    `served` are the requests of the canary and of both while this stage's weight was in place.
    """

    release: str
    service: str
    summary: str
    target: str
    plan_digest: str
    canary_wanted: str
    who: str
    rules: Rules
    manual_rollback: str
    created_at: float
    phase: Phase = Phase.PREFLIGHT
    stage: int = -1
    step: Step = Step.SHIFT
    epoch: int = 0
    canary: str = ""
    stable: str = ""
    canary_build: str = ""
    stable_build: str = ""
    canary_workload: str = ""
    stable_workload: str = ""
    desired: int = 0
    observed: float | None = None
    observed_at: float | None = None
    generation: str = ""
    mark: str = ""
    marked_by: str = ""
    canary_ready: int | None = None
    stable_ready: int | None = None
    canary_asked: int | None = None
    full: int | None = None
    share: float | None = None
    pending: str = ""
    hand: str = ""
    finished: bool = False
    remark: str = ""
    router_problem: str = ""
    capacity: Effort | None = None
    finishing: Effort | None = None
    letting_go: Effort | None = None
    disturbed: int = 0
    way_back_at: float | None = None
    way_back_problem: str = ""
    intent: Intent | None = None
    intents: int = 0
    raises_out: frozenset[str] = frozenset()
    moved: bool = False
    paused_by: str = ""
    holds: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    step_at: float = 0.0
    warmed_s: float = 0.0
    baked_s: float = 0.0
    requests: float = 0.0
    served: tuple[float, float] = (0.0, 0.0)
    exposed: float = 0.0
    harmed: float = 0.0
    last_tick_at: float | None = None
    proved_at: float | None = None
    blind_since: float | None = None
    source_problem: str = ""
    samples: Mapping[str, Sample] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    alert_since: Mapping[str, float] = field(default_factory=dict)
    past_s: float | None = None
    remarks: tuple[str, ...] = ()
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    items: Mapping[str, ItemState] = field(default_factory=dict)
    weights: tuple[float, ...] = ()
    rollback: Stopwatch | None = None
    rollback_sightings: int = 0
    late: str = ""
    keep_until: float | None = None
    ended_at: float | None = None
    ending: str = ""
    journal_late: str = ""
    orders: frozenset[str] = frozenset()

    @property
    def revision(self) -> str:
        """What proof and orders are bound to: the plan and both versions that really run."""
        canary, stable = runs(self.canary, self.canary_build), runs(self.stable, self.stable_build)
        return f"{self.plan_digest[:12]}/{canary}/{stable}"

    @property
    def rule(self) -> StageRule | None:
        return self.rules.stages[self.stage] if 0 <= self.stage < len(self.rules.stages) else None

    @property
    def next_weight(self) -> int | None:
        """The weight that an advance would bring, None at the last stage."""
        following = self.stage + 1
        return self.rules.stages[following].weight if following < len(self.rules.stages) else None

    @property
    def shifting(self) -> bool:
        """An intent is not yet read back."""
        return self.intent is not None and not self.intent.confirmed

    def check(self, listed: str, name: str) -> CheckState | None:
        return self.checks.get(check_key(listed, name))

    def checks_of(self, listed: str) -> tuple[CheckState, ...]:
        return tuple(check for check in self.checks.values() if check.list == listed)

    def open_items(self, listed: str) -> tuple[ItemState, ...]:
        return tuple(i for i in self.items.values() if i.item.list == listed and not i.settled)


def runs(version: str, build: str) -> str:
    """A version with what really runs of it, where that is known."""
    return f"{version}@{build}" if build else version


def check_key(listed: str, name: str) -> str:
    """The key of a check in `State.checks`: two lists may have a check of the same name."""
    return f"{listed}/{name}"


def created(event: ev.Created) -> State:
    """The state that a release begins with."""
    return State(
        release=event.release,
        service=event.service,
        summary=event.summary,
        target=event.target,
        plan_digest=event.plan_digest,
        canary_wanted=event.canary_wanted,
        who=event.who,
        rules=event.rules,
        manual_rollback=event.manual_rollback,
        created_at=event.at,
        step_at=event.at,
        items={item.id: ItemState(item) for item in event.rules.items},
    )


def fold(events: Iterable[ev.Event]) -> State | None:
    """The state after `events`, of which the first is `Created`; None when there are none."""
    iterator = iter(events)
    first = next(iterator, None)
    if first is None:
        return None
    if not isinstance(first, ev.Created):
        raise TypeError(f"a release begins with Created, not {type(first).__name__}")
    return reduce(apply, iterator, created(first))


def apply(state: State, event: ev.Event) -> State:
    """The state after one more event."""
    return _FOLDS[type(event)](state, event)


_Fold = Callable[[State, Any], State]
_FOLDS: dict[type[ev.Event], _Fold] = {}


def _folds(kind: type[ev.Event]) -> Callable[[_Fold], _Fold]:
    def register(function: _Fold) -> _Fold:
        _FOLDS[kind] = function
        return function

    return register


def _with(mapping: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    return {**mapping, key: value}


def _without(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


_FOLDS[ev.Noted] = _FOLDS[ev.OrderRefused] = lambda state, _event: state


@_folds(ev.EngineTook)
def _engine_took(state: State, event: ev.EngineTook) -> State:
    # Whatever was read before is old: observe first. The time between is no bake, and no time to converge in. A write
    # that the engine before had under way will never be answered.
    intent = state.intent
    if intent is not None and intent.answered_at is None:
        intent = replace(intent, answered_at=event.at, detail="the engine restarted before an answer")
    efforts = (state.capacity, state.finishing, state.letting_go)
    capacity, finishing, letting_go = (_cut_off(effort, event.at) for effort in efforts)
    return replace(
        state,
        epoch=event.epoch,
        capacity=capacity,
        finishing=finishing,
        letting_go=letting_go,
        observed_at=None,
        router_problem="",
        last_tick_at=None,
        proved_at=None,
        intent=intent,
        raises_out=frozenset(),
        rollback_sightings=0,
        step_at=event.at if state.shifting else state.step_at,
    )


def _cut_off(effort: Effort | None, at: float) -> Effort | None:
    if effort is None or effort.answered_at is not None:
        return effort
    return replace(effort, answered_at=at, detail="the engine restarted before an answer")


@_folds(ev.JournalLate)
def _journal_late(state: State, event: ev.JournalLate) -> State:
    return replace(state, journal_late=event.reason)


@_folds(ev.OrderAccepted)
def _order_accepted(state: State, event: ev.OrderAccepted) -> State:
    return replace(state, orders=state.orders | {event.order})


@_folds(ev.CanarySeen)
def _canary_seen(state: State, event: ev.CanarySeen) -> State:
    return replace(
        state,
        canary=event.canary,
        stable=event.stable,
        canary_build=event.canary_build,
        stable_build=event.stable_build,
        canary_workload=event.canary_workload,
        stable_workload=event.stable_workload,
        step_at=event.at,
    )


@_folds(ev.RevisionChanged)
def _revision_changed(state: State, event: ev.RevisionChanged) -> State:
    """All proof and every approval of the old revision is void; the release stands before its first stage again."""
    items = {name: i if i.mark == "n/a" else ItemState(i.item) for name, i in state.items.items()}
    return _fresh_stage(
        replace(
            state,
            phase=Phase.PREFLIGHT,
            stage=-1,
            canary=event.canary,
            stable=event.stable,
            canary_build=event.canary_build,
            stable_build=event.stable_build,
            items=items,
            checks={},
            holds={},
            questions={},
            samples={},
            classes={},
            past_s=None,
            remarks=(),
        ),
        event.at,
    )


@_folds(ev.Paused)
def _paused(state: State, event: ev.Paused) -> State:
    return replace(state, paused_by=event.who)


@_folds(ev.Resumed)
def _resumed(state: State, _event: ev.Resumed) -> State:
    return replace(state, paused_by="")


@_folds(ev.ItemTicked)
def _item_ticked(state: State, event: ev.ItemTicked) -> State:
    item = state.items[event.item].item
    ticked = ItemState(item, "done", event.who, event.at, event.note, event.evidence)
    return replace(state, items=_with(state.items, event.item, ticked))


@_folds(ev.ItemUnticked)
def _item_unticked(state: State, event: ev.ItemUnticked) -> State:
    reopened = ItemState(state.items[event.item].item, who=event.who, at=event.at)
    return replace(state, items=_with(state.items, event.item, reopened))


@_folds(ev.ItemWaived)
def _item_waived(state: State, event: ev.ItemWaived) -> State:
    waived = ItemState(state.items[event.item].item, "waived", event.who, event.at, event.reason)
    return replace(state, items=_with(state.items, event.item, waived))


@_folds(ev.ItemNotApplicable)
def _item_not_applicable(state: State, event: ev.ItemNotApplicable) -> State:
    unneeded = ItemState(state.items[event.item].item, "n/a", ev.ENGINE, event.at, evidence=event.reason)
    return replace(state, items=_with(state.items, event.item, unneeded))


@_folds(ev.ChecksStarted)
def _checks_started(state: State, event: ev.ChecksStarted) -> State:
    started = {check_key(event.list, name): _started(state, event, name) for name in event.names}
    attempts = dict.fromkeys(started, event.attempt)
    return replace(state, checks={**state.checks, **started}, attempts={**state.attempts, **attempts})


def _started(state: State, event: ev.ChecksStarted, name: str) -> CheckState:
    before = state.check(event.list, name)
    if before is None:
        again = False
    elif before.attempt == event.attempt:  # the same question, by the next engine
        again = before.again
    else:
        again = before.outcome is CheckOutcome.FAIL and not before.again
    return CheckState(event.list, name, event.attempt, again)


@_folds(ev.CheckFinished)
def _check_finished(state: State, event: ev.CheckFinished) -> State:
    key = check_key(event.list, event.name)
    done = replace(state.checks[key], outcome=event.outcome, summary=event.summary, evidence=event.evidence)
    return replace(state, checks=_with(state.checks, key, done))


def _fresh_stage(state: State, at: float) -> State:
    """Nothing of the stage before counts for the next one."""
    return replace(
        state,
        step=Step.SHIFT,
        step_at=at,
        warmed_s=0.0,
        baked_s=0.0,
        requests=0.0,
        served=(0.0, 0.0),
        proved_at=None,
        alerts={},
        alert_since={},
        verdicts={},
        answered=frozenset(),
        checks={key: check for key, check in state.checks.items() if check.list == "pre"},
    )


@_folds(ev.StageEntered)
def _stage_entered(state: State, event: ev.StageEntered) -> State:
    return _fresh_stage(replace(state, phase=Phase.STAGE, stage=event.stage), event.at)


@_folds(ev.StepEntered)
def _step_entered(state: State, event: ev.StepEntered) -> State:
    return replace(state, step=event.step, step_at=event.at)


@_folds(ev.ShiftIntended)
def _shift_intended(state: State, event: ev.ShiftIntended) -> State:
    intent = Intent(event.number, event.weight, event.base, event.generation, event.at)
    raises = state.raises_out if intent.to_stable else state.raises_out | {event.number}
    return replace(
        state,
        intent=intent,
        desired=event.weight,
        intents=state.intents + 1,
        raises_out=raises,
        moved=state.moved or event.weight > 0,
    )


@_folds(ev.ShiftAnswered)
def _shift_answered(state: State, event: ev.ShiftAnswered) -> State:
    if event.number in state.raises_out:  # it may have landed just now: what was seen before proves nothing
        state = replace(state, raises_out=state.raises_out - {event.number}, rollback_sightings=0)
    if state.intent is None or state.intent.number != event.number:
        return state  # the result of a superseded intent changes nothing else
    answered = replace(state.intent, answered_at=event.at, ok=event.ok, detail=event.detail)
    state = replace(state, intent=answered)
    watch = state.rollback
    if watch is not None and event.ok and state.phase in GOING_BACK and watch.written is None:
        state = replace(state, rollback=replace(watch, written=event.at))
    return state


@_folds(ev.ShiftConfirmed)
def _shift_confirmed(state: State, event: ev.ShiftConfirmed) -> State:
    assert state.intent is not None
    return replace(
        state, intent=replace(state.intent, confirmed=True), weights=(*state.weights, event.weight), router_problem=""
    )


@_folds(ev.WeightObserved)
def _weight_observed(state: State, event: ev.WeightObserved) -> State:
    return replace(
        state,
        observed=event.weight,
        observed_at=event.at,
        generation=event.generation,
        mark=event.mark,
        marked_by=event.by,
        canary_ready=event.canary_ready,
        stable_ready=event.stable_ready,
        canary_asked=event.canary_asked,
        full=event.full,
        share=event.share,
        pending=event.pending,
        hand=event.hand,
        finished=event.finished,
        remark=event.remark,
        router_problem="",
        rollback_sightings=state.rollback_sightings if event.weight == 0 and not event.pending else 0,
        proved_at=state.proved_at if event.weight == state.desired and not event.pending else None,
    )


@_folds(ev.CapacityAwaited)
def _capacity_awaited(state: State, event: ev.CapacityAwaited) -> State:
    before = state.capacity
    again = before is not None and before.weight == event.weight
    began = before.at if before is not None and again else event.at
    tries = before.tries + 1 if before is not None and again else 1
    return replace(state, capacity=Effort(began, event.weight, tries=tries))


@_folds(ev.ScaleAnswered)
def _scale_answered(state: State, event: ev.ScaleAnswered) -> State:
    if state.capacity is None or state.capacity.weight != event.weight:
        return state
    return replace(state, capacity=_answered(state.capacity, event))


def _answered(effort: Effort, event: ev.ScaleAnswered | ev.FinishAnswered | ev.LetGoAnswered) -> Effort:
    return replace(effort, answered_at=event.at, ok=event.ok, detail=event.detail)


@_folds(ev.WayBackTried)
def _way_back_tried(state: State, event: ev.WayBackTried) -> State:
    if event.ok:
        return replace(state, way_back_at=event.at, way_back_problem="")
    return replace(state, way_back_problem=event.detail or "it failed")


@_folds(ev.FinishIntended)
def _finish_intended(state: State, event: ev.FinishIntended) -> State:
    tries = state.finishing.tries + 1 if state.finishing is not None else 1
    began = state.finishing.at if state.finishing is not None else event.at
    return replace(
        state,
        finishing=Effort(began, number=event.number, tries=tries),
        intents=state.intents + 1,
        raises_out=state.raises_out | {event.number},
    )


@_folds(ev.FinishAnswered)
def _finish_answered(state: State, event: ev.FinishAnswered) -> State:
    if event.number in state.raises_out:  # as for a raise: it may have landed just now
        state = replace(state, raises_out=state.raises_out - {event.number}, rollback_sightings=0)
    if state.finishing is None or state.finishing.number != event.number:
        return state
    return replace(state, finishing=_answered(state.finishing, event))


@_folds(ev.LetGoIntended)
def _let_go_intended(state: State, event: ev.LetGoIntended) -> State:
    tries = state.letting_go.tries + 1 if state.letting_go is not None else 1
    return replace(state, letting_go=Effort(event.at, tries=tries))


@_folds(ev.LetGoAnswered)
def _let_go_answered(state: State, event: ev.LetGoAnswered) -> State:
    return replace(state, letting_go=_answered(state.letting_go, event) if state.letting_go is not None else None)


@_folds(ev.Disturbed)
def _disturbed(state: State, event: ev.Disturbed) -> State:
    return replace(state, disturbed=event.times, letting_go=None)


@_folds(ev.RouterLost)
def _router_lost(state: State, event: ev.RouterLost) -> State:
    return replace(state, router_problem=event.reason, proved_at=None)


def _exposure(state: State, samples: tuple[Sample, ...]) -> tuple[float, float]:
    """Canary requests in these samples, and how many of them failed their users: whichever metric saw most."""
    kinds = {metric.name: metric.kind for metric in state.rules.metrics}
    counted = [(kinds[s.metric], s.canary) for s in samples if s.canary is not None and kinds[s.metric] != "gauge"]
    requests = max((counts.total for _, counts in counted), default=0.0)
    failed = max((counts.bad for kind, counts in counted if kind in ("bad", "good")), default=0.0)
    return requests, failed


@_folds(ev.Ticked)
def _ticked(state: State, event: ev.Ticked) -> State:
    blind = event.problem != ""
    exposed, harmed = _exposure(state, event.samples)
    in_place = event.weight is not None and event.weight == state.desired == state.observed
    warming = state.step is Step.WARMUP
    return replace(
        state,
        last_tick_at=event.at,
        proved_at=event.at if in_place and not blind else None,
        observed_at=event.at if state.observed_at is not None and event.weight == state.observed else state.observed_at,
        warmed_s=state.warmed_s + (event.good_s if warming else 0.0),
        baked_s=state.baked_s + (0.0 if warming else event.good_s),
        requests=event.requests,
        served=_served(state, event) if event.good_s else state.served,
        exposed=state.exposed + exposed,
        harmed=state.harmed + harmed,
        samples={sample.metric: sample for sample in event.samples} or state.samples,
        verdicts={verdict.metric: verdict for verdict in event.verdicts} or state.verdicts,
        source_problem=event.problem,
        blind_since=(state.blind_since or event.at) if blind else None,
    )


def _served(state: State, event: ev.Ticked) -> tuple[float, float]:
    """With this look's requests: those of the metric that counts most on both sides."""
    kinds = {metric.name: metric.kind for metric in state.rules.metrics}
    both = [
        (sample.canary.total, sample.canary.total + sample.stable.total)
        for sample in event.samples
        if sample.canary is not None and sample.stable is not None and kinds.get(sample.metric) != "gauge"
    ]
    canary, total = max(both, key=lambda counted: counted[1], default=(0.0, 0.0))
    return state.served[0] + canary, state.served[1] + total


@_folds(ev.VerdictChanged)
def _verdict_changed(state: State, event: ev.VerdictChanged) -> State:
    return replace(state, classes=_with(state.classes, event.verdict.metric, event.verdict.outcome.value))


@_folds(ev.AlertRaised)
def _alert_raised(state: State, event: ev.AlertRaised) -> State:
    return replace(
        state,
        alerts=_with(state.alerts, event.metric, event.reason),
        alert_since=_with(state.alert_since, event.metric, event.at),
    )


@_folds(ev.AlertCleared)
def _alert_cleared(state: State, event: ev.AlertCleared) -> State:
    return replace(
        state,
        alerts=_without(state.alerts, event.metric),
        alert_since=_without(state.alert_since, event.metric),
    )


@_folds(ev.PastRead)
def _past_read(state: State, event: ev.PastRead) -> State:
    return replace(state, past_s=event.seconds, remarks=event.remarks)


@_folds(ev.Held)
def _held(state: State, event: ev.Held) -> State:
    return replace(state, holds=_with(state.holds, event.cause, event.reason))


@_folds(ev.HoldReleased)
def _hold_released(state: State, event: ev.HoldReleased) -> State:
    # What fails again after it was well is asked about again.
    answered = state.answered - {event.cause.removeprefix(FAILING)}
    # Who waits on while an alert rings is asked again after as long.
    since = {metric: event.at if event.cause == RINGING + metric else at for metric, at in state.alert_since.items()}
    return replace(state, holds=_without(state.holds, event.cause), answered=answered, alert_since=since)


@_folds(ev.Asked)
def _asked(state: State, event: ev.Asked) -> State:
    question = Question(event.metric, event.question, event.due)
    return replace(state, questions=_with(state.questions, event.metric, question))


@_folds(ev.QuestionAnswered)
def _question_answered(state: State, event: ev.QuestionAnswered) -> State:
    # A question that the engine withdraws (the metric recovered) is asked again when it fails again.
    answered = state.answered if event.who == ev.ENGINE else state.answered | {event.metric}
    return replace(state, questions=_without(state.questions, event.metric), answered=answered)


@_folds(ev.RollbackStarted)
def _rollback_started(state: State, event: ev.RollbackStarted) -> State:
    watch = Stopwatch(event.asked_at, event.at, event.who, event.reason, event.metric, was=state.observed or 0.0)
    return replace(
        state,
        phase=Phase.ROLLING_BACK,
        rollback=watch,
        rollback_sightings=0,
        intent=None,
        desired=0,
        capacity=None,
        finishing=None,
        letting_go=None,
        paused_by="",
        holds={},
        questions={},
        late="",
        keep_until=None,
        ended_at=None,
        step_at=event.at,
    )


@_folds(ev.RollbackSeen)
def _rollback_seen(state: State, event: ev.RollbackSeen) -> State:
    assert state.rollback is not None
    watch = state.rollback if state.rollback.observed else replace(state.rollback, observed=event.at)
    return replace(state, rollback=watch, rollback_sightings=state.rollback_sightings + 1)


@_folds(ev.RollbackLate)
def _rollback_late(state: State, event: ev.RollbackLate) -> State:
    return replace(state, phase=Phase.ROLLBACK_FAILED if event.failed else state.phase, late=event.reason)


@_folds(ev.LapRecorded)
def _lap_recorded(state: State, event: ev.LapRecorded) -> State:
    assert state.rollback is not None
    watch = state.rollback
    if event.lap == "recovered":
        return replace(state, rollback=replace(watch, recovered=event.when))
    return replace(state, rollback=replace(watch, last_canary_request=event.when))


@_folds(ev.RolledBack)
def _rolled_back(state: State, event: ev.RolledBack) -> State:
    assert state.rollback is not None
    watch = replace(state.rollback, done=event.at)
    return replace(
        state,
        phase=Phase.ROLLED_BACK,
        rollback=watch,
        ended_at=event.at,
        ending=watch.reason,
        late="",
        weights=(*state.weights, 0.0),
    )


@_folds(ev.FinishStarted)
def _finish_started(state: State, event: ev.FinishStarted) -> State:
    return replace(state, phase=Phase.FINISHING, step_at=event.at)


@_folds(ev.Promoted)
def _promoted(state: State, event: ev.Promoted) -> State:
    return replace(state, phase=Phase.PROMOTED, keep_until=event.keep_until, ended_at=event.at, paused_by="")


@_folds(ev.OldSideReleased)
def _old_side_released(state: State, event: ev.OldSideReleased) -> State:
    return replace(state, keep_until=None, ending=event.reason)


@_folds(ev.Cancelled)
def _cancelled(state: State, event: ev.Cancelled) -> State:
    return replace(state, phase=Phase.CANCELLED, ended_at=event.at, ending=event.reason)


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that stands most in the way, None when all pass."""
    order = [Outcome.FAIL, Outcome.ERROR, Outcome.NO_DATA, Outcome.INCONCLUSIVE]
    blocking = [verdict for verdict in verdicts if verdict.outcome is not Outcome.PASS]
    return min(blocking, key=lambda verdict: order.index(verdict.outcome), default=None)
