"""What is valid in a plan, and unwise all the same: the advice of experience on when and how to release by canary.

Each rule looks at one thing and says what it found, why it matters, and what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from engine.judge.metric import Metric, Threshold
from engine.plan.gate import Gate
from engine.plan.model import Plan
from engine.plan.parts import Migration
from engine.plan.stages import Stage
from engine.plan.units import show_duration, show_threshold

FIRST_WEIGHT: Final = 10
LARGEST_STEP: Final = 6
SHORTEST_BAKE_S: Final = 900.0
SHORTEST_LAST_BAKE_S: Final = 3600.0
FEWEST_REQUESTS: Final = 1000
READINGS_TO_JUDGE: Final = 3
SHORTEST_KEEP_OLD_S: Final = 900.0
ROLLBACK_BUDGET_S: Final = 120.0
ROLLBACK_LIMIT_S: Final = 300.0
SHORTEST_ANSWER_S: Final = 600.0
LONGEST_WATCH_S: Final = 12 * 3600.0
HARMLESS_KINDS: Final = frozenset({"docs", "ui", "dependency"})


@dataclass(frozen=True, slots=True)
class Advice:
    """`key` is where in the plan, `text` one sentence or two for people."""

    key: str
    text: str


def advise(plan: Plan) -> tuple[Advice, ...]:
    """Everything unwise in this plan, in the order of a plan's keys."""
    return tuple(advice for rule in RULES for advice in rule(plan))


# --- the change


def _what_changes(plan: Plan) -> Iterator[Advice]:
    if not plan.change.summary:
        yield Advice("change.summary", "says nothing: everyone who is called should know what is released")
    kinds = set(plan.change.kinds)
    if kinds and kinds <= HARMLESS_KINDS:
        shown = ", ".join(sorted(kinds))
        yield Advice("change.kinds", f"a change of {shown} alone, without new logic, may need no canary at all")
    if "database" in kinds and not isinstance(plan.change.migration, Migration):
        yield Advice(
            "change.migration", "the change touches the database, yet says `none`: state whether it can be undone"
        )


def _migration(plan: Plan) -> Iterator[Advice]:
    migration = plan.change.migration
    if not isinstance(migration, Migration):
        return
    if not migration.reversible:
        text = (
            "a migration that can't be undone makes the roll back no way back for the data: ship code for both schemas"
        )
        yield Advice("change.migration.reversible", f"{text} first, and switch with a flag")
    if not migration.backwards_compatible:
        text = "stable and canary run on one database: stable will fail on the new schema, and so will a roll back"
        yield Advice("change.migration.backwards_compatible", text)


# --- the stages


def _weights(plan: Plan) -> Iterator[Advice]:
    if plan.strategy != "canary":
        return  # all at once is what it is for
    first = plan.stages[0].weight
    if first > FIRST_WEIGHT:
        text = f"begins with {first}% of the users; 5% show the same faults to fewer of them"
        yield Advice("stages[0].weight", text)
    weights = [stage.weight for stage in plan.stages]
    for index, (before, weight) in enumerate(pairwise(weights), start=1):
        if weight > LARGEST_STEP * before:
            text = f"from {before}% to {weight}% in one step: a fault that needs load shows to everyone at once"
            yield Advice(f"stages[{index}].weight", text)


def _bakes(plan: Plan) -> Iterator[Advice]:
    for index, stage in _serving(plan):
        least = SHORTEST_LAST_BAKE_S if stage.weight == 100 else SHORTEST_BAKE_S
        if stage.bake < least:
            text = (
                f"{show_duration(stage.bake)} is short; slow leaks and rare paths need {show_duration(least)} or more"
            )
            yield Advice(f"stages[{index}].bake", text)
        if stage.weight < 100 and stage.min_requests < FEWEST_REQUESTS:
            text = f"{stage.min_requests} requests say little; {FEWEST_REQUESTS:,} or more make a decision"
            yield Advice(f"stages[{index}].min_requests", text)


def _serving(plan: Plan) -> Iterator[tuple[int, Stage]]:
    """The stages that serve somebody: a preview has nothing to judge."""
    return ((index, stage) for index, stage in enumerate(plan.stages) if stage.weight)


def _readings(plan: Plan) -> Iterator[Advice]:
    interval = getattr(plan.source.config, "interval", None)
    for index, stage in _serving(plan):
        judged = stage.bake - stage.warmup
        if interval and judged < READINGS_TO_JUDGE * interval:
            text = f"only {judged / interval:.0f} readings at one every {show_duration(interval)} are judged"
            yield Advice(f"stages[{index}].bake", text)


def _total(plan: Plan) -> Iterator[Advice]:
    if plan.least_seconds > LONGEST_WATCH_S:
        text = f"takes {show_duration(plan.least_seconds)} at least: more than one shift, so name who watches when"
        yield Advice("stages", text)
    if plan.until == "either":
        yield Advice("until", "`either` lets a stage end before its bake: slow faults such as leaks go unseen")


# --- the gates


def _gates(plan: Plan) -> Iterator[Advice]:
    for key, gate in _all_gates(plan):
        if gate.expires is not None and gate.expires < SHORTEST_ANSWER_S:
            text = f"{show_duration(gate.expires)} is short for a person who has to be called and to look"
            yield Advice(f"{key}.expires", f"{text}; {show_duration(SHORTEST_ANSWER_S)} or more")
        if gate.approvers and gate.expires is None and plan.advance == "auto":
            text = "an approval that never comes leaves the release where it stands, and nobody is asked to press a key"
            yield Advice(key, f"{text}: say when the gate `expires`")
        if not gate.approvers and plan.advance == "auto":
            text = "asks for nobody, and with `advance: auto` the engine passes it at once: say how many `approvers`"
            yield Advice(key, text)


def _all_gates(plan: Plan) -> Iterator[tuple[str, Gate]]:
    if plan.gate is not None:
        yield "gate", plan.gate
    for index, stage in enumerate(plan.stages):
        if stage.gate is not None:
            yield f"stages[{index}].gate", stage.gate


# --- the router


def _router(plan: Plan) -> Iterator[Advice]:
    for text in getattr(plan.router.config, "unwise", ()):
        yield Advice(f"router.{plan.router.kind}", text)


# --- the metrics


def _what_is_missing(plan: Plan) -> Iterator[Advice]:
    judged = {metric.kind for metric in plan.judge_metrics() if metric.judged}
    if "bad" not in judged:
        yield Advice("metrics", "no error rate is judged (a metric with `total` and `bad`)")
    if "latency" not in judged:
        yield Advice("metrics", "no latency is judged (a metric with `histogram` and `quantile`)")
    if "good" not in judged:
        text = "no business metric is judged (a metric with `total` and `good`, such as purchases)"
        yield Advice("metrics", f"{text}: answers can be fast and without errors while nobody can buy")


def _lines(plan: Plan) -> Iterator[Advice]:
    events = [metric for metric in plan.judge_metrics() if metric.judged and metric.kind != "gauge"]
    relative = [metric for metric in events if any(line.relative for line in metric.thresholds)]
    if events and not relative and plan.strategy == "canary":
        text = "no line is relative: `> 2x baseline` compares with stable at the same time, so that an incident of both"
        yield Advice("metrics", f"{text} is not blamed on the canary")
    for metric in relative:
        if all(line.relative for line in metric.thresholds):
            text = "has relative lines only: at 100% there is no stable to compare with, so add an absolute one"
            yield Advice(f"metrics.{metric.name}.alert", text)


def _baselines(plan: Plan) -> Iterator[Advice]:
    for metric in plan.judge_metrics():
        past = next((line for line in metric.thresholds if _is_past(metric, line)), None)
        if past:
            text = f"is past its own line {show_threshold(past, metric.kind)}: a healthy canary would be rolled back"
            yield Advice(f"metrics.{metric.name}.baseline", text)


def _is_past(metric: Metric, line: Threshold) -> bool:
    if metric.baseline is None or line.relative:
        return False
    return metric.baseline > line.limit if line.above else metric.baseline < line.limit


# --- safety


def _checks(plan: Plan) -> Iterator[Advice]:
    if not plan.checks.stage:
        yield Advice("checks.stage", "no check runs at each stage: metrics show only the paths that users took")
    if not plan.checks.post:
        yield Advice("checks.post", "no check runs after the end, such as one of data integrity or of a user's journey")


def _on_fail(plan: Plan) -> Iterator[Advice]:
    if plan.on_fail == "hold":
        yield Advice("on_fail", "`hold` keeps users on a failing canary until somebody acts")
    for name, metric in plan.metrics.items():
        if metric.on_fail == "hold" and metric.weight != "informational":
            text = "`hold` keeps users on a canary that fails this metric until somebody acts"
            yield Advice(f"metrics.{name}.on_fail", text)


def _way_back(plan: Plan) -> Iterator[Advice]:
    if plan.keep_old < SHORTEST_KEEP_OLD_S:
        text = f"the old side is kept for {show_duration(plan.keep_old)}: later a roll back is a deployment"
        yield Advice("keep_old", f"{text}; 1h is usual")
    if plan.rollback.budget > ROLLBACK_BUDGET_S:
        text = f"a roll back should take less than {show_duration(ROLLBACK_BUDGET_S)}"
        yield Advice("rollback.budget", text)
    if plan.rollback.hard_limit > ROLLBACK_LIMIT_S:
        text = f"a roll back of more than {show_duration(ROLLBACK_LIMIT_S)} is too slow to count on"
        yield Advice("rollback.hard_limit", text)


RULES: Final[tuple[Callable[[Plan], Iterator[Advice]], ...]] = (
    _what_changes,
    _migration,
    _weights,
    _bakes,
    _readings,
    _total,
    _gates,
    _router,
    _way_back,
    _what_is_missing,
    _lines,
    _baselines,
    _on_fail,
    _checks,
)
