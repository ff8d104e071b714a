"""The release state machine: `decide(state, input) -> events`. Pure: no I/O, no clock, no randomness.

Every input carries its time. What follows from an input is a list of events; `engine.state.apply` folds them. The
controller records the events first and then does what the intents among them say (`ShiftIntended`, `ChecksStarted`).

    state            input                                 outcome
    ---------------  ------------------------------------  ------------------------------------------------------
    preflight        canary ready at the wanted version    both versions become the revision; the pre checks start
                     not there within wait_for_canary      cancelled
                     the route carries canary traffic      held until it does not
                     advance, with all pre items settled   stage 1: a raise is intended
                     cancel, before any traffic moved      cancelled
    stage: shift     weight read back as intended          warmup
                     the weight is still what it was       a raise that failed is written again, unless held
                     nothing of both within converge       held: stuck; `retry` writes again
                     any other weight                      held: somebody else moved it; never undone by itself
    stage: warmup    good time is enough                   bake
    stage: bake      good time and requests are enough,
                     every verdict passes                  the stage's checks start
    stage: checks    a no                                  asked once more; a second no fails as a metric does
                     cannot run                            stands until `retry`
                     the answer to an earlier question     nothing
                     all yes                               gate
    stage: gate      advance, nothing in the way           the next stage, or finishing after the last
    any stage        advance with override and reason      the next stage, proof or not; never over a weight unread;
                                                           what fails on is held or asked about anew
    finishing        with a holdback                       the last raise, to 100
                     post checks say yes, the weight read  promoted; the old side is kept for keep_old
    promoted         keep_old is over, or the next release
                     begins on this target                 the old side is no way back any more
    forward states   an alert neither proven nor over      held after 5 minutes: roll back, or resume to wait on
                     a metric fails                        rolls back, or holds, or asks and rolls back unanswered
                     nothing can be read for blind.after   holds, or rolls back
                     another version runs                  weight to 0, all proof void, preflight, held
                     the mark of rollback.sh               rolls back; a promoted release within keep_old too
                     pause / resume                        stops advancing, and nothing else
    nearly any       roll back                             rolling back: stable's weight is written at once, and again
                                                           every second until it is in effect
    rolling back     two observations of 0, begun after
                     the answer, and no raise unanswered   rolled back
                     past budget / hard limit              said loudly / rollback_failed; it goes on trying
    rolled back      roll back                             nothing more to do; accepted
    any              another engine takes over             nothing is raised before the weight is read; an unfinished
                                                           write of stable's weight is repeated at once

A bake is a sum: each look adds at most two scrape intervals, and only while the weight read is the weight wanted, both
sides can be read and the release is held by an engine, at this look and since the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import events as ev
from engine.capacity import short_of
from engine.checklist import proofs
from engine.events import ENGINE, SCRIPT, CheckList, CheckOutcome, Event, Step
from engine.gates import MISPLACED, blockers, enough_bake, refusal, to_ask_again
from engine.inputs import (
    Answered,
    Checked,
    Clock,
    FinishTried,
    Input,
    JournalSlow,
    LetGo,
    Looked,
    Observation,
    Observed,
    Order,
    PastLearned,
    Rehearsed,
    Scaled,
    SupersedeOld,
    Took,
)
from engine.judge.metric import Outcome, Sample, Verdict
from engine.state import (
    FAILING,
    FINAL,
    FORWARD,
    GOING_BACK,
    RINGING,
    Effort,
    Intent,
    Phase,
    State,
    apply,
    check_key,
    runs,
)

ASK_S = 120.0  # an unanswered question rolls back after this
DECIDE_S = 300.0  # an alert that is neither proven nor over by then asks a person, and again after as long
REWRITE_S = 2.0  # a raise that failed is not written again sooner
QUICK_S, SLOW_S = 1.0, 5.0  # between two attempts to roll back, in the first half minute and later
HASTE_S = 30.0
AGAIN_S = 5.0  # a size, a copy or a handover that is not there yet is asked for again
PUT_BACK = 3  # times that a weight somebody raises after a roll back is taken back; then it is only said
LET_GO_TRIES = 20
BY_HAND = "somebody"  # who moved the weight, when the router can't tell


class _Turn:
    """One decision under way: every event is folded as soon as it is said."""

    def __init__(self, state: State, at: float) -> None:
        self.state = state
        self.at = at
        self.events: list[Event] = []

    def say(self, event: Event) -> None:
        before = self.state
        self.events.append(event)
        self.state = apply(before, event)
        for proof in proofs(before, event, self.state):
            self.say(proof)

    def intend(self, weight: int) -> None:
        state = self.state
        number = f"{state.epoch}.{state.intents + 1}"
        self.say(
            ev.ShiftIntended(at=self.at, number=number, weight=weight, base=state.observed, generation=state.generation)
        )

    def go_to(self, weight: int) -> None:
        """Write `weight` as soon as both sides carry it."""
        rules = self.state.rules
        short = short_of(self.state, weight)
        if short or (rules.scale == "proportional" and self.state.full is not None):
            self.say(ev.CapacityAwaited(at=self.at, weight=weight, scale=rules.scale == "proportional"))
        if not short:
            self.intend(weight)

    def ask(self, listed: CheckList, *names: str) -> None:
        attempts = self.state.attempts
        attempt = 1 + max(attempts.get(check_key(listed, name), 0) for name in names)
        self.say(ev.ChecksStarted(at=self.at, list=listed, names=names, attempt=attempt))

    def hold(self, cause: str, reason: str) -> None:
        if self.state.holds.get(cause) != reason:
            self.say(ev.Held(at=self.at, cause=cause, reason=reason))

    def release(self, *causes: str) -> None:
        for cause in causes:
            if cause in self.state.holds:
                self.say(ev.HoldReleased(at=self.at, cause=cause))

    def roll_back(self, who: str, reason: str, metric: str = "", asked_at: float | None = None) -> None:
        started = asked_at if asked_at is not None else self.at
        self.say(ev.RollbackStarted(at=self.at, asked_at=started, who=who, reason=reason, metric=metric))
        if self.state.rules.scale == "proportional":
            self.say(ev.CapacityAwaited(at=self.at, weight=0, scale=True))


def decide(state: State, given: Input) -> list[Event]:
    """The events that follow from one input, in order."""
    turn = _Turn(state, given.at)
    _HANDLERS[type(given)](turn, given)
    _go_on(turn)
    return turn.events


# --- inputs


def _took(turn: _Turn, given: Took) -> None:
    turn.say(ev.EngineTook(at=turn.at, epoch=given.epoch))
    intent = turn.state.intent
    if intent is not None and intent.to_stable and not intent.ok:
        turn.intend(0)
    if turn.state.phase not in FORWARD:
        return
    running = [check for check in turn.state.checks.values() if check.outcome is None]
    for check in running:
        turn.say(ev.ChecksStarted(at=turn.at, list=_list(check.list), names=(check.name,), attempt=check.attempt))


def _list(name: str) -> CheckList:
    return "pre" if name == "pre" else "stage" if name == "stage" else "post"


def _journal_slow(turn: _Turn, given: JournalSlow) -> None:
    turn.say(ev.JournalLate(at=turn.at, reason=given.reason))


def _past_learned(turn: _Turn, given: PastLearned) -> None:
    if (given.seconds, given.remarks) != (turn.state.past_s, turn.state.remarks):
        turn.say(ev.PastRead(at=turn.at, seconds=given.seconds, remarks=given.remarks))


def _supersede_old(turn: _Turn, given: SupersedeOld) -> None:
    if turn.state.keep_until is not None:
        turn.say(ev.OldSideReleased(at=turn.at, reason=f"{given.by} began on the same target"))


def _answered(turn: _Turn, given: Answered) -> None:
    intent = turn.state.intent
    current = intent is not None and intent.number == given.number
    if not current and given.number not in turn.state.raises_out:
        return  # known already, or an engine's before this one
    if intent is not None and current and intent.answered_at is not None and given.number not in turn.state.raises_out:
        return  # a repeated answer
    turn.say(ev.ShiftAnswered(at=turn.at, number=given.number, ok=given.ok, detail=given.detail))
    if current and given.conflict and turn.state.shifting and turn.state.phase in FORWARD:
        turn.hold("stuck", f"the route changed before the weight could be written: {given.detail}")


def _scaled(turn: _Turn, given: Scaled) -> None:
    effort = turn.state.capacity
    if effort is not None and effort.weight == given.weight and effort.answered_at is None:
        turn.say(ev.ScaleAnswered(at=turn.at, weight=given.weight, ok=given.ok, detail=given.detail))


def _finish_tried(turn: _Turn, given: FinishTried) -> None:
    if given.number in turn.state.raises_out:
        turn.say(ev.FinishAnswered(at=turn.at, number=given.number, ok=given.ok, detail=given.detail))


def _let_go(turn: _Turn, given: LetGo) -> None:
    effort = turn.state.letting_go
    if effort is not None and effort.answered_at is None:
        turn.say(ev.LetGoAnswered(at=turn.at, ok=given.ok, detail=given.detail))


def _rehearsed(turn: _Turn, given: Rehearsed) -> None:
    turn.say(ev.WayBackTried(at=turn.at, ok=given.ok, detail=given.detail))


def _checked(turn: _Turn, given: Checked) -> None:
    check = turn.state.check(given.list, given.name)
    if check is None or check.outcome is not None or check.attempt != given.attempt:
        return
    turn.say(
        ev.CheckFinished(
            at=turn.at,
            list=given.list,
            name=given.name,
            attempt=given.attempt,
            outcome=given.outcome,
            summary=given.summary,
            evidence=given.evidence,
        )
    )
    if turn.state.phase not in FORWARD:
        return
    if given.outcome is CheckOutcome.PASS:
        _recovered(turn, f"check {given.name}", "it says yes now")
    elif given.outcome is CheckOutcome.FAIL and not check.again:
        turn.ask(given.list, given.name)
    elif given.outcome is CheckOutcome.FAIL and given.list != "pre":
        _failed(turn, f"check {given.name}", f"check {given.name} said no twice: {given.summary}")


def _observed(turn: _Turn, given: Observed) -> None:
    seen, state = given.seen, turn.state
    if seen is None:
        if state.router_problem != given.problem:
            turn.say(ev.RouterLost(at=turn.at, reason=given.problem))
        return
    first = state.observed_at is None
    if first or state.router_problem or _differs(state, seen):
        turn.say(
            ev.WeightObserved(
                at=turn.at,
                weight=seen.weight,
                generation=seen.generation,
                mark=seen.mark,
                by=seen.by,
                canary_ready=seen.canary_ready,
                stable_ready=seen.stable_ready,
                share=seen.share,
                pending=seen.pending,
                hand=seen.hand,
                canary_asked=seen.canary_asked,
                full=seen.full,
                finished=seen.finished,
                remark=seen.remark,
            )
        )
    if state.phase in GOING_BACK:
        _observed_going_back(turn, given.begun, seen)
    elif _rolled_back_by_script(state, seen):
        turn.roll_back(SCRIPT, "rollback.sh was run by hand")
    elif state.phase in FORWARD:
        _observed_going_forward(turn, given.begun, seen)
    elif state.phase is Phase.ROLLED_BACK:
        _observed_after(turn, given.begun, seen)
    elif state.keep_until is not None and state.observed != 0:
        _taken_back_by_hand(turn, seen)


_SHOWN = ("generation", "mark", "canary_ready", "stable_ready", "share", "pending", "hand", "canary_asked", "full",
          "finished", "remark")  # fmt: skip


def _differs(state: State, seen: Observation) -> bool:
    if (state.observed, state.marked_by) != (seen.weight, seen.by):
        return True
    return any(getattr(state, name) != getattr(seen, name) for name in _SHOWN)


def _observed_after(turn: _Turn, begun: float, seen: Observation) -> None:
    """Rolled back, and somebody puts traffic on the canary again: taken back while the plan's guard lasts."""
    state, intent = turn.state, turn.state.intent
    if state.disturbed and state.shifting and intent is not None:
        if _in_effect(intent, begun, seen):
            turn.say(ev.ShiftConfirmed(at=turn.at, number=intent.number, weight=seen.weight))
        elif not seen.pending and intent.answered_at is not None and turn.at - intent.answered_at >= QUICK_S:
            turn.intend(0)
        return
    if not _guarded(state, turn.at) or seen.weight == 0 or not state.moved or state.disturbed > PUT_BACK:
        return
    times = state.disturbed + 1
    put_back = times <= PUT_BACK
    turn.say(ev.Disturbed(at=turn.at, weight=seen.weight, hand=seen.hand, times=times, put_back=put_back))
    if put_back:
        turn.intend(0)


def _guarded(state: State, at: float) -> bool:
    return (
        state.phase is Phase.ROLLED_BACK and state.ended_at is not None and at - state.ended_at <= state.rules.guard_s
    )


def _observed_going_back(turn: _Turn, begun: float, seen: Observation) -> None:
    intent = turn.state.intent
    if intent is None or intent.answered_at is None or not intent.ok or begun <= intent.answered_at:
        return
    if _written(intent, seen):
        turn.say(ev.RollbackSeen(at=turn.at, begun=begun))
    elif not (seen.weight == 0 and seen.pending) and turn.at - intent.answered_at >= REWRITE_S:
        turn.intend(0)  # answered as done, and it is not


def _rolled_back_by_script(state: State, seen: Observation) -> bool:
    way_back = state.phase in FORWARD or state.keep_until is not None
    return way_back and state.moved and seen.by == SCRIPT and seen.marked_release == state.release


def _observed_going_forward(turn: _Turn, begun: float, seen: Observation) -> None:
    state = turn.state
    if _changed_revision(turn, seen):
        return
    if state.shifting:
        _observed_shift(turn, begun, seen)
    elif state.phase is Phase.PREFLIGHT:
        _observed_preflight(turn, seen)
    elif seen.weight == state.desired:
        turn.release("drift")
    else:
        _moved_by_hand(turn, seen)


def _hand(state: State, seen: Observation) -> str:
    """Who moved the weight, as far as the router can tell."""
    ours = state.intent is not None and seen.mark == state.intent.number
    return seen.hand or ("" if ours else seen.by)


def _taken_back_by_hand(turn: _Turn, seen: Observation) -> bool:
    """All traffic put on stable by somebody else is their roll back: carried through, never undone."""
    if seen.weight != 0 or seen.pending or not turn.state.moved:
        return False
    hand = _hand(turn.state, seen)
    turn.roll_back(hand or BY_HAND, f"all traffic was put on stable by {hand or 'hand'}: taken as a roll back")
    return True


def _moved_by_hand(turn: _Turn, seen: Observation) -> None:
    """Somebody else moved the weight: to 0 it is their roll back, anything else is shown with who and asked about."""
    if _taken_back_by_hand(turn, seen):
        return
    state = turn.state
    direction = "lowered" if seen.weight < state.desired else "raised"
    what = f"the weight was {direction} by {_hand(state, seen) or 'hand'}"
    turn.hold("drift", f"{what} from {state.desired}% to {seen.weight:g}%: roll back, or retry")


def _observed_preflight(turn: _Turn, seen: Observation) -> None:
    state = turn.state
    if seen.weight != 0:
        turn.hold("target", f"the canary's side carries {seen.weight:g}% of the traffic before the release began")
        return
    turn.release("target")
    if state.canary or not seen.canary or not seen.stable:
        return
    if state.canary_wanted and seen.canary != state.canary_wanted:
        return
    first = state.rules.stages[0].weight
    if not seen.canary_ready:
        if state.rules.scale == "proportional" and state.capacity is None:
            turn.say(ev.CapacityAwaited(at=turn.at, weight=first, scale=True))
        return
    turn.say(
        ev.CanarySeen(
            at=turn.at,
            canary=seen.canary,
            stable=seen.stable,
            canary_build=seen.canary_build,
            stable_build=seen.stable_build,
            canary_workload=seen.canary_workload,
            stable_workload=seen.stable_workload,
        )
    )


def _observed_shift(turn: _Turn, begun: float, seen: Observation) -> None:
    """A write is not yet read back: is it now, is it to be written again, or did somebody else move the weight?"""
    state, intent = turn.state, turn.state.intent
    assert intent is not None
    if _in_effect(intent, begun, seen):
        turn.say(ev.ShiftConfirmed(at=turn.at, number=intent.number, weight=seen.weight))
        turn.release("stuck", "drift")
    elif intent.to_stable:
        if intent.answered_at is not None and turn.at - intent.answered_at >= QUICK_S:
            turn.intend(intent.weight)
    elif seen.weight == intent.base and seen.generation == intent.generation:
        free = not state.holds and not state.questions
        if free and _failed_since(intent, turn.at) >= REWRITE_S:
            turn.intend(intent.weight)
    elif seen.weight not in (intent.base, intent.weight):
        _moved_by_hand(turn, seen)


def _in_effect(intent: Intent, begun: float, seen: Observation) -> bool:
    if intent.to_stable:
        return intent.ok and intent.answered_at is not None and begun > intent.answered_at and _written(intent, seen)
    return seen.weight == intent.weight and not seen.pending and begun >= intent.at


def _written(intent: Intent, seen: Observation) -> bool:
    """Is stable's weight written, not only shown? A delayed raise can land until the route's generation has moved."""
    return seen.weight == 0 and not seen.pending and (not seen.generation or seen.generation != intent.generation)


def _failed_since(intent: Intent, at: float) -> float:
    """Seconds since a write was answered with no; 0 for one that was not."""
    return 0.0 if intent.answered_at is None or intent.ok else at - intent.answered_at


def _changed_revision(turn: _Turn, seen: Observation) -> bool:
    """Another version than the one judged: its proof is worth nothing, its traffic goes back to stable."""
    state = turn.state
    if not state.canary:
        return False
    was = {"canary": (state.canary, state.canary_build), "stable": (state.stable, state.stable_build)}
    now = {
        "canary": (seen.canary or state.canary, seen.canary_build or state.canary_build),
        "stable": (seen.stable or state.stable, seen.stable_build or state.stable_build),
    }
    if state.phase is Phase.FINISHING and state.rules.finish != "swap":
        now["stable"] = was["stable"]  # the new version is on its way there: that is the finish
    side = next((side for side in now if now[side] != was[side]), "")
    if not side:
        return False
    (canary, canary_build), (stable, stable_build) = now["canary"], now["stable"]
    turn.say(
        ev.RevisionChanged(
            at=turn.at, canary=canary, stable=stable, canary_build=canary_build, stable_build=stable_build
        )
    )
    if state.desired or seen.weight:
        turn.intend(0)
    changed = f"{side} changed from {runs(*was[side])} to {runs(*now[side])} in mid-release"
    turn.hold("revision", f"{changed}: all proof is void; retry begins anew")
    return True


def _looked(turn: _Turn, given: Looked) -> None:
    state = turn.state
    turn.say(
        ev.Ticked(
            at=turn.at,
            good_s=_good_seconds(state, given),
            weight=given.weight,
            requests=_requests(state, given.verdicts),
            samples=given.samples,
            verdicts=given.verdicts,
            problem=given.problem,
        )
    )
    if state.rollback is not None:
        _laps(turn, state.last_tick_at, given.samples)
    if state.phase in FORWARD:
        _alerts(turn, given.verdicts)
        _verdicts(turn, given.verdicts)


def _requests(state: State, verdicts: tuple[Verdict, ...]) -> float:
    """Canary requests in this stage: what the metric that counts most has seen."""
    gauges = {metric.name for metric in state.rules.metrics if metric.kind == "gauge"}
    return max((v.canary.total for v in verdicts if v.metric not in gauges), default=state.requests)


def _good_seconds(state: State, given: Looked) -> float:
    """How much of the time since the last look proves something, at most two scrape intervals."""
    baking = state.phase in (Phase.STAGE, Phase.FINISHING) and state.step is not Step.SHIFT
    if not baking or state.proved_at is None or given.problem or state.pending or given.weight != state.desired:
        return 0.0
    return max(0.0, min(given.at - state.proved_at, 2 * state.rules.interval_s))


def _alerts(turn: _Turn, verdicts: tuple[Verdict, ...]) -> None:
    for verdict in verdicts:
        ringing = verdict.metric in turn.state.alerts
        if verdict.alert and not ringing:
            turn.say(ev.AlertRaised(at=turn.at, metric=verdict.metric, reason=verdict.reason))
        elif ringing and not verdict.alert:
            turn.say(ev.AlertCleared(at=turn.at, metric=verdict.metric))
            turn.release(RINGING + verdict.metric)


def _verdicts(turn: _Turn, verdicts: tuple[Verdict, ...]) -> None:
    silent = {metric.name for metric in turn.state.rules.metrics if not metric.judged}
    for verdict in verdicts:
        was = turn.state.classes.get(verdict.metric, "")
        if verdict.outcome.value != was and verdict.metric not in silent:
            turn.say(ev.VerdictChanged(at=turn.at, verdict=verdict, was=was))
    for verdict in verdicts:
        if turn.state.phase not in FORWARD or verdict.metric in silent:
            continue
        if verdict.outcome is Outcome.FAIL:
            if turn.state.moved:
                _failed(turn, verdict.metric, verdict.reason)
        elif verdict.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE):  # not to be read is no recovery
            _recovered(turn, verdict.metric, "it fails no more")


def _recovered(turn: _Turn, what: str, answer: str) -> None:
    turn.release(FAILING + what)
    if what in turn.state.questions:
        turn.say(ev.QuestionAnswered(at=turn.at, metric=what, who=ENGINE, answer=answer))


def _failed(turn: _Turn, what: str, reason: str) -> None:
    """A metric or a check fails: as the plan says, back, hold, or ask."""
    rules = turn.state.rules
    policy = rules.on_fail_of.get(what, rules.on_fail)
    if policy == "rollback":
        turn.roll_back(ENGINE, reason, metric=what)
    elif policy == "hold" or what in turn.state.answered:
        if FAILING + what not in turn.state.holds:
            turn.hold(FAILING + what, reason)
    elif what not in turn.state.questions:
        turn.say(ev.Asked(at=turn.at, metric=what, question=f"{reason}: roll back?", due=turn.at + ASK_S))


def _laps(turn: _Turn, last_tick_at: float | None, samples: tuple[Sample, ...]) -> None:
    """The stopwatch's late laps: the last request that the canary answered, and the errors gone."""
    watch = turn.state.rollback
    assert watch is not None
    kinds = {metric.name: metric for metric in turn.state.rules.metrics}
    counted = [sample for sample in samples if kinds[sample.metric].kind != "gauge" and sample.stable is not None]
    if watch.observed is None or not counted:
        return
    if any(s.canary and s.canary.total for s in counted):
        return  # somebody was still served by the canary
    if watch.last_canary_request is None:
        when = max(watch.accepted, last_tick_at or watch.observed)
        turn.say(ev.LapRecorded(at=turn.at, lap="last_canary_request", when=when))
    if watch.recovered is None and all(_inside(kinds[s.metric].thresholds, s) for s in counted):
        turn.say(ev.LapRecorded(at=turn.at, lap="recovered", when=turn.at))


def _inside(thresholds: tuple[Any, ...], sample: Sample) -> bool:
    """Stable, which has all the traffic now, is inside the metric's absolute lines in this interval."""
    if sample.stable is None or sample.stable.value is None:
        return True
    value = sample.stable.value
    return all(t.relative or (value <= t.limit if t.above else value >= t.limit) for t in thresholds)


def _clock(_turn: _Turn, _given: Clock) -> None:
    """Only `_go_on` has something to do."""


# --- orders


def _ordered(turn: _Turn, given: Order) -> None:
    if given.id in turn.state.orders:
        return  # a repeat: accepted once
    why = refusal(
        turn.state,
        given.verb,
        turn.at,
        stage=given.stage,
        revision=given.revision,
        item=given.item,
        reason=given.reason,
        override=given.override,
    )
    if why:
        turn.say(ev.OrderRefused(at=turn.at, order=given.id, verb=given.verb, who=given.who, why=why))
        return
    turn.say(ev.OrderAccepted(at=turn.at, order=given.id, verb=given.verb, who=given.who, reason=given.reason))
    _ORDERS[given.verb](turn, given)


def _advance(turn: _Turn, given: Order) -> None:
    needed = given.override and blockers(turn.state, turn.at)  # with all the proof there is nothing to override
    _go_forward(turn, given.who, given.reason if needed else "")


def _go_forward(turn: _Turn, who: str, override: str = "") -> None:
    if override:
        _take_responsibility(turn, who, override)
    state = turn.state
    if state.next_weight is None:
        turn.say(ev.FinishStarted(at=turn.at, who=who, override=override))
        if state.rules.holdback:
            turn.intend(100)  # what was kept on stable as a control
        return
    turn.say(ev.StageEntered(at=turn.at, stage=state.stage + 1, who=who, override=override))
    if state.next_weight > 0:
        turn.go_to(state.next_weight)


def _take_responsibility(turn: _Turn, who: str, reason: str) -> None:
    """An override answers for what fails in this stage; what fails on in the next is held or asked about anew."""
    for metric in tuple(turn.state.questions):
        turn.say(ev.QuestionAnswered(at=turn.at, metric=metric, who=who, answer=reason))
    turn.release(*(cause for cause in turn.state.holds if cause.startswith(FAILING)))


def _pause(turn: _Turn, given: Order) -> None:
    turn.say(ev.Paused(at=turn.at, who=given.who))


def _resume(turn: _Turn, given: Order) -> None:
    for question in tuple(turn.state.questions.values()):
        answer = ev.QuestionAnswered(at=turn.at, metric=question.metric, who=given.who, answer=given.reason)
        turn.say(answer)
        turn.hold(FAILING + question.metric, question.text)
    turn.release(*(cause for cause in turn.state.holds if cause.startswith(RINGING)))
    if turn.state.paused_by:
        turn.say(ev.Resumed(at=turn.at, who=given.who))


def _rollback(turn: _Turn, given: Order) -> None:
    state = turn.state
    if state.phase is Phase.ROLLED_BACK:
        return
    if state.phase in GOING_BACK:
        if state.intent is not None and state.intent.answered_at is not None:
            turn.intend(0)
        return
    turn.roll_back(given.who, given.reason or "ordered by hand", asked_at=given.asked_at)


def _retry(turn: _Turn, _given: Order) -> None:
    state = turn.state
    if state.phase in GOING_BACK:
        turn.intend(0)
        return
    turn.release("revision")
    if state.rule is not None and state.holds.keys() & set(MISPLACED):
        turn.release(*MISPLACED)
        if state.phase is Phase.STAGE:
            turn.say(ev.StepEntered(at=turn.at, step=Step.SHIFT))
        turn.go_to(state.rule.weight if state.phase is Phase.STAGE else state.desired)
    for check in to_ask_again(state):
        turn.release(f"{FAILING}check {check.name}")
        turn.ask(_list(check.list), check.name)


def _cancel(turn: _Turn, given: Order) -> None:
    turn.say(ev.Cancelled(at=turn.at, who=given.who, reason=given.reason or f"cancelled by {given.who}"))


def _tick(turn: _Turn, given: Order) -> None:
    turn.say(ev.ItemTicked(at=turn.at, item=given.item, who=given.who, note=given.reason))


def _untick(turn: _Turn, given: Order) -> None:
    turn.say(ev.ItemUnticked(at=turn.at, item=given.item, who=given.who))


def _waive(turn: _Turn, given: Order) -> None:
    turn.say(ev.ItemWaived(at=turn.at, item=given.item, who=given.who, reason=given.reason))


def _note(turn: _Turn, given: Order) -> None:
    turn.say(ev.Noted(at=turn.at, who=given.who, text=given.reason))


# --- what follows by itself


def _go_on(turn: _Turn) -> None:
    if turn.state.phase in FORWARD:
        _withstand(turn)
    if turn.state.phase is Phase.PREFLIGHT:
        _preflight(turn)
    elif turn.state.phase is Phase.STAGE:
        _stage(turn)
    if turn.state.phase is Phase.FINISHING:
        _finish(turn)
    if turn.state.phase in GOING_BACK:
        _pursue_rollback(turn)
    state = turn.state
    if state.phase is Phase.PROMOTED and state.keep_until is not None and turn.at > state.keep_until:
        turn.say(ev.OldSideReleased(at=turn.at, reason="kept as long as the plan says"))
    if turn.state.phase in FINAL:
        _give_back(turn)


def _withstand(turn: _Turn) -> None:
    """Unanswered questions and blindness: a release that is not guarded does not just stand there."""
    state, rules = turn.state, turn.state.rules
    for question in state.questions.values():
        if turn.at >= question.due:
            turn.roll_back(ENGINE, f"unanswered for {ASK_S:.0f} s: {question.text}", metric=question.metric)
            return
    for metric, since in state.alert_since.items():
        if turn.at - since >= DECIDE_S and RINGING + metric not in state.holds:
            rung = f"{metric} rings for {DECIDE_S / 60:.0f} min, not proven and not over"
            turn.hold(RINGING + metric, f"{rung}: roll back, or resume to wait on")
    if state.blind_since is None:
        turn.release("blind")
    elif state.moved and turn.at - state.blind_since >= rules.blind_after_s:
        reason = f"nothing can be read for {rules.blind_after_s:.0f} s: {state.source_problem}"
        if rules.blind_then == "rollback":
            turn.roll_back(ENGINE, reason, metric="blind")
        elif "blind" not in state.holds:
            turn.hold("blind", reason)


def _preflight(turn: _Turn) -> None:
    state = turn.state
    if not state.canary:
        looked = state.observed_at is not None or state.router_problem
        if looked and turn.at - state.created_at >= state.rules.wait_for_canary_s:
            wanted = state.canary_wanted or "a canary"
            waited = f"{wanted} was not ready within {state.rules.wait_for_canary_s:.0f} s"
            turn.say(ev.Cancelled(at=turn.at, who=ENGINE, reason=waited))
        return
    if "revision" in state.holds or state.shifting:
        return
    _start_missing_checks(turn, "pre")
    if state.rules.auto_advance and not blockers(turn.state, turn.at):
        _go_forward(turn, ENGINE)


def _start_missing_checks(turn: _Turn, listed: CheckList) -> None:
    names = turn.state.rules.checks.get(listed, ())
    missing = [name for name in names if turn.state.check(listed, name) is None]
    if missing:
        turn.ask(listed, *missing)


def _stage(turn: _Turn) -> None:
    state, rule = turn.state, turn.state.rule
    assert rule is not None
    if state.step is Step.SHIFT and not state.shifting:
        if state.desired == rule.weight:
            turn.say(ev.StepEntered(at=turn.at, step=Step.WARMUP))
        elif state.capacity is not None and state.capacity.weight == rule.weight:
            _await_capacity(turn, rule.weight, state.capacity)
        else:  # a damaged journal, recovered up to the record before
            turn.hold("stuck", f"the shift to {rule.weight}% was never recorded: retry, or roll back")
    elif state.step is Step.SHIFT:
        _notice_stuck(turn)
    if turn.state.step is Step.WARMUP and turn.state.warmed_s >= rule.warmup_s:
        turn.say(ev.StepEntered(at=turn.at, step=Step.BAKE))
    if turn.state.step is Step.BAKE and enough_bake(turn.state) and not blockers(turn.state, turn.at, proof_only=True):
        turn.say(ev.StepEntered(at=turn.at, step=Step.CHECKS))
    if turn.state.step is Step.CHECKS:
        _start_missing_checks(turn, "stage")
        if all(check.outcome is CheckOutcome.PASS for check in turn.state.checks_of("stage")):
            turn.say(ev.StepEntered(at=turn.at, step=Step.GATE))
    if turn.state.step is Step.GATE and turn.state.rules.auto_advance and not blockers(turn.state, turn.at):
        _go_forward(turn, ENGINE)


def _await_capacity(turn: _Turn, weight: int, effort: Effort) -> None:
    """The next weight is written once both sides carry it; after `capacity_s` that is somebody's question."""
    state = turn.state
    short = short_of(state, weight)
    if not short:
        turn.release("capacity")
        if not turn.state.holds and not state.questions and not state.paused_by and not state.router_problem:
            turn.intend(weight)
        return
    if _due_again(effort, turn.at):
        turn.say(ev.CapacityAwaited(at=turn.at, weight=weight, scale=state.rules.scale == "proportional"))
    if turn.at - state.step_at >= state.rules.capacity_s and "capacity" not in state.holds:
        said = f"; {effort.detail}" if effort.detail and not effort.ok else ""
        turn.hold("capacity", f"{short}, for {state.rules.capacity_s:.0f} s{said}: retry, or roll back")


def _due_again(effort: Effort, at: float) -> bool:
    """Answered a while ago: asked for once more, sooner when the answer was no."""
    wait = AGAIN_S * (6 if effort.ok else 1)
    return effort.answered_at is not None and at - effort.answered_at >= wait


def _notice_stuck(turn: _Turn) -> None:
    state = turn.state
    if not state.holds and turn.at - state.step_at >= state.rules.converge_s:
        turn.hold("stuck", _why_stuck(state))


def _why_stuck(state: State) -> str:
    intent = state.intent
    seen = "the router cannot be read" if state.router_problem else f"it shows {state.observed or 0:g}%"
    if state.pending:
        seen = f"{seen}, {state.pending}"
    said = f"; the write was answered: {intent.detail}" if intent is not None and intent.detail else ""
    return f"{state.desired}% was not in effect within {state.rules.converge_s:.0f} s: {seen}{said}"


def _finish(turn: _Turn) -> None:
    state = turn.state
    if state.shifting:
        _notice_stuck(turn)
        return
    if state.rules.finish != "swap" and not state.finished:
        if not state.holds and not state.router_problem and _wants_finish(state.finishing, turn.at):
            turn.say(ev.FinishIntended(at=turn.at, number=f"{state.epoch}.{state.intents + 1}"))
        return
    _start_missing_checks(turn, "post")
    if not blockers(turn.state, turn.at):
        turn.say(ev.Promoted(at=turn.at, keep_until=turn.at + turn.state.rules.keep_old_s))


def _wants_finish(effort: Effort | None, at: float) -> bool:
    return effort is None or (effort.answered_at is not None and at - effort.answered_at >= AGAIN_S)


def _give_back(turn: _Turn) -> None:
    """The release is over: what it held of the target is given back, tried again while that fails."""
    state, effort = turn.state, turn.state.letting_go
    if state.ended_at is None or state.keep_until is not None or not state.rules.holds_target:
        return
    back = state.phase is Phase.ROLLED_BACK
    if back and ((state.shifting and state.disturbed) or turn.at - state.ended_at < state.rules.drain_s):
        return
    pending = effort is not None and (effort.answered_at is None or effort.ok or effort.tries >= LET_GO_TRIES)
    if not pending and (effort is None or turn.at - (effort.answered_at or 0) >= AGAIN_S):
        turn.say(ev.LetGoIntended(at=turn.at, canary_to_zero=back and state.moved and state.rules.canary_to_zero))


def _pursue_rollback(turn: _Turn) -> None:
    state, watch = turn.state, turn.state.rollback
    assert watch is not None
    if state.rollback_sightings >= 2 and not state.raises_out:
        turn.say(ev.RolledBack(at=turn.at))
        return
    _write_stable(turn)
    if state.capacity is not None and not state.capacity.ok and _due_again(state.capacity, turn.at):
        turn.say(ev.CapacityAwaited(at=turn.at, weight=0, scale=True))
    waited = turn.at - watch.accepted
    limit, budget = state.rules.hard_limit_s, state.rules.budget_s
    if waited >= limit and state.phase is Phase.ROLLING_BACK:
        turn.say(ev.RollbackLate(at=turn.at, failed=True, reason=f"not in effect after {limit:.0f} s; still trying"))
    elif waited >= budget and not state.late:
        turn.say(ev.RollbackLate(at=turn.at, failed=False, reason=f"not in effect within its budget of {budget:.0f} s"))


def _write_stable(turn: _Turn) -> None:
    """Stable's weight at once, and again while the answer is missing or no."""
    state, intent, watch = turn.state, turn.state.intent, turn.state.rollback
    assert watch is not None
    if intent is None:
        if state.stable_ready != 0:  # with nothing of stable ready, all users would get errors: wait for it
            turn.intend(0)
        return
    pause = QUICK_S if turn.at - watch.accepted < HASTE_S else SLOW_S
    if intent.answered_at is not None and not intent.ok and turn.at - intent.answered_at >= pause:
        turn.intend(0)


_HANDLERS: dict[type[Input], Callable[[_Turn, Any], None]] = {
    Took: _took,
    Order: _ordered,
    Observed: _observed,
    Looked: _looked,
    Answered: _answered,
    Scaled: _scaled,
    FinishTried: _finish_tried,
    LetGo: _let_go,
    Rehearsed: _rehearsed,
    Checked: _checked,
    Clock: _clock,
    JournalSlow: _journal_slow,
    SupersedeOld: _supersede_old,
    PastLearned: _past_learned,
}

_ORDERS: dict[str, Callable[[_Turn, Order], None]] = {
    "advance": _advance,
    "pause": _pause,
    "resume": _resume,
    "rollback": _rollback,
    "retry": _retry,
    "cancel": _cancel,
    "tick": _tick,
    "untick": _untick,
    "waive": _waive,
    "note": _note,
}

VERBS = tuple(_ORDERS)
