"""Short ways to say what a scrape showed."""

from __future__ import annotations

from engine.judge import Counts, Judge, Metric, Rules, Sample, Threshold, Verdict

ERRORS = Metric("errors", "bad", (Threshold(0.02),), baseline=0.001)
ERRORS_2X = Metric("errors", "bad", (Threshold(0.005), Threshold(2, relative=True)), baseline=0.001)
CHECKOUT = Metric("checkout", "good", (Threshold(0.96, above=False),), baseline=0.98)
P95 = Metric("latency_p95", "latency", (Threshold(0.25),), baseline=0.15, quantile=0.95)
POOL = Metric("pool", "gauge", (Threshold(80),), baseline=50, limit=100)


def counted(metric: str, canary: tuple[float, float] | None, stable: tuple[float, float] | None) -> Sample:
    """A sample of 5 s from (total, bad) of each side."""
    return Sample(metric, 5.0, _counts(stable), _counts(canary))


def read(metric: str, canary: float | None, stable: float | None) -> Sample:
    """A gauge's readings."""
    sides = (None if value is None else Counts(total=1, value=value) for value in (stable, canary))
    return Sample(metric, 5.0, *sides)


def judge_of(*metrics: Metric, weight: float = 5, min_requests: int | None = None) -> Judge:
    """A judge in its first stage."""
    judge = Judge(Rules(metrics, interval_s=5.0))
    judge.enter_stage(0, weight, min_requests)
    return judge


def last(judge: Judge, sample: Sample, *, looks: int = 1, weight: float = 5, judged: bool = True) -> Verdict:
    """The verdict on the sample's metric after the same scrape `looks` times."""
    for _ in range(looks):
        verdicts = judge.look([sample], weight=weight, judged=judged)
    return next(verdict for verdict in verdicts if verdict.metric == sample.metric)


def _counts(pair: tuple[float, float] | None) -> Counts | None:
    if pair is None:
        return None
    total, bad = pair
    return Counts(total=total, bad=bad, bad_low=bad, value=bad / total if total else None)
