"""The sequential test of one metric of events: canary against concurrent stable, to be looked at after every scrape.

Numbers in, numbers out: evidence of harm, proof of health, and what tempers both. Judging them is `proportion.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

from engine.judge.advance import InsideLine, InsideRatio
from engine.judge.dispersion import Dispersion
from engine.judge.evidence import Harm

SUSPICION = 10.0  # evidence of harm from which nothing advances
CONTROL_WEIGHT = 25.0  # percent: from this stage on the relative line must be proven, as long as there is a control
PATIENCE_S = 3600.0  # in one stage; then half the nats of the relative proof do, if nothing speaks for harm


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
        "inside_line",
        "inside_ratio",
        "limits",
        "ratio_is_due",
        "slow_cap",
        "stage_begins",
        "stage_s",
        "suspect_n",
        "suspect_x",
        "total_s",
        "wanted",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.wanted = 1 / limits.alpha
        nats = log(self.wanted)
        self.fast_cap, self.slow_cap = nats + 3, nats + 8
        self.dispersion = Dispersion()
        self.harm: Harm | None = None
        self.inside_line = None if limits.share is None else InsideLine(limits.share)
        self.inside_ratio = None if limits.ratio is None else InsideRatio(limits.ratio)
        self.total_s = self.bad_s = self.suspect_n = self.suspect_x = self.stage_s = 0.0
        self.control = self.stage_begins = True
        self.ratio_is_due = False

    def enter_stage(self, weight: float) -> None:
        """A stage at `weight` percent of canary begins."""
        self.control = weight < 100
        self.ratio_is_due = self.control and weight >= CONTROL_WEIGHT
        self.stage_begins = True
        self.stage_s = 0.0
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

    def scrape(
        self, seconds: float, n_s: float, x_s: float, n_c: float, x_c: float, high: float, *, judged: bool = True
    ) -> None:
        """Take in one scrape: totals and bad events of both sides; `high` is canary's bad count as health sees it.

        With `judged` False the scrape can prove harm and no health. phi is what was known before the scrape.
        """
        if n_c:
            harm = self.harm or self._begin()
            if self.control:
                if n_s:
                    self._compare(harm, seconds, n_s, x_s, n_c, x_c, high, judged)
            else:
                self._alone(harm, seconds, n_c, x_c, high, judged)
            if judged:
                self.stage_s += seconds
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
        return self.evidence < SUSPICION and self.line_progress() >= 1 and self.ratio_progress() >= 1

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

    def _begin(self) -> Harm:
        """Choose the bets when canary's first request comes: around the ratio at which a line would be reached."""
        share, ratio = self.limits.share, self.limits.ratio
        if ratio is None and share is not None:
            ratio = share / max(share / 20, min(0.7 * share, self.usual))
        self.harm = Harm(ratio or 2.0, share)
        return self.harm

    def _compare(
        self, harm: Harm, seconds: float, n_s: float, x_s: float, n_c: float, x_c: float, high: float, judged: bool
    ) -> None:
        """Two or more scrapes and 10 s of evidence for a verdict (Huber's censored likelihood ratio); 90 s while stable is
        itself past twice the line, for in an incident pods suffer unequally.
        """
        line, dispersion = self.limits.share, self.dispersion
        stake = harm.stakes.put(seconds, stage_begins=self.stage_begins)
        self.stage_begins = False
        sick = False
        if line is not None and x_s >= 3:
            allowed = n_s * line
            sick = x_s >= 2 * allowed + 3 * sqrt(allowed)
        cap = self.slow_cap * min(0.25, seconds / 90) if sick else self.fast_cap * min(0.5, seconds / 10)
        harm.compare(n_c, x_c, n_s, x_s, stake, dispersion.phi, cap)
        if not judged:
            return
        if self.inside_ratio is not None:
            self.inside_ratio.look(n_c, high, n_s, x_s, dispersion.phi_health)
        if self.inside_line is not None and not sick:
            self.inside_line.look(n_c, high, self.usual, seconds, dispersion.phi_health)

    def _alone(self, harm: Harm, seconds: float, n_c: float, x_c: float, high: float, judged: bool) -> None:
        if self.inside_line is None:
            return
        stake = harm.stakes.put(seconds, stage_begins=self.stage_begins)
        self.stage_begins = False
        harm.against_line(n_c, x_c, stake, self.dispersion.phi, self.slow_cap * min(0.25, seconds / 90))
        if judged:
            self.inside_line.look(n_c, high, self.usual, seconds, self.dispersion.phi_health)

    def _suspect(self, n_c: float, x_c: float) -> None:
        """Canary's counts since the evidence rose above 1: what it shows since something seems wrong."""
        if self.evidence > 1:
            self.suspect_n += n_c
            self.suspect_x += x_c
        else:
            self.suspect_n = self.suspect_x = 0.0
