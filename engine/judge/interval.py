"""Intervals that hold at every look at once, for the report: of the canary's rate and of its ratio to stable.

Both collect the values that no e-process against them has refuted: wealth below 1/level at each value inside. So they
may be read at any time, and a rate that drifts is covered in the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma, log

LEVEL = 0.05  # chance that the interval ever misses
POINTS = 61
LOWEST_RATIO, HIGHEST_RATIO = 0.1, 100.0
RATIOS = tuple(LOWEST_RATIO * (HIGHEST_RATIO / LOWEST_RATIO) ** (i / (POINTS - 1)) for i in range(POINTS))
LOG_RATIOS = tuple(log(r) for r in RATIOS)
HALVINGS = 20


def rate_interval(total: float, bad: float, phi: float, level: float = LEVEL) -> tuple[float, float]:
    """Of a share of bad events, given `bad` of `total` and their dispersion.

    Gamma-Poisson mixture (Robbins 1970; Howard et al. 2021) with y = bad/phi events at mean nu = p total/phi, prior
    a = b = 1/2: all p with nu + a ln b - lgamma(a) + lgamma(a + y) - (a + y) ln(b + nu) < ln(1/level).
    """
    if total <= 0:
        return 0.0, 1.0
    y, most, bound = bad / phi, total / phi, log(1 / level)
    fixed = 0.5 * log(0.5) - lgamma(0.5) + lgamma(0.5 + y)

    def refuted(p: float) -> bool:
        return p * most + fixed - (0.5 + y) * log(0.5 + p * most) >= bound

    centre = min(1.0, bad / total)
    low = _edge(0.0, centre, refuted) if refuted(0.0) else 0.0
    high = _edge(1.0, centre, refuted) if refuted(1.0) else 1.0
    return low, high


def _edge(refuted_at: float, held_at: float, refuted: Callable[[float], bool]) -> float:
    for _ in range(HALVINGS):
        middle = (refuted_at + held_at) / 2
        refuted_at, held_at = (middle, held_at) if refuted(middle) else (refuted_at, middle)
    return held_at


class RatioInterval:
    """Of canary's share over stable's. Support S(r) = sum [x_c ln r - (x_c + x_s) ln(r n_c + n_s)] / phi over a grid;
    inside are all r0 with ln mean_j exp(S(r_j)) - S(r0) < ln(1/level), a uniform mixture over the grid.
    """

    __slots__ = ("support",)
    KEPT = ("support",)

    def __init__(self) -> None:
        self.support = [0.0] * POINTS

    def look(self, canary: tuple[float, float], stable: tuple[float, float], phi: float) -> None:
        """One scrape, (total, bad) of each side."""
        (n_c, x_c), (n_s, x_s) = canary, stable
        if n_c and n_s and x_c + x_s:
            share, won, all_bad = n_c / (n_c + n_s), x_c / phi, (x_c + x_s) / phi
            self.support = [
                s + won * log_r - all_bad * log(1 + (r - 1) * share)
                for s, r, log_r in zip(self.support, RATIOS, LOG_RATIOS, strict=True)
            ]

    def read(self, level: float = LEVEL) -> tuple[float, float]:
        """The lowest and the highest ratio not refuted; the grid's ends stand for "or beyond"."""
        best = max(self.support)
        mixture = best + log(sum(exp(s - best) for s in self.support) / POINTS)
        least = mixture - log(1 / level)
        inside = [r for r, s in zip(RATIOS, self.support, strict=True) if s > least]
        return (inside[0], inside[-1]) if inside else (LOWEST_RATIO, HIGHEST_RATIO)
