"""The judge of a release: one look per scrape, one verdict per metric, and one on whether the canary is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.judge.gauge import GaugeJudge
from engine.judge.kept import keep, restore
from engine.judge.literal import LiteralJudge
from engine.judge.liveness import Liveness
from engine.judge.metric import Metric, Outcome, Sample, Verdict
from engine.judge.proportion import Asked, ProportionJudge

VERSION = 2  # of the state; another one is not understood
BEFORE_THE_FIRST = -1  # the stage number under which stable's past is read
CRITICAL = 2.0  # a critical metric's share of the error budget, in shares of a normal one

MetricJudge = GaugeJudge | ProportionJudge | LiteralJudge


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judge judges by.

    metrics: the plan's; interval_s: seconds between two scrapes.
    alpha: chance that a healthy release is rolled back, over all metrics and all looks; beta: that a faulty one passes.
    max_bad_requests: bad events beyond stable's concurrent rate that end the release whatever the statistics say.
    judge: `sequential`, or `threshold` for the literal rule: past the line for `looks` scrapes in a row.
    """

    metrics: tuple[Metric, ...]
    interval_s: float = 5.0
    alpha: float = 0.01
    beta: float = 0.05
    max_bad_requests: float | None = None
    judge: Literal["sequential", "threshold"] = "sequential"
    looks: int = 3


class Judge:
    """Holds what was seen of each metric; no clock, no I/O; all it knows is in `state()`.

    One error budget for the release: a weighted mean of e-processes is one too, whatever ties the metrics together, so
    the release is judged by E = sum w_m E_m >= 1/alpha. It contains "one metric alone has 1 / (w_m alpha)".
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._liveness = Liveness()
        self._stage, self._least = BEFORE_THE_FIRST, 0.0
        self._shares = budget_shares(rules.metrics)
        self._judges: dict[str, MetricJudge] = {metric.name: self._judge_of(metric) for metric in rules.metrics}

    def enter_stage(self, stage: int, weight: float, min_requests: int | None) -> None:
        """Begin a stage at `weight` percent; `stage` -1 is stable's past, before any traffic moved."""
        self._stage, self._least = stage, float(min_requests or 0)
        self._liveness.enter_stage()
        for judge in self._judges.values() if stage != BEFORE_THE_FIRST else ():
            judge.enter_stage(weight)

    def look(self, samples: Sequence[Sample], *, weight: float, judged: bool) -> tuple[Verdict, ...]:
        """Judge one scrape at the observed `weight` in percent; one verdict per metric, then one named `liveness`.

        With `judged` False (warmup, or a weight not yet observed) data prove no health; harm is judged still. A metric
        without a sample is a metric without data. At stage -1 only stable is read, and there is nothing to say yet.
        """
        found = {sample.metric: sample for sample in samples}
        seconds = max((sample.seconds for sample in samples), default=self._rules.interval_s)
        for name, judge in self._judges.items():
            sample = found.get(name) or Sample(name, seconds, None, None)
            if self._stage == BEFORE_THE_FIRST:
                judge.look_back(sample)
            else:
                judge.look(sample, judged=judged)
        moved = weight if self._stage != BEFORE_THE_FIRST else 0.0
        alive = self._liveness.look(self._requests(samples), moved, judged=judged)
        if self._stage == BEFORE_THE_FIRST:
            return (*(_of_the_past(judge) for judge in self._judges.values()), alive)
        return (*self._verdicts(), alive)

    def remarks(self) -> tuple[str, ...]:
        """Where stable's past and the plan disagree: `errors: the plan says 0.1%, the last 60 min had 0.34%`."""
        said = (judge.history.remark(_phi(judge)) for judge in self._judges.values())
        return tuple(remark for remark in said if remark)

    def usual(self) -> dict[str, float]:
        """Stable's past per metric, in the metric's own unit; metrics without a past are left out."""
        seen = {name: judge.history.seen() for name, judge in self._judges.items()}
        return {name: value for name, value in seen.items() if value is not None}

    def state(self) -> dict[str, Any]:
        """Everything the judge knows, JSON-serialisable; `restore` goes on from it as if nothing had happened."""
        return {
            "version": VERSION,
            "stage": self._stage,
            "least": self._least,
            "liveness": keep(self._liveness),
            "metrics": {name: judge.state() for name, judge in self._judges.items()},
        }

    @classmethod
    def restore(cls, rules: Rules, state: dict[str, Any]) -> Judge:
        """The judge that `state` was taken from. What it does not know starts anew: a metric, or all of it when the
        state is of another version of the judge.
        """
        judge = cls(rules)
        if state.get("version") != VERSION:
            return judge
        judge._stage, judge._least = state["stage"], state["least"]
        restore(judge._liveness, state["liveness"])
        for name, part in state["metrics"].items():
            if name in judge._judges:
                judge._judges[name].restore(part)
        return judge

    def _requests(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The samples that count requests; a gauge's readings are none, but in a plan that has nothing else."""
        counting = {metric.name for metric in self._rules.metrics if metric.kind != "gauge"}
        return [sample for sample in samples if sample.metric in counting] if counting else samples

    def _judge_of(self, metric: Metric) -> MetricJudge:
        rules = self._rules
        if rules.judge == "threshold":
            return LiteralJudge(metric, rules.looks)
        alpha = rules.alpha * self._shares.get(metric.name, 1.0)
        if metric.kind == "gauge":
            return GaugeJudge(metric, alpha)
        return ProportionJudge(metric, Asked(alpha, rules.beta, rules.max_bad_requests))

    def _verdicts(self) -> list[Verdict]:
        together = sum(share * self._judges[name].evidence for name, share in self._shares.items())
        most = max(self._shares, key=lambda name: self._judges[name].evidence, default="")
        proven = together >= 1 / self._rules.alpha
        return [
            judge.verdict(self._liveness.judged, self._least, proven_together=proven and name == most)
            for name, judge in self._judges.items()
        ]


def budget_shares(metrics: Sequence[Metric]) -> dict[str, float]:
    """Each judged metric's share of the release's error budget, in sum 1; critical ones have two."""
    shares = {metric.name: CRITICAL if metric.weight == "critical" else 1.0 for metric in metrics if metric.judged}
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def _of_the_past(judge: MetricJudge) -> Verdict:
    seen = f"stable's past, {judge.history.seconds:.0f} s: nothing to judge yet"
    reason = f"{judge.metric.name} can't be judged: {judge.problem}" if judge.problem else seen
    return Verdict(judge.metric.name, Outcome.ERROR if judge.problem else Outcome.NO_DATA, reason)


def _phi(judge: MetricJudge) -> float:
    return judge.test.dispersion.phi if isinstance(judge, ProportionJudge) else 1.0
