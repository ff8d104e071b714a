"""The sequential test of one metric of events: canary against concurrent stable, to be looked at after every scrape.

Numbers in, numbers out: evidence of harm, proof of health, and what tempers both. Judging them is `proportion.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

from engine.judge.advance import InsideLine, InsideRatio
from engine.judge.dispersion import Dispersion
from engine.judge.evidence import Harm
from engine.judge.interval import RatioInterval
from engine.judge.kept import keep, restore

FAST_S, SLOW_S = 10.0, 90.0  # least evidence for a verdict: with a control; without one, or while stable is sick too
BLOCK_S = 4.0  # the shortest scrape that is judged by itself
LONELY_S = 60.0  # a canary whose stable shows nothing for so long is judged as if it had no control
SUSPICION = 10.0  # evidence of harm from which nothing advances
CONTROL_WEIGHT = 25.0  # percent: from this stage on the relative line must be proven, as long as there is a control
PATIENCE_S = 3600.0  # in one stage; then half the nats of the relative proof do, if nothing speaks for harm


Pair = tuple[float, float]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is tested. `share`: absolute line, `ratio`: relative line (both of bad events, None without one).

    `alpha`: chance of a false proof of harm in the whole release; `beta`: of a false proof of health.
    `usual`: the share of bad events to expect before stable has shown its own.
    """

    share: float | None
    ratio: float | None
    alpha: float
    beta: float
    usual: float


class SequentialTest:
    """Evidence and proofs of one metric over one release; about 50 numbers of state."""

    __slots__ = (
        "bad_s",
        "control",
        "dispersion",
        "fast_cap",
        "harm",
        "held",
        "held_judged",
        "held_s",
        "in_stage",
        "inside_line",
        "inside_ratio",
        "interval",
        "limits",
        "ratio_is_due",
        "release_s",
        "slow_cap",
        "stage_begins",
        "stage_n",
        "stage_s",
        "suspect_n",
        "suspect_x",
        "total_s",
        "wanted",
    )

    KEPT = (
        "bad_s",
        "control",
        "dispersion",
        "held",
        "held_judged",
        "held_s",
        "in_stage",
        "inside_line",
        "inside_ratio",
        "interval",
        "ratio_is_due",
        "release_s",
        "stage_begins",
        "stage_n",
        "stage_s",
        "suspect_n",
        "suspect_x",
        "total_s",
    )

    def __init__(self, limits: Limits, interval: RatioInterval | None = None) -> None:
        """`interval`, if given, is fed with what is compared; it decides nothing."""
        self.limits, self.interval = limits, interval
        self.wanted = 1 / limits.alpha
        nats = log(self.wanted)
        self.fast_cap, self.slow_cap = nats + 3, nats + 8
        self.dispersion = Dispersion()
        self.harm: Harm | None = None
        self.inside_line = None if limits.share is None else InsideLine(limits.share)
        self.inside_ratio = None if limits.ratio is None else InsideRatio(limits.ratio)
        self.total_s = self.bad_s = self.suspect_n = self.suspect_x = 0.0
        self.stage_n = self.stage_s = self.release_s = 0.0
        self.control = self.stage_begins = True
        self.ratio_is_due = self.in_stage = False
        self.held = [0.0] * 5
        self.held_s, self.held_judged = 0.0, True

    def enter_stage(self, weight: float) -> None:
        """A stage at `weight` percent of canary begins; without one, scrapes are stable's past."""
        self._release()
        self.in_stage = True
        self.control = weight < 100
        self.ratio_is_due = self.control and weight >= CONTROL_WEIGHT
        self.stage_begins = True
        self.stage_n = self.stage_s = 0.0
        self.dispersion.enter_stage()
        if self.inside_line is not None:
            self.inside_line.enter_stage()

    @property
    def evidence(self) -> float:
        """Wealth of the bets on harm: 1 says nothing, `wanted` proves it."""
        return 1.0 if self.harm is None else self.harm.evidence

    @property
    def usual(self) -> float:
        """Stable's share of bad events so far; what the plan expects until stable has had a request."""
        return self.bad_s / self.total_s if self.total_s else self.limits.usual

    def scrape(self, seconds: float, stable: Pair, canary: Triple, *, judged: bool = True) -> None:
        """Take in one scrape: (total, bad) of stable; (total, bad, bad as health counts it) of canary.

        With `judged` False the scrape can prove harm and no health. Scrapes are added up until they cover 4 s and both
        sides are there: short ones would lose single errors to the cap, and one side's gap must not face nothing.
        """
        if seconds >= BLOCK_S and stable[0] and (canary[0] or not self.in_stage) and not self.held_s:
            self._take(seconds, stable, canary, judged)
            return
        if self.held_s and judged is not self.held_judged:
            self._release()  # a warmup ends: what stable had in it must not face what canary has after it
        self.held_s += seconds
        self.held_judged = judged
        self.held = [old + new for old, new in zip(self.held, (*stable, *canary), strict=True)]
        n_s, _, n_c, _, _ = self.held
        both = (n_s or not self.control) and (n_c or not self.in_stage)
        if self.held_s >= (BLOCK_S if both else LONELY_S):
            self._release()

    def _release(self) -> None:
        """Judge what is held back."""
        if self.held_s:
            n_s, x_s, n_c, x_c, high = self.held
            self._take(self.held_s, (n_s, x_s), (n_c, x_c, high), self.held_judged)
        self.held, self.held_s, self.held_judged = [0.0] * 5, 0.0, True

    def _take(self, seconds: float, stable: Pair, canary: Triple, judged: bool) -> None:
        """One block of scrapes. phi is what was known before it."""
        n_s, x_s = stable
        n_c, x_c, _ = canary
        if n_c:
            if n_s and self.control:
                self._compare(seconds, stable, canary, judged)
            else:
                self._alone(seconds, canary, judged)
            if judged:
                self.stage_n += n_c
                self.stage_s += seconds
                self.release_s += seconds
            self._suspect(n_c, x_c)
        if n_s:
            dispersion = self.dispersion
            dispersion.stable(n_s, x_s)
            if n_c and x_c + x_s:
                dispersion.both(x_c, x_s, n_c / (n_c + n_s))
            dispersion.settle()
            self.total_s += n_s
            self.bad_s += x_s

    def healthy(self) -> bool:
        """Is the canary proven inside every line that is due in this stage, and under no suspicion?"""
        line = self.inside_line
        inside = line is None or line.proof * self.limits.beta >= 1
        return inside and self.evidence < SUSPICION and self.ratio_progress() >= 1

    def line_progress(self) -> float:
        """Log of the proof below the absolute line over the log that is needed; at least 1 when proven."""
        if self.inside_line is None:
            return 1.0
        proof = self.inside_line.proof
        return max(0.0, log(proof) / log(1 / self.limits.beta)) if proof > 0 else 0.0

    def ratio_progress(self) -> float:
        """The same below the relative line, where it is due; after an hour without suspicion half the nats do."""
        if self.inside_ratio is None or not self.ratio_is_due:
            return 1.0
        needed = log(1 / self.limits.beta)
        if self.stage_s >= PATIENCE_S and self.evidence < 1:
            needed /= 2
        return max(0.0, self.inside_ratio.nats / needed)

    def forgive(self) -> None:
        """An operator goes on in spite of the proof: what comes next must prove harm anew."""
        self.harm = None
        self.suspect_n = self.suspect_x = 0.0

    def state(self) -> dict[str, Any]:
        """JSON-serialisable; `restore` goes on from it."""
        return keep(self) | {"harm": None if self.harm is None else keep(self.harm)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        rest = dict(state)
        harm = rest.pop("harm")
        restore(self, rest)
        if harm is not None:
            self.harm = Harm(harm["ratio"], self.limits.share)
            restore(self.harm, harm)

    def _begin(self) -> Harm:
        """Choose the bets when canary's first request comes: around the ratio at which a line would be reached."""
        share, ratio = self.limits.share, self.limits.ratio
        if ratio is None and share is not None:
            ratio = share / max(share / 20, min(0.7 * share, self.usual))
        self.harm = Harm(ratio or 2.0, share)
        return self.harm

    def _compare(self, seconds: float, stable: Pair, canary: Triple, judged: bool) -> None:
        """Two or more scrapes and 10 s of evidence for a verdict (Huber's censored likelihood ratio); 90 s while stable
        is itself past twice the line, for in an incident pods suffer unequally.
        """
        harm, dispersion = self.harm or self._begin(), self.dispersion
        stake = harm.stakes.put(seconds, stage_begins=self.stage_begins)
        self.stage_begins = False
        sick = self._is_sick(stable)
        cap = self.slow_cap * min(0.25, seconds / SLOW_S) if sick else self.fast_cap * min(0.5, seconds / FAST_S)
        n_c, x_c, high = canary
        harm.compare((n_c, x_c), stable, stake=stake, phi=dispersion.phi, cap=cap)
        if self.interval is not None:
            self.interval.look((n_c, x_c), stable, dispersion.phi)
        if not judged:
            return
        if self.inside_ratio is not None:
            self.inside_ratio.look((n_c, high), stable, dispersion.phi_health)
        if self.inside_line is not None and not sick:
            self.inside_line.look((n_c, high), self.usual, seconds, dispersion.phi_health)

    def _alone(self, seconds: float, canary: Triple, judged: bool) -> None:
        """Canary against the absolute line: there is no control, or it has shown nothing for a minute."""
        if self.inside_line is None:
            return
        harm, dispersion = self.harm or self._begin(), self.dispersion
        stake = harm.stakes.put(seconds, stage_begins=self.stage_begins)
        self.stage_begins = False
        n_c, x_c, high = canary
        cap = self.slow_cap * min(0.25, seconds / SLOW_S)
        harm.against_line((n_c, x_c), stake=stake, phi=dispersion.phi, cap=cap)
        if judged:
            self.inside_line.look((n_c, high), self.usual, seconds, dispersion.phi_health)

    def _is_sick(self, stable: Pair) -> bool:
        """Is stable itself beyond doubt past the absolute line in this scrape?"""
        line, (n_s, x_s) = self.limits.share, stable
        if line is None or x_s < 3:
            return False
        allowed = n_s * line
        return x_s >= 2 * allowed + 3 * sqrt(allowed)

    def _suspect(self, n_c: float, x_c: float) -> None:
        """Canary's counts since the evidence rose above 1: what it shows since something seems wrong."""
        if self.evidence > 1:
            self.suspect_n += n_c
            self.suspect_x += x_c
        else:
            self.suspect_n = self.suspect_x = 0.0
