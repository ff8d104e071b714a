"""Short ways to say what a scrape showed."""

from __future__ import annotations

from typing import Any

from engine.judge import Counts, Judge, Metric, Rules, Sample, Threshold, Verdict

ERRORS = Metric("errors", "bad", (Threshold(0.02),), baseline=0.001)
ERRORS_2X = Metric("errors", "bad", (Threshold(0.005), Threshold(2, relative=True)), baseline=0.001)
CHECKOUT = Metric("checkout", "good", (Threshold(0.96, above=False),), baseline=0.98)
P95 = Metric("latency_p95", "latency", (Threshold(0.25),), baseline=0.15, quantile=0.95)
POOL = Metric("pool", "gauge", (Threshold(80),), baseline=50, limit=100)

Pair = tuple[float, float]


def counted(metric: str, canary: Pair | None, stable: Pair | None, seconds: float = 5.0) -> Sample:
    """A sample from (total, bad) of each side."""
    return Sample(metric, seconds, _counts(stable), _counts(canary))


def read(metric: str, canary: float | None, stable: float | None, seconds: float = 5.0) -> Sample:
    """A gauge's readings."""
    sides = (None if value is None else Counts(total=1, value=value) for value in (stable, canary))
    return Sample(metric, seconds, *sides)


def judge_of(*metrics: Metric, weight: float = 5, min_requests: int | None = None, **rules: Any) -> Judge:
    """A judge in its first stage, which has seen ten minutes of a stable that shows what the metrics state."""
    judge = Judge(Rules(metrics, **rules))
    judge.enter_stage(-1, 0, None)
    for _ in range(120):
        judge.look([past_of(metric) for metric in metrics], weight=0, judged=False)
    judge.enter_stage(0, weight, min_requests)
    return judge


def past_of(metric: Metric) -> Sample:
    """One scrape of stable before the release."""
    if metric.kind == "gauge":
        return read(metric.name, None, metric.baseline)
    share = {"bad": metric.baseline, "good": 1 - (metric.baseline or 0), "latency": 0.02}[metric.kind]
    return counted(metric.name, None, (1000, 1000 * (share or 0)))


def last(judge: Judge, sample: Sample, *, looks: int = 1, weight: float = 5, judged: bool = True) -> Verdict:
    """The verdict on the sample's metric after the same scrape `looks` times."""
    for _ in range(looks):
        verdicts = judge.look([sample], weight=weight, judged=judged)
    return next(verdict for verdict in verdicts if verdict.metric == sample.metric)


def _counts(pair: Pair | None) -> Counts | None:
    if pair is None:
        return None
    total, bad = pair
    return Counts(total=total, bad=bad, bad_low=bad, value=bad / total if total else None)
