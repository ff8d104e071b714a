"""A small simulated world for judges: counts of a stable and a canary version, scrape by scrape, bursty as real ones.

Standard library only. Counts are Poisson (rare events, many requests), clusters geometric, incidents on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, exp, log, pi, sqrt
from random import Random

SECONDS = 5.0
SHARES = (0.05, 0.25, 0.50, 1.00)
STAGE_S = 900.0
LEAST_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """A release to simulate: requests per second, shares of bad events, and how they scatter.

    noise: `iid`; `clusters` (accidents of 4 bad events on average); `blips` (30 s, 10 points more on both versions,
    four an hour); `drift` (both rates swing by 1.5 over two hours). onset: (stage, seconds) from which canary is bad.
    """

    name: str
    rps: float
    usual: float = 0.001
    canary: float | None = None
    noise: str = "iid"
    onset: tuple[int, float] = (0, 0.0)
    line: float = 0.005
    ratio: float = 2.0


Scrape = tuple[int, float, float, float, float]  # stage, n_s, x_s, n_c, x_c


class World:
    """One release's counters; `past` before the first stage, `scrape` in a stage."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.rng = case, Random(f"{case.name} {case.rps} {seed}")
        self.phase, self.time, self.blip_left = self.rng.uniform(0, 2 * pi), 0.0, 0.0

    def past(self, seconds: float) -> Iterator[tuple[float, float]]:
        """(total, bad) of stable alone."""
        for _ in range(int(seconds / SECONDS)):
            _, n_s, x_s, _, _ = self.scrape(-1, 0.0)
            yield n_s, x_s

    def scrape(self, stage: int, at: float) -> Scrape:
        """The next five seconds, `at` seconds into `stage`."""
        case = self.case
        share = SHARES[stage] if stage >= 0 else 0.0
        swing, extra = self._swing(), self._blip()
        self.time += SECONDS
        faulty = case.canary is not None and (stage, at) >= case.onset
        p_s = case.usual * swing + extra
        p_c = (case.canary or 0.0) * swing + extra if faulty else p_s
        n_s = poisson(self.rng, case.rps * SECONDS * (1 - share))
        n_c = poisson(self.rng, case.rps * SECONDS * share)
        return stage, n_s, self._bad(n_s, p_s), n_c, self._bad(n_c, p_c)

    def _swing(self) -> float:
        return exp(log(1.5) * cos(2 * pi * self.time / 7200 + self.phase)) if "drift" in self.case.noise else 1.0

    def _blip(self) -> float:
        if "blips" not in self.case.noise:
            return 0.0
        self.blip_left = 30.0 if self.rng.random() < 4 * SECONDS / 3600 else max(0.0, self.blip_left - SECONDS)
        return 0.1 if self.blip_left else 0.0

    def _bad(self, total: float, share: float) -> float:
        if "clusters" not in self.case.noise:
            return min(total, poisson(self.rng, total * share)) if share < 0.3 else round(total * share)
        accidents = int(poisson(self.rng, total * share / 4))
        return min(total, sum(1 + int(log(1 - self.rng.random()) / log(0.75)) for _ in range(accidents)))


def poisson(rng: Random, mean: float) -> float:
    """A Poisson count: by inversion, or rounded from a normal when the mean is large."""
    if mean > 60:
        return float(max(0, round(rng.gauss(mean, sqrt(mean)))))
    left, count, term = rng.random(), 0, exp(-mean)
    while left > term and count < 500:
        left -= term
        count += 1
        term *= mean / count
    return float(count)
