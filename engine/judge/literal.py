"""The literal rule of a table of lines, for who asks for it: a value past its line for N looks is a failure.

It is what most tools do, and it is peeking: it rolls back most healthy releases that it watches for an hour.
"""

from __future__ import annotations

from typing import Any

from engine.judge.history import History
from engine.judge.kept import keep, restore
from engine.judge.lines import lines_of, past_line, unusable
from engine.judge.metric import Counts, Metric, Outcome, Sample, Verdict, show
from engine.judge.stage import is_past
from engine.judge.tally import Tally


class LiteralJudge:
    """Judges one metric of any kind by its value in each scrape, after the stage's least requests."""

    KEPT = ("history", "last", "problem", "past", "stable_past", "tally", "unread_s")
    __slots__ = (*KEPT, "looks", "metric")
    evidence = 1.0

    def __init__(self, metric: Metric, looks: int) -> None:
        self.metric, self.looks = metric, looks
        self.history = History(metric)
        self.last: list[float | None] = [None, None]
        self.problem = ""
        self.unread_s = 0.0
        self.enter_stage(0)

    def enter_stage(self, weight: float) -> None:  # noqa: ARG002  values are compared alike at any weight
        """A stage begins; looks are counted anew."""
        self.tally = Tally()
        self.past = 0
        self.stable_past = False

    def look_back(self, sample: Sample) -> None:
        """One scrape of stable's past."""
        self.history.look(sample)

    def look(self, sample: Sample, *, judged: bool) -> None:
        """One scrape. A look without events says nothing either way."""
        gauge = self.metric.kind == "gauge"
        sides = [side for side in (sample.canary, sample.stable) if side is not None]
        wrong = next((why for why in (unusable(side, gauge=gauge) for side in sides) if why), "")
        self.problem = sample.problem or wrong
        canary, stable = sample.canary, sample.stable or Counts()
        missing = canary is None or (canary.value is None if gauge else not canary.total)
        self.unread_s = self.unread_s + sample.seconds if missing else 0.0
        self.last = [canary.value if canary else None, stable.value]
        if self.problem or missing or canary is None or not judged:
            return
        self.tally.add(canary, sample.stable, sample.seconds)
        self.stable_past = self._is_past(stable, Counts())
        self.past = self.past + 1 if self._is_past(canary, stable) else 0

    def verdict(self, requests: float, least: float, *, proven_together: bool) -> Verdict:  # noqa: ARG002  no evidence
        """What the latest looks mean."""
        outcome, reason = self._decide(requests, least)
        return Verdict(
            self.metric.name,
            outcome,
            reason,
            alert=self.past > 0,
            canary=self.tally.canary(self.last[0]),
            stable=self.tally.stable(self.last[1]),
            needed=min(1.0, requests / least) if least else 1.0,
        )

    def state(self) -> dict[str, Any]:
        """JSON-serialisable; `restore` goes on from it."""
        return keep(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        restore(self, state)

    def _is_past(self, side: Counts, other: Counts) -> bool:
        if self.metric.kind == "gauge":
            return side.value is not None and past_line(self.metric, side.value, other.value)
        return is_past(lines_of(self.metric), side.total, side.bad, other.total, other.bad)

    def _decide(self, requests: float, least: float) -> tuple[Outcome, str]:
        seen = f"{self.metric.name} {show(self.last[0], self.metric.kind)}"
        if self.problem:
            return Outcome.ERROR, f"{self.metric.name} can't be judged: {self.problem}"
        if self.unread_s:
            return Outcome.NO_DATA, f"no data of {self.metric.name} on canary for {self.unread_s:.0f} s"
        if requests < least:
            return Outcome.INCONCLUSIVE, f"hold: {requests:,.0f} of {least:,.0f} requests; {seen}"
        if self.past and self.stable_past:
            return Outcome.INCONCLUSIVE, f"{seen}, stable past its line too: incident on both versions"
        if self.past >= self.looks:
            return Outcome.FAIL, f"{seen}: past its line for {self.past} looks"
        if self.past:
            return Outcome.INCONCLUSIVE, f"hold: {seen}, past its line for {self.past} of {self.looks} looks"
        if not self.tally.seconds:
            return Outcome.NO_DATA, f"no judged look at {self.metric.name} in this stage yet"
        return Outcome.PASS, f"{seen}: inside its lines"
