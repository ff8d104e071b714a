"""Would this judge have fired on past data in which nothing was released, and what would it have caught?

Stable's recorded scrapes are split at random as the stages would have split them: the "canary" is then as good as
stable by construction. With a fault injected into that part: what is found, and when. Events are split one by one, so
bursts that hit a single instance are shared more evenly here than they would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import log, sqrt
from typing import Any, Protocol

from engine.judge.judge import Judge, Rules
from engine.judge.metric import Counts, Metric, Outcome, Sample

Scrape = Sequence[Sample]


class Chance(Protocol):
    """Where chance comes from: a seeded `random.Random`, say. The judge has none of its own."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def gauss(self, mu: float, sigma: float) -> float:
        """Normal."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage to replay: weight in percent, least bake in seconds, least canary requests."""

    weight: float
    bake_s: float
    least: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Bad events of one metric `times` as likely on canary, from the start on."""

    metric: str
    times: float


@dataclass(slots=True)
class Backtest:
    """Over `releases` replays: by which metric they were rolled back, rang the bell, and after how many seconds.

    `passed` counts releases that got through all stages; the rest ran out of recorded data (`undecided`).
    """

    fault: Fault | None
    releases: int = 0
    passed: int = 0
    undecided: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    rang: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    first_stage_s: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All fields, as JSON values."""
        return asdict(self)


def backtest(
    rules: Rules,
    stages: Sequence[StagePlan],
    recorded: Sequence[Scrape],
    *,
    past: int,
    chances: Sequence[Chance],
    fault: Fault | None = None,
) -> Backtest:
    """Replay a release per source of chance, each from another place of `recorded`, with `past` scrapes as its history.

    Raises ValueError when there is less recorded than the history asks for.
    """
    room = len(recorded) - past
    if room < 1:
        raise ValueError(f"{len(recorded)} scrapes are recorded; the history alone takes {past}")
    found = Backtest(fault)
    for number, chance in enumerate(chances):
        start = past + (room * number) // (2 * len(chances))  # all in the first half: each has time to run
        one = _Replay(rules, stages, chance, fault)
        one.run(recorded[start - past : start], recorded[start:])
        one.enter(found)
    return found


class _Replay:
    """One release over recorded scrapes."""

    def __init__(self, rules: Rules, stages: Sequence[StagePlan], chance: Chance, fault: Fault | None) -> None:
        self.stages, self.chance, self.fault = stages, chance, fault
        self.metrics = {metric.name: metric for metric in rules.metrics}
        self.judge = Judge(rules)
        self.now = self.first_s = 0.0
        self.failed = ""
        self.rang: set[str] = set()
        self.passed = False

    def run(self, history: Sequence[Scrape], rest: Sequence[Scrape]) -> None:
        self.judge.enter_stage(-1, 0, None)
        for scrape in history:
            self.judge.look(scrape, weight=0, judged=False)
        stages = iter(enumerate(self.stages))
        number, stage = next(stages)
        self.judge.enter_stage(number, stage.weight, stage.least)
        at = 0.0
        for scrape in rest:
            seconds = max((sample.seconds for sample in scrape), default=0.0)
            self.now, at = self.now + seconds, at + seconds
            if self._look(scrape, stage.weight) and at >= stage.bake_s:
                self.first_s = self.first_s or self.now
                number, stage = next(stages, (-1, stage))
                if number < 0:
                    self.passed = True
                    return
                self.judge.enter_stage(number, stage.weight, stage.least)
                at = 0.0
            if self.failed:
                return

    def enter(self, found: Backtest) -> None:
        """Add this release to what was found."""
        found.releases += 1
        found.passed += self.passed
        found.undecided += not self.passed and not self.failed
        if self.first_s:
            found.first_stage_s.append(self.first_s)
        if self.failed:
            found.failed[self.failed] = found.failed.get(self.failed, 0) + 1
            found.seconds.append(self.now)
        for name in self.rang:
            found.rang[name] = found.rang.get(name, 0) + 1

    def _look(self, scrape: Scrape, weight: float) -> bool:
        """Judge one scrape; True when all that decide pass."""
        samples = [self._split(sample, weight / 100) for sample in scrape if sample.metric in self.metrics]
        deciding = [
            verdict
            for verdict in self.judge.look(samples, weight=weight, judged=True)
            if verdict.metric in self.metrics and self.metrics[verdict.metric].judged
        ]
        self.rang |= {verdict.metric for verdict in deciding if verdict.alert}
        self.failed = next((verdict.metric for verdict in deciding if verdict.outcome is Outcome.FAIL), "")
        return all(verdict.outcome is Outcome.PASS for verdict in deciding)

    def _split(self, sample: Sample, share: float) -> Sample:
        stable = sample.stable
        if stable is None or sample.problem:
            return sample
        if self.metrics[sample.metric].kind == "gauge":
            return Sample(sample.metric, sample.seconds, stable, stable)
        total, bad = (binomial(self.chance, number, share) for number in (stable.total - stable.bad, stable.bad))
        extra = self._extra(self.metrics[sample.metric], total, stable)
        between = binomial(self.chance, min(total - extra, max(0.0, stable.bad_low - stable.bad)), share)
        canary = Counts(total + bad, bad + extra, bad + extra + between, stable.value)
        left = stable.total - canary.total
        return Sample(
            sample.metric, sample.seconds, Counts(left, stable.bad - bad, stable.bad - bad, stable.value), canary
        )

    def _extra(self, metric: Metric, good: float, stable: Counts) -> float:
        """Good events of canary that the fault turns bad."""
        if self.fault is None or self.fault.metric != metric.name or not stable.total:
            return 0.0
        seen = self.judge.usual().get(metric.name, 0.0)
        usual = {"bad": seen, "good": 1 - seen}.get(metric.kind, stable.bad / stable.total)
        return binomial(self.chance, good, min(1.0, (self.fault.times - 1) * usual))


def binomial(chance: Chance, total: float, share: float) -> float:
    """A binomial count: from the gaps between successes, or rounded from a normal when both outcomes are many."""
    n = int(total)
    if n <= 0 or share <= 0:
        return 0.0
    if share >= 1:
        return float(n)
    if n * min(share, 1 - share) > 50:
        return float(min(n, max(0, round(chance.gauss(n * share, sqrt(n * share * (1 - share)))))))
    if share > 0.5:
        return n - binomial(chance, n, 1 - share)
    count, position = 0, 0
    while True:
        position += 1 + int(log(1 - chance.random()) / log(1 - share))
        if position > n:
            return float(count)
        count += 1
