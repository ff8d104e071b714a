"""A metric of events (errors, failed purchases, slow requests): counts of this stage, never rates of one scrape."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.judge import words
from engine.judge.alert import Alert
from engine.judge.binomial import upper_tail
from engine.judge.lines import lines_of, unusable
from engine.judge.metric import Counts, Metric, Outcome, Sample, Verdict

PROVEN = 0.001  # so many bad events or more are less likely than this at the line: it is breached
QUIET_LOOKS = 3  # scrapes in a row without an event on either side until that is called no data
RECENT_LOOKS = 3  # scrapes in which stable must not be past the line itself, to blame the canary


@dataclass(slots=True)
class Tally:
    """Events of both sides; `low`: canary's bad at a histogram's lower bound, which proof of health needs."""

    n_c: float = 0.0
    x_c: float = 0.0
    low: float = 0.0
    n_s: float = 0.0
    x_s: float = 0.0

    def add(self, canary: Counts, stable: Counts) -> None:
        """Add one scrape's counts."""
        self.n_c += canary.total
        self.x_c += canary.bad
        self.low += max(canary.bad, canary.bad_low)
        self.n_s += stable.total
        self.x_s += stable.bad


@dataclass(slots=True)
class StageData:
    """What was seen in one stage: `proof` counts judged scrapes only, `harm` those of the warmup too."""

    proof: Tally = field(default_factory=Tally)
    harm: Tally = field(default_factory=Tally)
    recent: list[tuple[float, float]] = field(default_factory=list)
    alert: Alert = field(default_factory=Alert)
    quiet: int = 0
    unread_s: float = 0.0
    canary_value: float | None = None
    stable_value: float | None = None


class ProportionJudge:
    """Judges one metric of events, stage by stage."""

    __slots__ = ("control", "data", "lines", "metric", "min_requests")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.lines = lines_of(metric)
        self.min_requests = 0
        self.control = True
        self.data = StageData()

    def enter_stage(self, *, control: bool, min_requests: int) -> None:
        """A new stage starts from nothing, but for how long its data have been missing."""
        self.data = StageData(quiet=self.data.quiet, unread_s=self.data.unread_s)
        self.control, self.min_requests = control, min_requests

    def look(self, sample: Sample, *, judged: bool, requests: float) -> Verdict:
        """One scrape; `requests` is how many of any kind the canary has had in this stage."""
        problem = sample.problem or self._unusable(sample)
        if problem:
            return self._unless_breached(Outcome.ERROR, f"{self.metric.name} can't be judged: {problem}")
        canary, stable = sample.canary, sample.stable
        if canary is None or (stable is None and self.control):
            self.data.unread_s += sample.seconds
            self._tally(canary or Counts(), stable or Counts(), judged=judged)  # each side is sampled once only
            return self._unless_breached(Outcome.NO_DATA, self._unread(canary, stable))
        self._count(canary, stable or Counts(), sample.seconds, judged=judged)
        return self._decide(requests)

    def state(self) -> dict[str, Any]:
        """JSON-serialisable; `restore` reads it."""
        return {"control": self.control, "min_requests": self.min_requests, "data": asdict(self.data)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.control, self.min_requests = state["control"], state["min_requests"]
        data = dict(state["data"])
        data |= {"proof": Tally(**data["proof"]), "harm": Tally(**data["harm"]), "alert": Alert(**data["alert"])}
        data["recent"] = [(total, bad) for total, bad in data["recent"]]
        self.data = StageData(**data)

    def _unusable(self, sample: Sample) -> str:
        sides = (side for side in (sample.canary, sample.stable) if side is not None)
        return next((why for why in (unusable(side, gauge=False) for side in sides) if why), "")

    def _count(self, canary: Counts, stable: Counts, seconds: float, *, judged: bool) -> None:
        data = self.data
        quiet = not canary.total and not stable.total
        data.quiet = data.quiet + 1 if quiet else 0
        data.unread_s = data.unread_s + seconds if quiet else 0.0
        data.recent = [*data.recent, (stable.total, stable.bad)][-RECENT_LOOKS:]
        data.canary_value, data.stable_value = canary.value, stable.value
        self._tally(canary, stable, judged=judged)
        if judged or self.metric.kind != "latency":
            data.alert.look(past=self._past() is not None, chance=self._chance())

    def _tally(self, canary: Counts, stable: Counts, *, judged: bool) -> None:
        if judged:
            self.data.proof.add(canary, stable)
        if judged or self.metric.kind != "latency":  # a cold start is slow; it has no more errors than any other start
            self.data.harm.add(canary, stable)

    def _past(self) -> float | None:
        """The line (a share of bad events) that canary's observed share in this stage is past; None when inside."""
        seen = self.data.harm
        if not seen.n_c:
            return None
        against = self.lines.against_stable(seen.x_s / seen.n_s) if self.control and seen.n_s else None
        crossed = [line for line in (self.lines.share, against) if line is not None and seen.x_c > line * seen.n_c]
        return max(crossed, default=None)

    def _chance(self) -> float:
        """Likelihood of so many bad events at stable's own rate, or at the plan's baseline when stable shows none."""
        seen = self.data.harm
        usual = seen.x_s / seen.n_s if seen.x_s else self._baseline_share()
        return upper_tail(seen.x_c, seen.n_c, usual)

    def _baseline_share(self) -> float:
        """The share of bad events to expect: the plan's for a rate; half the line where it states none."""
        stated = self.metric.baseline
        if stated is not None and self.metric.kind != "latency":
            return 1 - stated if self.metric.kind == "good" else stated
        return (self.lines.share or 0.01) / 2

    def _breach(self) -> str:
        """The sentence about the line that is breached, empty when none is."""
        seen, lines = self.data.harm, self.lines
        if lines.share is not None and upper_tail(seen.x_c, seen.n_c, lines.share) < PROVEN:
            return f"{self._seen()} against {words.absolute_line(self.metric, lines.share)}: proven"
        if self._relative_tail() < PROVEN:
            stable = Counts(seen.n_s, seen.x_s)
            return f"{self._seen()} against {words.relative_line(self.metric, stable)}: proven"
        return ""

    def _relative_tail(self) -> float:
        """Likelihood of canary's share of all bad events at the relative line (conditional on their sum, so that what
        hits both versions cancels): Binomial(x_c + x_s, R n_c / (R n_c + n_s)).
        """
        seen = self.data.harm
        if not self.control or not seen.n_s or not seen.n_c:
            return 1.0
        if self.lines.ratio is not None:
            weighted = self.lines.ratio * seen.n_c
            return upper_tail(seen.x_c, seen.x_c + seen.x_s, weighted / (weighted + seen.n_s))
        line = self.lines.against_stable(seen.x_s / seen.n_s)
        return 1.0 if line is None else upper_tail(seen.x_c, seen.n_c, line)

    def _stable_is_past(self) -> bool:
        """Is stable past the absolute line, over this stage or just now? Then a breach is not the canary's own."""
        line, seen = self.lines.share, self.data.harm
        total, bad = (sum(side) for side in zip(*self.data.recent, strict=True)) if self.data.recent else (0.0, 0.0)
        return line is not None and self.control and (bad > line * total or seen.x_s > line * seen.n_s)

    def _unless_breached(self, outcome: Outcome, reason: str) -> Verdict:
        """A breach already proven in this stage stays one when the source falls silent."""
        breach = self._breach()
        if breach and not self._stable_is_past():
            return self._verdict(Outcome.FAIL, breach)
        return self._verdict(outcome, reason)

    def _decide(self, requests: float) -> Verdict:
        breach = self._breach()
        if breach and self._stable_is_past():
            seen = self.data.harm
            other = words.observed(self.metric, Counts(seen.n_s, seen.x_s)).removeprefix(self.metric.name + " ")
            return self._verdict(Outcome.INCONCLUSIVE, f"{self._seen()}, stable {other}: incident on both versions")
        if breach:
            return self._verdict(Outcome.FAIL, breach)
        if not self.data.proof.n_c or self.data.quiet >= QUIET_LOOKS:
            return self._verdict(Outcome.NO_DATA, self._nothing())
        return self._health(requests)

    def _health(self, requests: float) -> Verdict:
        if requests < self.min_requests:
            asked = f"{words.count(requests)} of {words.count(self.min_requests)} requests"
            return self._verdict(Outcome.INCONCLUSIVE, f"{asked}; {self._seen()}", requests / self.min_requests)
        proof = self.data.proof
        outside = self.lines.share is not None and proof.low > self.lines.share * proof.n_c
        if self._past() is not None or outside:
            return self._verdict(Outcome.INCONCLUSIVE, f"{self._seen()}: past its line, not yet proven", 1.0)
        return self._verdict(Outcome.PASS, f"{self._seen()}: inside its lines", 1.0)

    def _unread(self, canary: Counts | None, stable: Counts | None) -> str:
        side = "either side" if canary is None and stable is None else "canary" if canary is None else "stable"
        return f"no data of {self.metric.name} on {side} for {self.data.unread_s:.0f} s"

    def _nothing(self) -> str:
        if self.data.quiet:
            return f"nothing to count for {self.metric.name} on either side for {self.data.unread_s:.0f} s"
        return f"nothing to count for {self.metric.name} on canary in this stage yet"

    def _seen(self) -> str:
        return words.observed(self.metric, Counts(self.data.harm.n_c, self.data.harm.x_c))

    def _verdict(self, outcome: Outcome, reason: str, needed: float = 0.0) -> Verdict:
        data, seen = self.data, self.data.harm
        return Verdict(
            self.metric.name,
            outcome,
            reason,
            alert=data.alert.ringing or outcome is Outcome.FAIL,
            canary=Counts(seen.n_c, seen.x_c, data.proof.low, data.canary_value),
            stable=Counts(seen.n_s, seen.x_s, seen.x_s, data.stable_value),
            needed=needed,
        )
