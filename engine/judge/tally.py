"""Counts of both sides, added up."""

from __future__ import annotations

from engine.judge.metric import Counts


class Tally:
    """Events of canary (n_c, bad x_c) and of stable (n_s, x_s) over `seconds`.

    `high` is canary's bad count at a histogram's lower bound, an upper estimate: proof of health uses it.
    """

    KEPT = ("high", "n_c", "n_s", "seconds", "x_c", "x_s")
    __slots__ = KEPT

    def __init__(self) -> None:
        self.seconds = self.n_c = self.x_c = self.high = self.n_s = self.x_s = 0.0

    def add(self, canary: Counts | None, stable: Counts | None, seconds: float) -> None:
        """Add one scrape; a side that was not read adds nothing."""
        self.seconds += seconds
        if canary is not None:
            self.n_c += canary.total
            self.x_c += canary.bad
            self.high += max(canary.bad, canary.bad_low)
        if stable is not None:
            self.n_s += stable.total
            self.x_s += stable.bad

    @property
    def canary_share(self) -> float:
        """Canary's share of bad events, 0 without events."""
        return self.x_c / self.n_c if self.n_c else 0.0

    @property
    def stable_share(self) -> float:
        """Stable's share of bad events, 0 without events."""
        return self.x_s / self.n_s if self.n_s else 0.0

    def canary(self, value: float | None = None) -> Counts:
        """Canary's side as counts; `value` is what a person reads."""
        return Counts(self.n_c, self.x_c, self.high, value)

    def stable(self, value: float | None = None) -> Counts:
        """Stable's side as counts."""
        return Counts(self.n_s, self.x_s, self.x_s, value)
