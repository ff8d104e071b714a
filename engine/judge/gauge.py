"""A gauge: readings that stay past their line are a failure; a spike is not."""

from __future__ import annotations

from typing import Any

from engine.judge.alert import CLEARS_AFTER
from engine.judge.history import History
from engine.judge.kept import keep, restore
from engine.judge.lines import past_line, unusable
from engine.judge.metric import Counts, Metric, Outcome, Sample, Verdict, show
from engine.judge.readings import CLEAR_READINGS, SUSPICION, ReadingsTest

RINGS_AFTER = 3  # readings in a row past the line: prepare


class GaugeJudge:
    """Judges one gauge over a release. Readings of a warmup are not judged."""

    KEPT = ("history", "last", "problem", "proven", "rang", "ringing", "stable_past", "test", "unread_s")
    __slots__ = (*KEPT, "metric")

    def __init__(self, metric: Metric, alpha: float) -> None:
        self.metric = metric
        self.history = History(metric)
        self.test = ReadingsTest(alpha)
        self.last: list[float | None] = [None, None]
        self.problem = ""
        self.unread_s = 0.0
        self.proven = self.stable_past = self.ringing = self.rang = False

    @property
    def evidence(self) -> float:
        """Wealth of the bets that the gauge stays past its line."""
        return self.test.evidence

    def enter_stage(self, weight: float) -> None:  # noqa: ARG002  a gauge is read at any weight alike
        """A stage begins. Who went on in spite of a proof has answered it: harm must then be proven anew."""
        if self.proven:
            self.test.forgive()
        self.proven = self.ringing = self.rang = False
        self.test.enter_stage()

    def look_back(self, sample: Sample) -> None:
        """One reading of stable's past."""
        self.problem = sample.problem or _unusable(sample)
        if not self.problem:
            self.history.look(sample)

    def look(self, sample: Sample, *, judged: bool) -> None:
        """One reading of each side."""
        self.problem = sample.problem or _unusable(sample)
        if self.problem:
            return
        canary = sample.canary.value if sample.canary else None
        stable = sample.stable.value if sample.stable else None
        self.last = [canary, stable]
        self.unread_s = self.unread_s + sample.seconds if canary is None else 0.0
        if canary is None or not judged:
            return
        self.stable_past = stable is not None and past_line(self.metric, stable, None)
        self.test.read(sample.seconds, past=past_line(self.metric, canary, stable), stable_past=self.stable_past)
        self._ring()

    def verdict(self, requests: float, least: float, *, proven_together: bool) -> Verdict:  # noqa: ARG002  no requests
        """What all readings so far mean."""
        proven = self.evidence >= self.test.wanted or proven_together
        self.proven = self.proven or (proven and self.test.past > 0)
        outcome, reason = self._decide()
        canary, stable = (None if value is None else Counts(total=1, value=value) for value in self.last)
        return Verdict(
            self.metric.name,
            outcome,
            reason,
            alert=self.ringing or outcome is Outcome.FAIL,
            canary=canary or Counts(),
            stable=stable or Counts(),
            needed=min(1.0, self.test.clear / CLEAR_READINGS),
            numbers={"evidence": self.evidence, "evidence_needed": self.test.wanted},
        )

    def state(self) -> dict[str, Any]:
        """JSON-serialisable; `restore` goes on from it."""
        return keep(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        restore(self, state)

    def _ring(self) -> None:
        if self.test.past >= RINGS_AFTER and not self.stable_past and not self.rang:
            self.ringing = self.rang = True
        elif self.test.clear >= CLEARS_AFTER:
            self.ringing = False

    def _decide(self) -> tuple[Outcome, str]:
        test, canary = self.test, self.last[0]
        seen = f"{self.metric.name} {show(canary, 'gauge')} against {self._line()}"
        if self.proven:
            return Outcome.FAIL, f"{seen}: past it for {test.past_s:.0f} s: proven"
        if self.problem:
            return Outcome.ERROR, f"{self.metric.name} can't be judged: {self.problem}"
        if canary is None:
            side = "either side" if self.last[1] is None else "canary"
            return Outcome.NO_DATA, f"no reading of {self.metric.name} on {side} for {self.unread_s:.0f} s"
        if not self.metric.thresholds:
            return Outcome.PASS, f"{self.metric.name} {show(canary, 'gauge')}: it has no line"
        if test.past and self.stable_past:
            return Outcome.INCONCLUSIVE, f"{seen}, stable past it too: incident on both versions"
        if test.past:
            return Outcome.INCONCLUSIVE, f"hold: {seen}, past it for {test.past_s:.0f} s, not yet proven"
        if test.evidence >= SUSPICION:
            return Outcome.INCONCLUSIVE, f"hold: suspicion, evidence {test.evidence:.0f} of {test.wanted:.0f}; {seen}"
        if test.clear < CLEAR_READINGS:
            return Outcome.INCONCLUSIVE, f"hold: {test.clear} of {CLEAR_READINGS} readings inside; {seen}"
        return Outcome.PASS, f"{seen}: inside for {test.clear} readings"

    def _line(self) -> str:
        lines = (f"{line.limit:g}x stable" if line.relative else f"{line.limit:g}" for line in self.metric.thresholds)
        return f"a line of {' and '.join(lines)}" if self.metric.thresholds else "no line"


def _unusable(sample: Sample) -> str:
    sides = (side for side in (sample.canary, sample.stable) if side is not None)
    return next((why for why in (unusable(side, gauge=True) for side in sides) if why), "")
