"""Is a write of the weight in effect, and may it be made again? Pure questions that several parts ask."""

from __future__ import annotations

from engine.approvals import too_soon
from engine.capacity import short_of
from engine.gates import unready_route
from engine.inputs import Observation
from engine.state import Intent, State


def in_effect(intent: Intent, begun: float, seen: Observation) -> bool:
    """Does an observation that began at `begun` show what was intended?"""
    if intent.to_stable:
        return intent.ok and intent.answered_at is not None and begun > intent.answered_at and written(intent, seen)
    return seen.weight == intent.weight and not seen.pending and begun >= intent.at


def written(intent: Intent, seen: Observation) -> bool:
    """Is stable's weight written, not only shown? A delayed raise can land until the route's generation has moved."""
    return seen.weight == 0 and not seen.pending and (not seen.generation or seen.generation != intent.generation)


def may_raise(state: State, weight: int, at: float) -> bool:
    """May a raise that was decided on be written by itself: nothing holds it, no earlier engine's write
    can cross it, and both sides carry it?"""
    if weight > (state.observed or 0) and too_soon(state, at):
        return False
    stands = state.holds or state.questions or state.paused_by or state.pending
    return not stands and not unready_route(state) and not short_of(state, weight)


def hand(state: State, seen: Observation) -> str:
    """Who moved the weight, as far as the router can tell."""
    if seen.hand or anothers(state, seen):
        return seen.hand or f"release {seen.marked_release}"
    ours = state.intent is not None and seen.mark == state.intent.number
    return "" if ours else seen.by


def anothers(state: State, seen: Observation) -> bool:
    """The target carries the mark of another release."""
    return seen.marked_release not in ("", state.release)
