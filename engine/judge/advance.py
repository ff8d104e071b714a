"""Proof that the canary is inside its lines: silence is not proof, so health is shown by evidence of its own.

Two e-processes against the opposite nulls. Reaching 1/beta says that the always-valid upper bound is inside the line.

Absolute line T, this stage alone, null p_c >= T, betting on p_a, stable's rate so far:
    Z <- (Z + w) exp([x_c log(p_a / T) + (T - p_a) n_c] / phi)
Relative line R, over the release, null p_c >= R p_s:
    exp(sum [(x_c + x_s) log(1 + (R - 1) theta) - x_c log R] / phi)
Both have mean <= 1 under their null, by the same 1 + x <= e^x as the evidence of harm. Z begins anew all the time
(the weights w sum to at most 1): a bound over the whole stage would never recover from an incident on both versions.
"""

from __future__ import annotations

from math import exp, log, log1p

FIRST_WEIGHT, WEIGHT_S = 0.5, 1800.0
MOST_NATS = 50.0  # per scrape: more decides nothing and could overflow
RICH = 1e50


class InsideLine:
    """The proof that canary's share of bad events is below the absolute line `share`, in this stage."""

    __slots__ = ("left", "proof", "share")
    KEPT = ("left", "proof")

    def __init__(self, share: float) -> None:
        self.share = share
        self.enter_stage()

    def enter_stage(self) -> None:
        """Each stage must be shown by its own data."""
        self.proof = FIRST_WEIGHT
        self.left = 1 - FIRST_WEIGHT

    def look(self, canary: tuple[float, float], usual: float, seconds: float, phi: float) -> None:
        """One scrape, (total, bad) of canary. `usual`: stable's share so far; the bet on it stays in [T/20, 0.7 T]."""
        (n_c, x_c), line = canary, self.share
        bet = max(line / 20, min(0.7 * line, usual))
        gain = ((line - bet) * n_c - (x_c * log(line / bet) if x_c else 0.0)) / phi
        put = self.left * min(1.0, seconds / WEIGHT_S)
        self.left -= put
        self.proof = min(RICH, (self.proof + put) * exp(min(MOST_NATS, gain)))


class InsideRatio:
    """The proof that canary's share of bad events is below `ratio` times stable's, over the release, in nats."""

    __slots__ = ("log_ratio", "nats", "ratio")
    KEPT = ("nats",)

    def __init__(self, ratio: float) -> None:
        self.ratio, self.log_ratio, self.nats = ratio, log(ratio), 0.0

    def look(self, canary: tuple[float, float], stable: tuple[float, float], phi: float) -> None:
        """One scrape, (total, bad) of each side."""
        (n_c, x_c), (n_s, x_s) = canary, stable
        if x_c + x_s:
            share = n_c / (n_c + n_s)
            self.nats += ((x_c + x_s) * log1p((self.ratio - 1) * share) - x_c * self.log_ratio) / phi
