"""Can both sides carry the next weight? A pure question about a state."""

from __future__ import annotations

import math

from engine.state import State


def short_of(state: State, weight: int) -> str:
    """What is missing before `weight` percent may go to the canary, in a sentence; "" when both sides carry it, or
    when the router knows no replicas. Stable must be ready for all of it: it is the way back."""
    if state.full is None:
        return ""
    canary, stable = state.canary_ready or 0, state.stable_ready or 0
    needed = canary_needs(state, weight)
    if canary < needed:
        return f"the canary has {canary} of the {needed} ready replicas that {weight}% needs"
    if stable < state.full:
        return f"stable has {stable} of the {state.full} ready replicas that the way back needs"
    return ""


def canary_needs(state: State, weight: int) -> int:
    """Ready replicas that the canary needs for `weight` percent: its share of what carries all of the traffic; where
    laneshift does not scale, what the canary's owner wants."""
    if weight <= 0:
        return 0
    if state.rules.scale == "none":
        return max(1, state.canary_asked or 1)
    return max(1, math.ceil((state.full or 0) * weight / 100))
