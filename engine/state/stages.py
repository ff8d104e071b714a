"""The engine that holds a release, the revision, and the stages."""

from __future__ import annotations

from dataclasses import replace

from engine import events as ev
from engine.events import Step
from engine.state.folds import Folds
from engine.state.gate import without_gate
from engine.state.model import Effort, ItemState, Phase, State, runs

FOLDS = Folds()


@FOLDS.of(ev.EngineTook)
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
        engine=event.engine,
        raise_after=event.raise_after,
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
        step_at=event.at if state.shifting or state.step is Step.SHIFT else state.step_at,
    )


def _cut_off(effort: Effort | None, at: float) -> Effort | None:
    if effort is None or effort.answered_at is not None:
        return effort
    return replace(effort, answered_at=at, detail="the engine restarted before an answer")


@FOLDS.of(ev.JournalLate)
def _journal_late(state: State, event: ev.JournalLate) -> State:
    return replace(state, journal_late=event.reason)


@FOLDS.of(ev.CanarySeen)
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
        revised=f"canary {event.canary} was seen beside stable {event.stable}",
        revised_at=event.at,
    )


@FOLDS.of(ev.RevisionChanged)
def _revision_changed(state: State, event: ev.RevisionChanged) -> State:
    """All proof and every approval of the old revision is void; the release stands before its first stage again."""
    items = {name: i if i.mark == "n/a" else ItemState(i.item) for name, i in state.items.items()}
    return fresh_stage(
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
            capacity=None,
            revised=_what_changed(state, event),
            revised_at=event.at,
            entered_by=ev.ENGINE,
            entered_at=event.at,
        ),
        event.at,
    )


def _what_changed(state: State, event: ev.RevisionChanged) -> str:
    sides = (
        ("canary", runs(state.canary, state.canary_build), runs(event.canary, event.canary_build)),
        ("stable", runs(state.stable, state.stable_build), runs(event.stable, event.stable_build)),
    )
    return " and ".join(f"{side} changed from {was} to {now}" for side, was, now in sides if was != now)


@FOLDS.of(ev.StageEntered)
def _stage_entered(state: State, event: ev.StageEntered) -> State:
    entered = replace(state, phase=Phase.STAGE, stage=event.stage, entered_by=event.who, entered_at=event.at)
    return fresh_stage(entered, event.at)


@FOLDS.of(ev.StepEntered)
def _step_entered(state: State, event: ev.StepEntered) -> State:
    return replace(state, step=event.step, step_at=event.at)


def fresh_stage(state: State, at: float) -> State:
    """Nothing of the stage before counts for the next one."""
    return replace(
        without_gate(state),
        step=Step.SHIFT,
        step_at=at,
        warmed_s=0.0,
        baked_s=0.0,
        requests=0.0,
        served=(0.0, 0.0, 0.0),
        proved_at=None,
        alerts={},
        alert_since={},
        verdicts={},
        answered=frozenset(),
        checks={key: check for key, check in state.checks.items() if check.list == "pre"},
    )
