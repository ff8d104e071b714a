"""What people still have to say at a gate, and when it is too late for that: pure questions about a state."""

from __future__ import annotations

import math

from engine.judge.metric import Outcome
from engine.plan.units import show_duration
from engine.state import Approval, State

EXPIRED = "gate"  # the cause of a hold for a gate at which nobody decided in time


def ago(seconds: float) -> str:
    """How long ago, as people say it: `just now`, `3 s ago`, `4 min ago`, `2 h ago`."""
    if seconds < 100:
        return f"{seconds:.0f} s ago" if seconds >= 0.5 else "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 100 * 60 else f"{seconds / 3600:.0f} h ago"


def stage_name(state: State, stage: int) -> str:
    """A stage as people count: `stage 2 (25%)`; -1 is `preflight`."""
    if stage < 0:
        return "preflight"
    weight = f" ({state.rules.stages[stage].weight}%)" if stage < len(state.rules.stages) else ""
    return f"stage {stage + 1}{weight}"


def standing(state: State) -> tuple[Approval, ...]:
    """The approvals that count now: of this stage and this revision, one for each person."""
    here = (state.stage, state.revision)
    return tuple({said.who: said for said in state.approvals if (said.stage, said.revision) == here}.values())


def missing(state: State) -> int:
    """How many approvals the release still needs to go on from where it stands."""
    return max(0, state.gate.approvers - len(standing(state))) if state.gate is not None else 0


def awaited(state: State, at: float) -> str:
    """Whose word is missing, in a sentence; "" when nobody's is."""
    needed = missing(state)
    if not needed or state.gate is None:
        return ""
    given = ", ".join(f"{said.who} approved {ago(at - said.at)}" for said in standing(state))
    plural = "" if needed == 1 else "s"
    if not given:
        return f"waits for {needed} approval{plural}"
    return f"waits for {needed} more approval{plural} of {state.gate.approvers} ({given})"


def expired(state: State, at: float) -> bool:
    """Is the time to decide over?"""
    return state.gate_expired or (state.gate_until is not None and at >= state.gate_until)


def contested(state: State) -> tuple[str, ...]:
    """What speaks against the release where it stands: holds (but of its gate), questions, failing metrics."""
    silent = {metric.name for metric in state.rules.metrics if not metric.judged}
    held = [reason for cause, reason in state.holds.items() if cause != EXPIRED]
    asked = [question.text for question in state.questions.values()]
    failing = [
        said.reason for said in state.verdicts.values() if said.outcome is Outcome.FAIL and said.metric not in silent
    ]
    return tuple(dict.fromkeys([*held, *asked, *failing]))


def expiry(state: State) -> str:
    """That the gate where the release stands expired, and how far it had come."""
    gate = state.gate
    assert gate is not None
    where = "before the first stage" if state.stage < 0 else f"of {stage_name(state, state.stage)}"
    said = f" with {len(standing(state))} of {gate.approvers} approvals" if gate.approvers else ", nobody decided"
    said = "" if state.gate_expired else said  # its approvals are void by then
    return f"the gate {where} expired after {show_duration(gate.expires_s or 0.0)}{said}"


def too_soon(state: State, at: float) -> str:
    """Why nothing may be raised yet after another engine had the release; "" when it may."""
    left = state.raise_after - at
    if left <= 0:
        return ""
    return f"a write of the engine before may still land: nothing is raised for another {math.ceil(left)} s"
