"""Percent of the traffic as weights of servers, each 0 to 256, and back."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Final

from engine.routers.haproxy_cli import Server

HIGHEST: Final = 256
ALONE: Final = 100
"""The weight of a side's servers when they carry everything."""


def weights_for(weight: int, canaries: int, stables: int) -> tuple[int, int]:
    """What each canary and each stable server weighs when the canary side is to have `weight` percent.

    The nearest that whole numbers allow: 5% on one of eleven servers is 50 beside ten times 95, exactly.
    """
    if weight in (0, 100):
        return (ALONE, 0) if weight else (0, ALONE)
    canary, stable = weight * stables, (100 - weight) * canaries
    if max(canary, stable) <= HIGHEST:
        return canary, stable
    shrink = gcd(canary, stable)
    canary, stable = canary // shrink, stable // shrink
    if max(canary, stable) <= HIGHEST:
        return canary, stable
    return _nearest(weight / 100, canaries, stables)


def _nearest(share: float, canaries: int, stables: int) -> tuple[int, int]:
    """The pair whose share is nearest, of those with the larger numbers the first."""
    wanted = share * stables / (canaries * (1 - share))  # canary's weight for each 1 of stable's

    def pairs() -> list[tuple[int, int]]:
        return [
            (canary, stable) for stable in range(HIGHEST, 0, -1) if 1 <= (canary := round(wanted * stable)) <= HIGHEST
        ]

    def distance(pair: tuple[int, int]) -> float:
        return abs(pair[0] * canaries / (pair[0] * canaries + pair[1] * stables) - share)

    return min(pairs(), key=distance, default=(1, HIGHEST) if wanted < 1 else (HIGHEST, 1))


def share_of(canary: int, others: int) -> float:
    """In percent, of two sums of weights; 0 when nobody has any."""
    return 100 * canary / (canary + others) if canary + others else 0.0


def weight_of(canaries: Sequence[Server], stables: Sequence[Server], written: float = 0.0) -> float:
    """The weight that was asked for, where these are its servers' weights: `written` if it can be that one, since
    several can end as the same pair; else their share, to a hundredth."""
    return _asked([one.weight for one in canaries], [one.weight for one in stables], written)


def configured_weight(canaries: Sequence[Server], stables: Sequence[Server]) -> float:
    """The same by the weights of the configuration."""
    return _asked([one.initial for one in canaries], [one.initial for one in stables], 0.0)


def _asked(on_canaries: Sequence[int], on_stables: Sequence[int], written: float) -> float:
    share = share_of(sum(on_canaries), sum(on_stables))
    for weight in (round(written), round(share)):
        canary, stable = weights_for(weight, len(on_canaries), len(on_stables))
        if {*on_canaries} == {canary} and {*on_stables} == {stable}:
            return float(weight)
    return round(share, 2)
