"""Is the canary there at all? A canary that answers nothing has no bad events either: silence must not look healthy."""

from __future__ import annotations

from collections.abc import Sequence

from engine.judge import words
from engine.judge.metric import Outcome, Sample, Verdict

NAME = "liveness"
SILENT_REQUESTS = 50  # requests the canary should have had, at its observed share, and did not
GONE_SCRAPES = 3  # scrapes in a row without any of its counters


class Liveness:
    """Counts what the canary should have had since it last showed a request.

    requests: the canary's in this stage; judged: those that count as proof.
    expected: requests due to it since its last one, while it could be read (one scrape that fails is no silence).
    gone: scrapes in a row in which nothing of the canary could be read although stable had data.
    weight: the one of the look before. The first look at a new weight shows mostly what was before it: nothing is due.
    """

    KEPT = ("expected", "gone", "judged", "requests", "weight")
    __slots__ = KEPT

    def __init__(self) -> None:
        self.requests = self.judged = self.expected = self.weight = 0.0
        self.gone = 0

    def enter_stage(self) -> None:
        """Another weight: what was due before is not due now; a canary that is gone stays gone."""
        self.requests = self.judged = self.expected = 0.0

    def look(self, samples: Sequence[Sample], weight: float, *, judged: bool) -> Verdict:
        """One scrape at the observed `weight` in percent: `fail` when the canary is silent or gone."""
        stable = max((s.stable.total for s in samples if s.stable), default=0.0)
        canary = max((s.canary.total for s in samples if s.canary), default=0.0)
        readable = any(s.canary is not None for s in samples)
        self.requests += canary
        self.judged += canary if judged else 0.0
        settled, self.weight = self.weight == weight, weight
        if weight <= 0:
            self.expected, self.gone = 0.0, 0
            return Verdict(NAME, Outcome.NO_DATA, "the canary has no weight: nothing to see of it yet")
        if canary > 0:
            self.expected = 0.0
        elif weight < 100 and readable and settled:
            self.expected += stable * weight / (100 - weight)
        if readable:
            self.gone = 0
        elif stable > 0:
            self.gone += 1
        return self._verdict()

    def _verdict(self) -> Verdict:
        if self.expected >= SILENT_REQUESTS:
            due = words.count(self.expected)
            return Verdict(NAME, Outcome.FAIL, f"silent canary: it should have had {due} requests and shows none")
        if self.gone >= GONE_SCRAPES:
            gone = f"the canary is gone: none of its metrics for {self.gone} scrapes while stable has data"
            return Verdict(NAME, Outcome.FAIL, gone)
        if self.expected or self.gone or not self.requests:
            due = words.count(self.expected)
            return Verdict(NAME, Outcome.NO_DATA, f"no canary request seen yet, about {due} should have come")
        seen = words.count(self.requests)
        return Verdict(NAME, Outcome.PASS, f"the canary answers: {seen} requests in this stage", needed=1.0)
