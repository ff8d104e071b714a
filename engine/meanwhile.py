"""What happened since a person looked: why an order that was meant for another moment is refused. Pure."""

from __future__ import annotations

from engine.approvals import ago, stage_name
from engine.state import Phase, State


def over(state: State, at: float) -> str:
    """The release does not go forward any more: since when, and by whom, as far as that is known."""
    ended = f"the release is {state.phase.value.replace('_', ' ')}"
    if state.phase is Phase.FINISHING:
        return f"{ended}: {state.entered_by} advanced it past the last stage {ago(at - state.entered_at)}"
    if state.rollback is not None:
        return f"{ended}, by {state.rollback.who} {ago(at - state.rollback.accepted)}: {state.rollback.reason}"
    return ended


def meant_for_another(state: State, at: float, *, stage: int | None, revision: str | None) -> str:
    """Why an order for this stage and revision (None: for whatever is there) is stale; "" when it is not."""
    if revision is not None and revision != state.revision:
        since = f"{state.revised} {ago(at - state.revised_at)}, it" if state.revised else "the release"
        return f"meant for revision {revision}; {since} is at {state.revision} now: look again"
    if stage is None or stage == state.stage:
        return ""
    now = stage_name(state, state.stage)
    if stage > state.stage:
        return f"meant for {stage_name(state, stage)}; the release is at {now} now"
    moved = f"{state.entered_by} advanced it to {now} {ago(at - state.entered_at)}"
    return f"meant for {stage_name(state, stage)}; {moved}: look again"
