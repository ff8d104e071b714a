"""The stages of the release, each with its place, its word and its progress. Pure."""

from __future__ import annotations

from engine.approvals import standing
from engine.events import Step
from engine.state import FINAL, GOING_BACK, Phase, State
from tui.times import span
from widgets.stage_bar import Place, StageCell


def stages(state: State, at: float) -> tuple[StageCell, ...]:
    """Every stage and where it stands."""
    return tuple(
        StageCell(rule.weight, *_place(state, number, at), progress=_progress(state) if number == state.stage else 0.0)
        for number, rule in enumerate(state.rules.stages)
    )


def _place(state: State, number: int, at: float) -> tuple[Place, str]:
    if state.phase is Phase.PROMOTED or (state.phase is Phase.FINISHING and number <= state.stage):
        return "done", "done"
    if state.phase in GOING_BACK or state.phase is Phase.ROLLED_BACK:
        return ("undone", "undone") if number <= state.stage else ("ahead", "")
    if number < state.stage:
        return "done", "done"
    if number == state.stage:
        return "now", _stage_word(state, at)
    return ("next", "next") if number == state.stage + 1 and state.phase not in FINAL else ("ahead", "")


def _stage_word(state: State, at: float) -> str:
    rule = state.rule
    assert rule is not None
    since = since_tick(state, at)
    if state.step is Step.WARMUP:
        return f"warmup {span(rule.warmup_s - state.warmed_s - since)}"
    if state.step is Step.BAKE and state.baked_s < rule.bake_s:
        return f"bake {span(rule.bake_s - state.baked_s - since)}"
    if state.step is Step.BAKE and state.requests < rule.min_requests:
        return f"{state.requests:.0f}/{rule.min_requests} req"
    if state.gate_expired:
        return "gate EXPIRED"
    gate = f"gate {len(standing(state))}/{rule.gate.approvers}" if rule.gate and rule.gate.approvers else "gate"
    return {Step.SHIFT: "shifting", Step.CHECKS: "checks", Step.GATE: gate}.get(state.step, "bake")


def since_tick(state: State, at: float) -> float:
    """Seconds since the last look that will most likely count, so that a countdown runs between two looks."""
    if state.last_tick_at is None or state.observed != state.desired or state.source_problem:
        return 0.0
    return max(0.0, min(at - state.last_tick_at, state.rules.interval_s))


def _progress(state: State) -> float:
    """How much of the stage's proof is there, 0..1."""
    rule = state.rule
    if rule is None or state.phase is not Phase.STAGE:
        return 0.0
    whole = rule.warmup_s + rule.bake_s
    timed = min(1.0, (state.warmed_s + state.baked_s) / whole) if whole else 1.0
    counted = min(1.0, state.requests / rule.min_requests) if rule.min_requests else 1.0
    if state.step in (Step.SHIFT, Step.WARMUP):
        return timed if state.step is Step.WARMUP else 0.0
    return min(timed, counted) if state.rules.until == "both" else max(timed, counted)
