"""What a plan's traffic can prove: per stage and metric, how long requests and proofs take, and what is unwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from engine.advice import Advice
from engine.events import StageRule
from engine.judge import Metric, Rules, words
from engine.judge.forecast import StageForecast, forecast, sentence
from engine.judge.judge import budget_shares
from engine.plan.model import Plan
from engine.plan.units import show_duration

ENOUGH_BAD = 10.0  # recorded bad events from which their share says more than the plan's baseline


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of a service's traffic, both versions together.

    rates:  metric -> events per second
    shares: metric -> stable's usual share of bad events; metrics of which nothing is known are left out
    origin: where the rates are from, in words
    """

    rates: Mapping[str, float]
    shares: Mapping[str, float]
    origin: str

    @property
    def rps(self) -> float:
        """Requests per second: the metric that counts most counts them all."""
        return max(self.rates.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Outlook:
    """One metric at one stage; `index` is 0-based, `bake_s` the judged part of its bake."""

    index: int
    bake_s: float
    metric: Metric
    rate: float
    stage: StageForecast

    @property
    def text(self) -> str:
        """The forecast as a sentence."""
        return sentence(self.metric, self.stage, float(f"{self.rate:.3g}"))


def stated(plan: Plan, rps: float) -> Traffic:
    """`rps` requests a second, each an event of every metric, with the shares that the plan states."""
    rates = {metric.name: rps for metric in _judged(plan)}
    return Traffic(rates, _stated_shares(plan), f"as given: {rps:g} requests/s")


def observed(plan: Plan, rates: Mapping[str, float], counts: Mapping[str, tuple[float, float]], origin: str) -> Traffic:
    """Recorded rates per metric; shares from the recorded (all, bad) events where there are enough bad ones, else as
    the plan states them.
    """
    shares = {name: bad / total for name, (total, bad) in counts.items() if total}
    counted = {name: share for name, share in shares.items() if counts[name][1] >= ENOUGH_BAD}
    return Traffic(rates, {**shares, **_stated_shares(plan), **counted}, origin)


def at_rate(traffic: Traffic, rps: float) -> Traffic:
    """The same traffic at another rate: each metric keeps its share of the requests."""
    factor = rps / traffic.rps
    rates = {name: rate * factor for name, rate in traffic.rates.items()}
    return Traffic(rates, traffic.shares, f"as given: {rps:g} requests/s; shares from {traffic.origin}")


def outlooks(plan: Plan, traffic: Traffic) -> tuple[Outlook, ...]:
    """Each stage of each judged metric of events whose rate and usual share are known, stage by stage."""
    stages = enumerate(plan.stage_rules())
    return tuple(one for index, stage in stages for one in _of_stage(plan, traffic, index, stage))


def _of_stage(plan: Plan, traffic: Traffic, index: int, stage: StageRule) -> Iterator[Outlook]:
    alpha = Rules(plan.judge_metrics()).alpha
    budget = budget_shares(plan.judge_metrics())
    for metric in _judged(plan):
        rate, usual = traffic.rates.get(metric.name), traffic.shares.get(metric.name)
        if not rate or usual is None:
            continue
        # The least requests are requests, not purchases: the metric that counts most speaks of them.
        least = stage.min_requests if rate == traffic.rps and plan.until == "both" else 0
        asked = (float(stage.weight), least)
        found = forecast(metric, asked, rps=rate, usual=usual, alpha=alpha * budget[metric.name])
        yield Outlook(index, stage.bake_s, metric, rate, found)


def unknown(plan: Plan, traffic: Traffic) -> tuple[str, ...]:
    """Judged metrics of events of which nothing can be said: no rate or no usual share is known."""
    names = (metric.name for metric in _judged(plan))
    return tuple(name for name in names if not traffic.rates.get(name) or name not in traffic.shares)


def advise_on(found: Sequence[Outlook]) -> tuple[Advice, ...]:
    """Stages whose bake shows neither the least requests nor a healthy canary inside its lines: one advice a stage."""
    slowest: dict[int, Outlook] = {}
    for one in found:
        if one.stage.passes_s > one.bake_s and one.stage.passes_s > _passes(slowest.get(one.index)):
            slowest[one.index] = one
    return tuple(_advice(one) for _, one in sorted(slowest.items()))


def _passes(one: Outlook | None) -> float:
    return one.stage.passes_s if one else 0.0


def _advice(one: Outlook) -> Advice:
    key = f"stages[{one.index}].bake"
    if one.stage.passes_s == inf:
        return Advice(key, f"no bake proves {one.metric.name} inside its lines: stable itself is too near to them")
    requests = one.stage.requests_s == one.stage.passes_s
    what = f"see {one.stage.least:,} requests" if requests else f"prove {one.metric.name} inside its lines"
    takes = words.duration(one.stage.passes_s)
    bake = show_duration(one.bake_s)
    return Advice(key, f"{bake} judged are short at this traffic: to {what} takes about {takes}, so the stage holds")


def _judged(plan: Plan) -> list[Metric]:
    """The metrics of events that decide."""
    return [metric for metric in plan.judge_metrics() if metric.judged and metric.kind != "gauge"]


def _stated_shares(plan: Plan) -> dict[str, float]:
    """Shares of bad events that baselines state; a latency's baseline is a quantile, which says no share."""
    return {
        metric.name: 1 - metric.baseline if metric.kind == "good" else metric.baseline
        for metric in _judged(plan)
        if metric.baseline is not None and metric.kind != "latency"
    }
