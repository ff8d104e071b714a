"""The judge of a release: one look per scrape, one verdict per metric, and one on whether the canary is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.judge.gauge import GaugeJudge
from engine.judge.liveness import Liveness
from engine.judge.metric import Metric, Sample, Verdict
from engine.judge.proportion import ProportionJudge

BEFORE_THE_FIRST = -1  # the stage number under which stable's past is read


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judge judges by: the plan's metrics, and seconds between two scrapes."""

    metrics: tuple[Metric, ...]
    interval_s: float = 5.0


class Judge:
    """Holds what was seen of each metric in this stage; no clock, no I/O; all it knows is in `state()`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._liveness = Liveness()
        self._stage = BEFORE_THE_FIRST
        self._judges: dict[str, GaugeJudge | ProportionJudge] = {
            metric.name: GaugeJudge(metric) if metric.kind == "gauge" else ProportionJudge(metric)
            for metric in rules.metrics
        }

    def enter_stage(self, stage: int, weight: float, min_requests: int | None) -> None:
        """Begin a stage at `weight` percent; `stage` -1 is stable's past, before any traffic moved."""
        self._stage = stage
        self._liveness.enter_stage()
        for judge in self._judges.values():
            if isinstance(judge, GaugeJudge):
                judge.enter_stage()
            else:
                judge.enter_stage(control=weight < 100, min_requests=min_requests or 0)

    def look(self, samples: Sequence[Sample], *, weight: float, judged: bool) -> tuple[Verdict, ...]:
        """Judge one scrape at the observed `weight` in percent; one verdict per metric, then one named `liveness`.

        With `judged` False (warmup, or a weight not yet observed) data prove no health; harm is judged still. A metric
        without a sample is a metric without data.
        """
        alive = self._liveness.look(self._requests(samples), weight)
        found = {sample.metric: sample for sample in samples}
        seconds = max((sample.seconds for sample in samples), default=self._rules.interval_s)
        verdicts = []
        for name, judge in self._judges.items():
            sample = found.get(name) or Sample(name, seconds, None, None)
            if isinstance(judge, GaugeJudge):
                verdicts.append(judge.look(sample, judged=judged))
            else:
                verdicts.append(judge.look(sample, judged=judged, requests=self._liveness.requests))
        return (*verdicts, alive)

    def _requests(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The samples that count requests; a gauge's readings are none, but in a plan that has nothing else."""
        counting = {name for name, judge in self._judges.items() if isinstance(judge, ProportionJudge)}
        return [sample for sample in samples if sample.metric in counting] if counting else samples

    def state(self) -> dict[str, Any]:
        """Everything the judge knows, JSON-serialisable; `restore` goes on from it as if nothing had happened."""
        return {
            "stage": self._stage,
            "liveness": asdict(self._liveness),
            "metrics": {name: judge.state() for name, judge in self._judges.items()},
        }

    @classmethod
    def restore(cls, rules: Rules, state: dict[str, Any]) -> Judge:
        """The judge that `state` was taken from; a metric unknown to the state starts anew."""
        judge = cls(rules)
        judge._stage = state["stage"]
        judge._liveness = Liveness(**state["liveness"])
        for name, part in state["metrics"].items():
            if name in judge._judges:
                judge._judges[name].restore(part)
        return judge
