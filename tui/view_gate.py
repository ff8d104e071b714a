"""What people say at a gate, and what they are asked to approve. Pure."""

from __future__ import annotations

from engine.approvals import stage_name, standing
from engine.state import State
from tui.people import NAME, You, place_words
from tui.times import clock
from widgets.plain import brief


def approval_words(state: State) -> str:
    """How many approvals there are of those that the gate here wants, and whose; "" where none are wanted."""
    gate = state.gate
    if gate is None or not gate.approvers:
        return ""
    given = standing(state)
    names = ", ".join(f"{brief(one.who, NAME)} {clock(one.at)[:5]}" for one in given)
    return f"{len(given)} of {gate.approvers} approvals{f': {names}' if names else ''}"


def approved_words(state: State) -> str:
    """What an approval is of: `checkout, stage 2 (25%)`."""
    return f"{brief(state.service, 30)}, {stage_name(state, state.stage)}"


def approval_text(state: State, you: You) -> str:
    """What may follow, of which revision, and as whom it is recorded."""
    following = state.next_weight
    then = f"may go on to {following}%" if following is not None else "may be finished"
    place = place_words(you.where)
    own = f"{brief(you.who, 40)}{f' ({place})' if place else ''}"
    return (
        f"{brief(state.canary or 'The canary', 40)} {then}. This revision only: {brief(state.revision, 80)}. "
        f"{approval_words(state)}. You are {own}: the engine knows you so."
    )
