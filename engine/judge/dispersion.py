"""How much burstier than chance bad events arrive: the dispersion phi, learnt from stable. Evidence is divided by it.

Errors come in clusters (one failed pod, one retrying client). A test for independent events, however "anytime-valid",
takes every cluster for proof: measured, it rolls back 94-100% of healthy releases. Dividing the log evidence by phi,
known before the scrape, keeps it valid when no cluster puts more than phi bad events in one scrape: by convexity
a^(K/phi) <= 1 + (K/phi)(a - 1) for 0 <= K <= phi, and the sum of these over clusters is what it was for single events.
"""

from __future__ import annotations

from math import sqrt

WINDOW = 5  # scrapes around the judged one: an incident of 3 or more moves the median and so drops out
PRIOR_EVENTS, PRIOR_PHI = 3.0, 2.0  # without history the first minutes rest on this
SHARED_PRIOR = 20.0  # scrapes of common scatter it takes to trust canary-against-stable over stable's own
SPARSE = 10.0  # deviations it takes to believe in their mean
YOUNG = 5.0  # scrapes: an estimate from few is tempered more
SAFETY = 1.2  # harm is tempered a little more than measured, health is not


class Dispersion:
    """Variance-to-mean ratio of bad events per scrape. `phi` tempers harm, `phi_health` health; both at least 1."""

    KEPT = (
        "deviation",
        "events",
        "looks",
        "phi",
        "phi_health",
        "scatter",
        "scrapes",
        "seen",
        "squares",
        "stage_c",
        "stage_x",
        "window",
    )
    __slots__ = KEPT

    def __init__(self) -> None:
        self.window: list[list[float]] = []
        self.squares = self.events = self.deviation = self.looks = self.scrapes = 0.0
        self.enter_stage()
        self.settle()

    def enter_stage(self) -> None:
        """The common scatter of both versions is learnt anew in each stage."""
        self.scatter = self.seen = self.stage_c = self.stage_x = 0.0

    def stable(self, total: float, bad: float) -> None:
        """One scrape of stable. The scrape in the middle of the window is compared with the window's median rate.

        A deviation beyond what is usual (20, and 6 mean deviations) counts as that much, and beyond three times as much
        it is a rare incident and not the way errors arrive: left out, or one bad minute in the past would blind the
        judge. It widens what is usual all the same, so that bursts which keep coming are counted in full.
        """
        window = self.window
        window.append([bad / total, bad, total])
        if len(window) < WINDOW:
            return
        _, x, n = window[2]
        usual = sorted(window)[2][0]
        del window[0]
        self.scrapes += 1
        expected = usual * n
        gap = x - expected
        if gap:
            widest = 20 + 4 * sqrt(expected) + 6 * self.deviation / (self.looks + SPARSE)
            self.looks += 1
            rare = gap > 3 * widest
            gap = max(-widest, min(widest, gap))
            self.deviation += abs(gap)
            if rare:
                return
            self.squares += gap * gap / (0.9 if usual else 1.0)
        self.events += expected + gap

    def both(self, canary_bad: float, stable_bad: float, canary_share: float) -> None:
        """One scrape of both sides: did canary share stable's bursts? A split that scatters as chance does means phi 1.

        A common incident is overdispersion of stable's own series, but it cancels in the comparison; this takes it out.
        """
        x = canary_bad + stable_bad
        q = (self.stage_c + canary_share) / (self.stage_x + 1)
        variance = x * q * (1 - q)
        off = canary_bad - q * x
        self.scatter += off * off / (variance if variance > 1 else 1.0)
        self.seen += variance if variance < 1 else 1.0
        self.stage_c += canary_bad
        self.stage_x += x

    def settle(self) -> None:
        """Take what was seen into `phi` and `phi_health`, for the scrapes that follow."""
        own = (PRIOR_EVENTS * PRIOR_PHI + self.squares) / (PRIOR_EVENTS + self.events)
        common = (SHARED_PRIOR * own + self.scatter) / (SHARED_PRIOR + self.seen)
        measured = min(own, common)
        self.phi_health = measured if measured > 1 else 1.0
        self.phi = 1 + SAFETY * (1 + YOUNG / (2 + self.scrapes)) * (self.phi_health - 1)
