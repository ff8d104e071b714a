"""Many releases of a plan replayed over what is recorded of stable: healthy ones, and ones with a fault put in.

Each replay begins at another place, as far as there is room, and splits the traffic anew. Replays share the records
they are made of: they show what chance does to this history, not what another one would have been.

A stage is replayed for the judged part of its bake; the warmup before it is added to the times that are told.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil

from engine.judge import Metric, Rules
from engine.judge.backtest import Backtest, Fault, StagePlan, backtest
from engine.judge.binomial import upper_tail
from engine.judge.lines import lines_of
from engine.past.recorded import Recorded, RecordsError, seconds_of, usual_shares
from engine.plan.model import Plan
from engine.plan.units import show_duration

FACTORS = (2.0, 5.0, 20.0)
LEARNING = 0.25  # the most of the records that is past only
PATIENCE = 2.0  # a release that is neither over nor rolled back after so many times its stages is held
FEWEST_BAD = 5.0  # bad events in a past from which a multiple of them can be made
HEALTHY_SHARE = 0.5  # of the time, for the replays without a fault
REPLAYS_PER_FAULT = 20
UNSURE = 0.05
GOLDEN = (5**0.5 - 1) / 2  # its multiples, whole parts left out, are spread evenly wherever one stops (Weyl 1910)
HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Course:
    """What is replayed: the judge's rules, the judged part of each stage, the first stage's warmup in seconds, and how
    many seconds of stable's past the judge reads before.
    """

    rules: Rules
    stages: tuple[StagePlan, ...]
    warmup_s: float
    past_s: float

    @property
    def least_s(self) -> float:
        """How long a healthy release takes at least, without its warmups."""
        return sum(stage.bake_s for stage in self.stages)


@dataclass(slots=True)
class Injected:
    """A fault, canary's share of bad events under it, whether that is just its absolute line, and what became of the
    releases that had it.
    """

    fault: Fault
    share: float
    at_line: bool
    found: Backtest


@dataclass(slots=True)
class Results:
    """Replays of healthy releases and of each fault; `remarks` say what could not be tried."""

    healthy: Backtest
    faults: list[Injected]
    remarks: list[str] = field(default_factory=list)


def course_of(plan: Plan, metrics: Sequence[Metric], interval_s: float) -> Course:
    """How `plan` would judge these of its metrics."""
    rules = Rules(
        tuple(metrics),
        interval_s,
        max_bad_requests=plan.max_bad_requests,
        judge=plan.judge,
        looks=plan.looks,
    )
    least = plan.until == "both"
    stages = plan.stage_rules()
    planned = [StagePlan(stage.weight, stage.bake_s, stage.min_requests if least else 0) for stage in stages]
    return Course(rules, tuple(planned), stages[0].warmup_s, plan.history)


class Replays:
    """Replays of one course over one record. Raises RecordsError when too little is recorded."""

    def __init__(self, course: Course, recorded: Recorded) -> None:
        self.course = course
        self.past_s = min(course.past_s, LEARNING * recorded.seconds)
        self._recorded = recorded
        self._ends = list(accumulate(map(seconds_of, recorded.scrapes)))
        self._check(recorded.seconds)
        self.usual = usual_shares(recorded)

    def run(self, releases: int, time_left: Callable[[], float], told: Callable[[str], None]) -> Results:
        """Up to `releases` healthy ones and a tenth as many of each fault (20 at most), fewer when `time_left` (a share
        of the time, 1.0 at the start) falls to 0. At least one is healthy; `told` hears how far it is.
        """
        results = Results(Backtest(None), *self._faults())
        for number in range(releases):
            if number and time_left() < 1 - HEALTHY_SHARE:
                break
            self._replay(results.healthy, number)
            told(f"{results.healthy.releases} of {releases} healthy releases")
        rounds = max(1, min(REPLAYS_PER_FAULT, releases // 10))
        for number in range(rounds):
            for one in results.faults:
                if time_left() <= 0:
                    return results
                self._replay(one.found, number)
            told(f"{number + 1} of {rounds} releases of each fault")
        return results

    def _check(self, seconds: float) -> None:
        needed = self.course.least_s / (1 - LEARNING)
        if seconds - self.past_s < self.course.least_s or not self._ends:
            there, wanted = (show_duration(round(one)) for one in (seconds, needed))
            raise RecordsError(
                f"{there} of stable are recorded, and replaying this plan takes {wanted} or more: its bakes, and a past"
                " to learn from"
            )

    def _replay(self, found: Backtest, number: int) -> None:
        """One more release. However few there is time for, their places are spread over all of the records."""
        course = self.course
        long = PATIENCE * course.least_s
        room = max(0.0, self._ends[-1] - self.past_s - long)
        first = self._index(room * (number * GOLDEN % 1))
        begins = self._index(self._begun(first) + self.past_s)
        ends = self._index(self._begun(begins) + long) + 1
        chance = random.Random(number)  # noqa: S311  it splits traffic and guards nothing
        scrapes = self._recorded.scrapes[first:ends]
        one = backtest(course.rules, course.stages, scrapes, past=begins - first, chances=[chance], fault=found.fault)
        add(found, one)

    def _begun(self, index: int) -> float:
        return self._ends[index - 1] if index else 0.0

    def _index(self, seconds: float) -> int:
        """The first scrape that begins at `seconds` or later."""
        return min(len(self._ends) - 1, bisect_left(self._ends, seconds - 1e-9) + (seconds > 0))

    def _faults(self) -> tuple[list[Injected], list[str]]:
        chosen: list[Injected] = []
        remarks: list[str] = []
        for metric in self.course.rules.metrics:
            if metric.kind == "gauge":
                continue
            problem = self._why_not(metric)
            if problem:
                remarks.append(problem)
            else:
                chosen += injections(metric, self.usual[metric.name])
        return chosen, remarks

    def _why_not(self, metric: Metric) -> str:
        _, bad = self._recorded.counts(metric.name)
        if bad * self.past_s / self._ends[-1] >= FEWEST_BAD:
            return ""
        return f"no fault of {metric.name} is tried: the past before a replay has too few bad events to multiply"


def injections(metric: Metric, usual: float) -> list[Injected]:
    """The faults to try: twice, 5 and 20 times the usual share, and the absolute line where there is one above it."""
    line = lines_of(metric).share
    at_line = line / usual if line is not None and line > usual else None
    return [
        Injected(fault, times * usual, times == at_line, Backtest(fault))
        for times in sorted({*FACTORS, at_line or FACTORS[0]})
        if times * usual < 1
        for fault in [Fault(metric.name, times)]
    ]


def add(found: Backtest, one: Backtest) -> None:
    """Add what other replays of the same fault found."""
    found.releases += one.releases
    found.passed += one.passed
    found.undecided += one.undecided
    found.seconds += one.seconds
    found.first_stage_s += one.first_stage_s
    for total, more in ((found.failed, one.failed), (found.rang, one.rang)):
        for name, number in more.items():
            total[name] = total.get(name, 0) + number


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of all do not exceed; None without values."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)] if values else None


def at_most(number: int, of: int) -> float:
    """The largest share that would show so few in so many with a chance of 5% (Clopper, Pearson 1934)."""
    low, high = number / of, 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        so_few = upper_tail(of - number, of, 1 - share)  # so few are hit: so many or more of the others are not
        low, high = (share, high) if so_few > UNSURE else (low, share)
    return high
