"""The sequential test of a gauge: is it past its line for more of the time than it may be?

A gauge is one autocorrelated reading per scrape, not events: null "past its line in at most 10% of the time", Bernoulli
likelihood for bets q on the true share, tempered by how many readings share one cause (15 s), and 90 s at least.
"""

from __future__ import annotations

from math import exp, log

from engine.judge.evidence import PRIOR, RICH, Stakes, ratios_to_bet_on

ALLOWED = 0.10  # share of the time past the line that is no failure
MEMORY_S = 15.0  # readings closer than this say the same thing
CLEAR_READINGS = 6  # in a row, to advance
SUSPICION = 10.0  # evidence from which nothing advances


class ReadingsTest:
    """Evidence that a gauge stays past its line. `clear`, `past`: readings in a row inside, outside (for `past_s`)."""

    KEPT = ("clear", "evidence", "past", "past_s", "stage_begins", "stakes", "wealth")
    __slots__ = (*KEPT, "bets", "slow_cap", "wanted")

    def __init__(self, alpha: float, ratio: float = 2.0, allowed: float = ALLOWED) -> None:
        shares = [min(0.95, r * allowed) for r in ratios_to_bet_on(ratio)]
        self.bets = tuple(
            (log(q / allowed), log((1 - q) / (1 - allowed)), pi) for q, pi in zip(shares, PRIOR, strict=True)
        )
        self.wanted = 1 / alpha
        self.slow_cap = log(self.wanted) + 8
        self.clear = self.past = 0
        self.past_s = 0.0
        self.forgive()

    def forgive(self) -> None:
        """Begin anew: what comes next must prove harm by itself."""
        self.wealth = [0.0] * len(self.bets)
        self.stakes = Stakes()
        self.evidence = 1.0
        self.stage_begins = True

    def enter_stage(self) -> None:
        """Advancing needs readings of this stage."""
        self.stage_begins = True
        self.clear = 0

    def read(self, seconds: float, *, past: bool, stable_past: bool) -> None:
        """One reading. While stable is past the line too, nothing is bet: the incident is not the canary's."""
        self.clear = 0 if past else self.clear + 1
        self.past = self.past + 1 if past else 0
        self.past_s = self.past_s + seconds if past else 0.0
        if stable_past:
            return
        put = self.stakes.put(seconds, stage_begins=self.stage_begins)
        self.stage_begins = False
        phi = max(1.0, MEMORY_S / seconds) if seconds > 0 else RICH
        cap = self.slow_cap * min(0.25, seconds / 90)
        self.wealth = [
            min(RICH, (m + pi * put) * exp(min(cap, (hit if past else miss) / phi)))
            for m, (hit, miss, pi) in zip(self.wealth, self.bets, strict=True)
        ]
        self.evidence = sum(self.wealth) + self.stakes.left

    def healthy(self) -> bool:
        """Six readings in a row inside the line, and no suspicion."""
        return self.evidence < SUSPICION and self.clear >= CLEAR_READINGS
