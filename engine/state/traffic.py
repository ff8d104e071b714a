"""The weight: written, answered, read back; and what must carry it."""

from __future__ import annotations

from dataclasses import replace

from engine import events as ev
from engine.state.folds import Folds
from engine.state.model import GOING_BACK, Effort, Intent, State, Would

FOLDS = Folds()


@FOLDS.of(ev.ShiftIntended)
def _shift_intended(state: State, event: ev.ShiftIntended) -> State:
    intent = Intent(event.number, event.weight, event.base, event.generation, event.at)
    raises = state.raises_out if intent.to_stable else state.raises_out | {event.number}
    return replace(
        state,
        intent=intent,
        desired=event.weight,
        intents=state.intents + 1,
        raises_out=raises,
        step_at=state.step_at if state.shifting else event.at,  # from now on it has time to converge
        moved=state.moved or event.weight > 0,
    )


@FOLDS.of(ev.ShiftAnswered)
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


@FOLDS.of(ev.ShiftConfirmed)
def _shift_confirmed(state: State, event: ev.ShiftConfirmed) -> State:
    assert state.intent is not None
    return replace(
        state, intent=replace(state.intent, confirmed=True), weights=(*state.weights, event.weight), router_problem=""
    )


@FOLDS.of(ev.WeightObserved)
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


@FOLDS.of(ev.RouterLost)
def _router_lost(state: State, event: ev.RouterLost) -> State:
    return replace(state, router_problem=event.reason, proved_at=None)


@FOLDS.of(ev.CapacityAwaited)
def _capacity_awaited(state: State, event: ev.CapacityAwaited) -> State:
    before = state.capacity
    again = before is not None and before.weight == event.weight
    began = before.at if before is not None and again else event.at
    tries = before.tries + 1 if before is not None and again else 1
    return replace(state, capacity=Effort(began, event.weight, tries=tries))


@FOLDS.of(ev.ScaleAnswered)
def _scale_answered(state: State, event: ev.ScaleAnswered) -> State:
    if state.capacity is None or state.capacity.weight != event.weight:
        return state
    return replace(state, capacity=answered(state.capacity, event))


@FOLDS.of(ev.WayBackTried)
def _way_back_tried(state: State, event: ev.WayBackTried) -> State:
    if event.ok:
        return replace(state, way_back_at=event.at, way_back_problem="")
    return replace(state, way_back_problem=event.detail or "it failed")


def answered(effort: Effort, event: ev.ScaleAnswered | ev.FinishAnswered | ev.LetGoAnswered) -> Effort:
    """The effort with its answer."""
    return replace(effort, answered_at=event.at, ok=event.ok, detail=event.detail)


# --- a release that is only watched


@FOLDS.of(ev.WeightFollowed)
def _weight_followed(state: State, event: ev.WeightFollowed) -> State:
    moved = state.moved or event.weight > 0
    return replace(state, desired=event.weight, moved=moved, weights=(*state.weights, float(event.weight)))


@FOLDS.of(ev.WouldHave)
def _would_have(state: State, event: ev.WouldHave) -> State:
    would = Would(event.at, event.act, event.reason, event.metric, state.stage, state.desired)
    return replace(state, would=(*state.would, would))
