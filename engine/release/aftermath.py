"""After the end: the guard of a roll back, and giving back what the release held of its target."""

from __future__ import annotations

from engine import events as ev
from engine.inputs import Observation
from engine.release.turn import AGAIN_S, REWRITE_S, Turn
from engine.release.writing import anothers, hand, in_effect
from engine.state import Intent, Phase, State

PUT_BACK = 3  # times that a weight somebody raises after a roll back is taken back; then it is only said
LET_GO_TRIES = 20


def putting_back(state: State) -> Intent | None:
    """The write of stable's weight that was made after the end, while it is not read back."""
    intent, ended = state.intent, state.ended_at
    return intent if intent is not None and ended is not None and intent.at >= ended and state.shifting else None


def observed_after(turn: Turn, begun: float, seen: Observation) -> None:
    """Rolled back, and somebody may have put traffic on the canary again: taken back while the plan's guard lasts."""
    state, intent = turn.state, putting_back(turn.state)
    if intent is None:
        fresh = state.ended_at is not None and begun > state.ended_at
        if fresh and seen.weight != 0:
            _disturbed(turn, seen)
    elif in_effect(intent, begun, seen):
        turn.say(ev.ShiftConfirmed(at=turn.at, number=intent.number, weight=seen.weight))
    elif intent.answered_at is not None and begun > intent.answered_at and seen.weight != 0:
        waited = turn.at - intent.answered_at
        if intent.ok and waited >= AGAIN_S:
            _disturbed(turn, seen)  # written, and raised again
        elif not intent.ok and waited >= REWRITE_S and state.guarded(turn.at):
            turn.intend(0)


def _disturbed(turn: Turn, seen: Observation) -> None:
    state = turn.state
    if not state.guarded(turn.at) or state.disturbed > PUT_BACK or anothers(state, seen):
        return
    times = state.disturbed + 1
    put_back = times <= PUT_BACK
    turn.say(ev.Disturbed(at=turn.at, weight=seen.weight, hand=hand(state, seen), times=times, put_back=put_back))
    if put_back:
        turn.intend(0)


def give_back(turn: Turn) -> None:
    """The release is over: what it held of the target is given back, tried again while that fails."""
    state, effort = turn.state, turn.state.letting_go
    if not state.rules.holds_target or state.keep_until is not None or _busy(state, turn.at):
        return
    if effort is not None and (effort.answered_at is None or effort.ok or effort.tries >= LET_GO_TRIES):
        return
    if effort is None or turn.at - (effort.answered_at or 0) >= AGAIN_S:
        turn.say(ev.LetGoIntended(at=turn.at, canary_to_zero=_to_zero(state)))


def _busy(state: State, at: float) -> bool:
    """Is something of it still under way, or the canary still at its last requests?"""
    scaling = state.rules.scale == "proportional" and state.capacity is not None and state.capacity.answered_at is None
    if scaling or state.phase is not Phase.ROLLED_BACK:
        return scaling
    since = max(state.ended_at or 0.0, state.intent.at if state.intent is not None else 0.0)
    unread = state.rules.canary_to_zero and (state.observed_at is None or bool(state.router_problem))
    under_way = putting_back(state) is not None and state.guarded(at)
    return unread or under_way or at - since < state.rules.drain_s


def _to_zero(state: State) -> bool:
    """The canary goes to nothing as the plan says, but not under traffic that somebody put on it again."""
    return state.phase is Phase.ROLLED_BACK and state.moved and state.rules.canary_to_zero and state.observed == 0
