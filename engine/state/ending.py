"""The way back, the finish, and what comes after the end."""

from __future__ import annotations

from dataclasses import replace

from engine import events as ev
from engine.state.folds import Folds
from engine.state.gate import without_gate
from engine.state.model import Effort, Phase, State, Stopwatch
from engine.state.traffic import answered

FOLDS = Folds()


@FOLDS.of(ev.RollbackStarted)
def _rollback_started(state: State, event: ev.RollbackStarted) -> State:
    watch = Stopwatch(event.asked_at, event.at, event.who, event.reason, event.metric, was=state.observed or 0.0)
    return replace(
        without_gate(state),
        phase=Phase.ROLLING_BACK,
        rollback=watch,
        rollback_sightings=0,
        intent=None,
        desired=0,
        capacity=None,
        letting_go=None,
        paused_by="",
        holds={},
        questions={},
        late="",
        keep_until=None,
        ended_at=None,
        step_at=event.at,
    )


@FOLDS.of(ev.RollbackSeen)
def _rollback_seen(state: State, event: ev.RollbackSeen) -> State:
    assert state.rollback is not None
    watch = state.rollback if state.rollback.observed else replace(state.rollback, observed=event.at)
    return replace(state, rollback=watch, rollback_sightings=state.rollback_sightings + 1)


@FOLDS.of(ev.RollbackLate)
def _rollback_late(state: State, event: ev.RollbackLate) -> State:
    return replace(state, phase=Phase.ROLLBACK_FAILED if event.failed else state.phase, late=event.reason)


@FOLDS.of(ev.LapRecorded)
def _lap_recorded(state: State, event: ev.LapRecorded) -> State:
    assert state.rollback is not None
    watch = state.rollback
    if event.lap == "recovered":
        return replace(state, rollback=replace(watch, recovered=event.when))
    return replace(state, rollback=replace(watch, last_canary_request=event.when))


@FOLDS.of(ev.RolledBack)
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


@FOLDS.of(ev.FinishStarted)
def _finish_started(state: State, event: ev.FinishStarted) -> State:
    entered = replace(without_gate(state), phase=Phase.FINISHING, entered_by=event.who, entered_at=event.at)
    return replace(entered, step_at=event.at, finishing=None)


@FOLDS.of(ev.FinishIntended)
def _finish_intended(state: State, event: ev.FinishIntended) -> State:
    tries = state.finishing.tries + 1 if state.finishing is not None else 1
    began = state.finishing.at if state.finishing is not None else event.at
    return replace(
        state,
        finishing=Effort(began, number=event.number, tries=tries),
        intents=state.intents + 1,
        raises_out=state.raises_out | {event.number},
    )


@FOLDS.of(ev.FinishAnswered)
def _finish_answered(state: State, event: ev.FinishAnswered) -> State:
    if event.number in state.raises_out:  # as for a raise: it may have landed just now
        state = replace(state, raises_out=state.raises_out - {event.number}, rollback_sightings=0)
    if state.finishing is None or state.finishing.number != event.number:
        return state
    return replace(state, finishing=answered(state.finishing, event))


@FOLDS.of(ev.LetGoIntended)
def _let_go_intended(state: State, event: ev.LetGoIntended) -> State:
    tries = state.letting_go.tries + 1 if state.letting_go is not None else 1
    return replace(state, letting_go=Effort(event.at, tries=tries))


@FOLDS.of(ev.LetGoAnswered)
def _let_go_answered(state: State, event: ev.LetGoAnswered) -> State:
    return replace(state, letting_go=answered(state.letting_go, event) if state.letting_go is not None else None)


@FOLDS.of(ev.Disturbed)
def _disturbed(state: State, event: ev.Disturbed) -> State:
    return replace(state, disturbed=event.times, letting_go=None if event.put_back else state.letting_go)


@FOLDS.of(ev.Promoted)
def _promoted(state: State, event: ev.Promoted) -> State:
    return replace(state, phase=Phase.PROMOTED, keep_until=event.keep_until, ended_at=event.at, paused_by="")


@FOLDS.of(ev.OldSideReleased)
def _old_side_released(state: State, event: ev.OldSideReleased) -> State:
    return replace(state, keep_until=None, ending=event.reason)


@FOLDS.of(ev.Superseded)
def _superseded(state: State, event: ev.Superseded) -> State:
    # What it held of the target is the next release's now.
    taken = Effort(event.at, answered_at=event.at, ok=True, detail=f"{event.by} has the target now")
    ending = f"{event.by} began on the same target" if state.phase is Phase.PROMOTED else state.ending
    return replace(state, superseded=event.by, keep_until=None, letting_go=taken, ending=ending)


@FOLDS.of(ev.Cancelled)
def _cancelled(state: State, event: ev.Cancelled) -> State:
    return replace(without_gate(state), phase=Phase.CANCELLED, ended_at=event.at, ending=event.reason)
