"""A metric of events (errors, failed purchases, slow requests): from the sequential test to verdict and reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from engine.judge import words
from engine.judge.alert import SUSPECTED_FROM
from engine.judge.history import History
from engine.judge.interval import RatioInterval, rate_interval
from engine.judge.kept import keep, restore
from engine.judge.lines import Lines, lines_of, unusable
from engine.judge.metric import Counts, Metric, Outcome, Sample, Verdict
from engine.judge.reach import smallest_ratio_shown
from engine.judge.sequential import SUSPICION, Limits, SequentialTest
from engine.judge.stage import QUIET_LOOKS, StageView
from engine.judge.tally import Tally

LEAST_RATIO = 1.15  # a success line so close to stable's own success would bet on noise


@dataclass(frozen=True, slots=True)
class Asked:
    """What a release asks of every metric: its chances of error, canary requests in a stage, and excess bad events."""

    alpha: float
    beta: float
    max_bad: float | None = None


class ProportionJudge:
    """Judges one metric of events over a release. `look` takes a scrape in, `verdict` says what it means."""

    __slots__ = (
        "asked",
        "excess",
        "history",
        "interval",
        "lines",
        "metric",
        "problem",
        "proven",
        "test",
        "unread",
        "view",
    )
    KEPT = ("excess", "history", "problem", "proven", "unread", "view")

    def __init__(self, metric: Metric, asked: Asked) -> None:
        self.metric, self.asked = metric, asked
        self.lines = lines_of(metric)
        self.history = History(metric)
        self.view = StageView()
        self.interval = RatioInterval()
        self.test = SequentialTest(_limits(metric, self.lines, asked), self.interval)
        self.excess = 0.0
        self.proven = self.problem = self.unread = ""

    @property
    def evidence(self) -> float:
        """Wealth of the bets on harm."""
        return self.test.evidence

    def enter_stage(self, weight: float) -> None:
        """A stage begins. Who went on in spite of a proof has answered it: harm must then be proven anew."""
        if self.proven:
            self.test.forgive()
            self.proven = ""
        self.test.enter_stage(weight)
        self.view.enter_stage()

    def look_back(self, sample: Sample) -> None:
        """One scrape of stable's past."""
        self.problem = sample.problem or _unusable(sample)
        if self.problem or sample.stable is None:
            return
        self.history.look(sample)
        self.test.scrape(sample.seconds, (sample.stable.total, sample.stable.bad), (0.0, 0.0, 0.0))

    def look(self, sample: Sample, *, judged: bool) -> None:
        """One scrape."""
        self.problem = sample.problem or _unusable(sample)
        self.unread = ""
        if self.problem:
            return
        if not judged and self.metric.kind == "latency" and sample.canary:
            # A cold start is slow, which is no fault: of a warmup only the value is shown.
            sample = replace(sample, canary=Counts(value=sample.canary.value))
        if sample.canary is None or (sample.stable is None and self.test.control):
            self.unread = _missing(sample)
        self.view.look(sample, unread=bool(self.unread))
        scrape = Tally()
        scrape.add(sample.canary, sample.stable, sample.seconds)
        self._take(scrape, judged=judged)

    def _take(self, scrape: Tally, *, judged: bool) -> None:
        canary, stable = (scrape.n_c, scrape.x_c), (scrape.n_s, scrape.x_s)
        usual = scrape.stable_share if scrape.n_s else self.test.usual
        self.excess += scrape.x_c - usual * scrape.n_c
        self.test.scrape(scrape.seconds, stable, (*canary, scrape.high), judged=judged)
        if not self.unread:
            suspected = self.evidence >= SUSPECTED_FROM
            self.view.ring(self.lines, self._expected(), self.test.dispersion.phi, suspected=suspected)

    def _expected(self) -> float:
        """Stable's own rate in this stage; what it had before, or the plan says, while it has had no bad event."""
        tally = self.view.tally
        return tally.stable_share if tally.x_s else self.test.usual or self.test.limits.usual

    def verdict(self, requests: float, least: float, *, proven_together: bool) -> Verdict:
        """What all scrapes so far mean; `requests` of any kind the canary had in this stage, of `least` it needs."""
        if not self.proven and self._harm_is_proven(proven_together=proven_together):
            self.proven = self._blame()
        outcome, reason, progress = self._decide(requests, least)
        return Verdict(
            self.metric.name,
            outcome,
            reason,
            alert=self.view.alert.ringing or outcome is Outcome.FAIL,
            canary=self.view.tally.canary(self.view.canary_value),
            stable=self.view.tally.stable(self.view.stable_value),
            needed=progress,
            numbers=self._numbers(),
        )

    def state(self) -> dict[str, Any]:
        """JSON-serialisable; `restore` goes on from it."""
        return keep(self) | {"test": self.test.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        rest = dict(state)
        self.test.restore(rest.pop("test"))
        restore(self, rest)

    def _harm_is_proven(self, *, proven_together: bool) -> bool:
        """Worse than stable beyond doubt and, where the plan has no relative line, also past the absolute one."""
        if not self.metric.thresholds or not (proven_together or self.evidence >= self.test.wanted):
            return False
        if self.lines.ratio is not None or self.lines.kept is not None:
            return True
        line = self.lines.share
        return line is not None and self.test.suspect_x > line * self.test.suspect_n

    def _decide(self, requests: float, least: float) -> tuple[Outcome, str, float]:
        budget = self.asked.max_bad
        if self.proven:
            return Outcome.FAIL, self.proven, 0.0
        if budget is not None and self.metric.kind in ("bad", "good") and self.excess >= budget:
            more = f"{words.count(self.excess)} bad events more than stable would have had"
            return Outcome.FAIL, f"{self.metric.name}: {more}, {words.count(budget)} are allowed: budget spent", 0.0
        if self.problem:
            return Outcome.ERROR, f"{self.metric.name} can't be judged: {self.problem}", 0.0
        if self.metric.thresholds and self.lines == Lines():
            return Outcome.ERROR, f"{self.metric.name} can't be judged: no baseline to put its relative line at", 0.0
        if self.unread:
            blind = f"no data of {self.metric.name} on {self.unread} for {self.view.unread_s:.0f} s"
            return Outcome.NO_DATA, blind, 0.0
        if self.test.control and self.view.incident_on_both(self.lines):
            return Outcome.INCONCLUSIVE, self._incident(), 0.0
        if not self.test.stage_n or self.view.quiet >= QUIET_LOOKS:
            return Outcome.NO_DATA, self._nothing(), 0.0
        return self._health(requests, least)

    def _health(self, requests: float, least: float) -> tuple[Outcome, str, float]:
        seen = words.observed(self.metric, self.view.tally.canary())
        if not self.metric.thresholds:
            return Outcome.PASS, f"{seen}: it has no line", 1.0
        holds = self._holds(requests, least)
        progress = min((share for share, _ in holds), default=1.0)
        if self.view.alert.ringing:
            ringing = f"{seen}, past its line and hardly chance, not yet proven: prepare to roll back"
            return Outcome.INCONCLUSIVE, ringing, progress
        if self.evidence >= SUSPICION:
            doubt = f"hold: suspicion, evidence {self.evidence:.0f} where {self.test.wanted:.0f} proves harm; {seen}"
            return Outcome.INCONCLUSIVE, doubt, progress
        if holds:
            return Outcome.INCONCLUSIVE, f"hold: {min(holds)[1]}; {seen}", progress
        if self.lines.share is None and not self.test.control:
            return Outcome.PASS, f"{seen}: no line of it counts without a control", 1.0
        return Outcome.PASS, f"{seen}: proven inside its lines", 1.0

    def _holds(self, requests: float, least: float) -> list[tuple[float, str]]:
        """What is not shown yet: how far it is (0..1) and how to say so, with the time it takes at this rate."""
        test, holds = self.test, []
        if requests < least:
            done = requests / least
            asked = f"{words.count(requests)} of {words.count(least)} requests"
            holds.append((done, asked + _about(done, test.stage_s)))
        if self.lines.share is not None and test.line_progress() < 1:
            done = test.line_progress()
            line = words.absolute_line(self.metric, self.lines.share)
            holds.append((done, f"{done:.0%} of the proof against {line}" + _about(done, test.stage_s)))
        if test.ratio_progress() < 1:
            done = test.ratio_progress()
            line = words.relative_line(self.metric)
            holds.append((done, f"{done:.0%} of the proof against {line}" + _about(done, test.release_s)))
        return holds

    def _blame(self) -> str:
        """The sentence of a failure: what canary showed since something seemed wrong, the line, stable beside it."""
        since = Counts(self.test.suspect_n, self.test.suspect_x)
        seen = since if since.total else self.view.tally.canary()
        share, line = seen.bad / seen.total if seen.total else 0.0, self.lines.share
        usual = self._expected()
        stable = words.percent(1 - usual if self.metric.kind == "good" else usual)
        relative = words.relative_line(self.metric)
        if relative and not (line is not None and share > line):
            times = f", {share / usual:.2g}x" if usual and self.metric.kind == "bad" else ", against"
            return f"{words.observed(self.metric, seen)}{times} stable's {stable}; {relative}: proven worse"
        against = words.absolute_line(self.metric, line or 0.0)
        beside = f", stable {stable}" if self.test.control else ""
        return f"{words.observed(self.metric, seen)} against {against}{beside}: proven"

    def _incident(self) -> str:
        tally = self.view.tally
        beside = words.observed(self.metric, tally.stable()).removeprefix(self.metric.name + " ")
        return f"{words.observed(self.metric, tally.canary())}, stable {beside}: incident on both versions"

    def _nothing(self) -> str:
        if self.view.quiet:
            return f"nothing to count for {self.metric.name} on either side for {self.view.unread_s:.0f} s"
        return f"nothing judged of {self.metric.name} on canary in this stage yet"

    def _numbers(self) -> dict[str, float]:
        """Evidence and what is needed, intervals that hold at every look, and what this traffic can show."""
        tally, test = self.view.tally, self.test
        phi = test.dispersion.phi
        low, high = rate_interval(tally.n_c, tally.x_c, phi)
        ratio_low, ratio_high = self.interval.read()
        shown = smallest_ratio_shown(self._expected(), tally.n_c, tally.n_s, 1 / test.wanted, phi)
        numbers = {
            "evidence": test.evidence,
            "evidence_needed": test.wanted,
            "line_progress": min(1.0, test.line_progress()),
            "ratio_progress": min(1.0, test.ratio_progress()),
            "canary_share": tally.canary_share,
            "canary_share_low": low,
            "canary_share_high": high,
            "stable_share": tally.stable_share,
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "phi": phi,
            "smallest_ratio_shown": shown,
            "excess_bad": self.excess,
        }
        return {name: number for name, number in numbers.items() if isfinite(number)}


def _about(done: float, elapsed: float) -> str:
    """The time until it is done when it goes on as so far; nothing is said on less than 5%."""
    if done < 0.05 or elapsed <= 0:
        return ""
    return f", about {words.duration(elapsed * (1 - done) / done)} at this rate"


def _missing(sample: Sample) -> str:
    if sample.canary is None and sample.stable is None:
        return "either side"
    return "canary" if sample.canary is None else "stable"


def _unusable(sample: Sample) -> str:
    sides = (side for side in (sample.canary, sample.stable) if side is not None)
    return next((why for why in (unusable(side, gauge=False) for side in sides) if why), "")


def _limits(metric: Metric, lines: Lines, asked: Asked) -> Limits:
    usual = _usual_share(metric, lines)
    ratio = lines.ratio
    if lines.kept is not None:
        against = lines.against_stable(max(usual, (1 - lines.kept) / 20)) or 0.0
        ratio = against / max(usual, (1 - lines.kept) / 20)
    return Limits(lines.share, ratio and max(LEAST_RATIO, min(ratio, 1000.0)), asked.alpha, asked.beta, usual)


def _usual_share(metric: Metric, lines: Lines) -> float:
    """The share of bad events to expect: the plan's baseline for a rate; half the line where it states none."""
    if metric.baseline is not None and metric.kind != "latency":
        return 1 - metric.baseline if metric.kind == "good" else metric.baseline
    return (lines.share if lines.share is not None else 0.01) / 2
