"""A plan: what to release, through which stages, judged by which metrics.

`read_plan` and `parse_plan` give a `Plan`, or raise `PlanError` with every fault of the file: where it is, what was
found, what is allowed. A `Plan` holds base units (seconds, fractions); `Plan.written` gives back what a person would
write, with every default filled in, and `Plan.digest` names that content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from engine.checklist import default_items
from engine.events import StageRule
from engine.judge.metric import Metric
from engine.plan.choice import RouterChoice, SourceChoice
from engine.plan.faults import problems_of
from engine.plan.fields import METRIC_PATTERN, Duration, MetricName, Name, Switch, Whole
from engine.plan.gate import Gate
from engine.plan.items import item_faults
from engine.plan.metrics import AnyMetric, OnFail
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.parts import AfterRollback, Blind, Change, Checklist, Checks, Link, Rollback, Version
from engine.plan.problem import PlanError, Problem
from engine.plan.sources import source_faults
from engine.plan.stages import Holdback, Stages, Strategy, default_stages, strategy_faults
from engine.plan.yaml_source import read_yaml


def _some_judged(written: Any, handler: ValidatorFunctionWrapHandler) -> Mapping[str, AnyMetric]:
    metrics: Mapping[str, AnyMetric] = handler(written)
    if all(metric.weight == "informational" for metric in metrics.values()):
        allowed = "one metric or more that is judged, not informational"
        raise_faults([fault((), written, allowed, found="none" if metrics else "no metric")])
    return metrics


class Plan(PlanPart):
    """What to release, through which stages, judged by which metrics."""

    service: Name = Field(description="The service; releases are numbered after it, as in checkout-7.")
    version: Version | None = Field(
        default=None, description="The version to release, unless the start order names it."
    )
    change: Change = Field(default=Change(), description="What is released, in words.")
    production: Switch = Field(
        default=False,
        description="Only an engine that comes back by itself may run it, a service of the system: not one that a "
        "terminal started, which ends with the logout.",
    )
    strategy: Strategy = Field(
        default="canary",
        description="`canary`: in stages; `blue-green`: a preview, then all at once; `plain`: one change by a command.",
    )
    router: RouterChoice = Field(description="The part that moves traffic.")
    source: SourceChoice = Field(description="The part that reads metrics.")
    sources: dict[Name, SourceChoice] = Field(
        default_factory=dict,
        max_length=20,
        description="More of them by name, for metrics that say `source: NAME`.",
    )
    stages: Stages = Field(
        default_factory=default_stages,
        description="Weights from small to 100; by default 5, 25 and 50 for 15m each, 100 for 1h.",
        json_schema_extra={"default": [stage.model_dump(mode="json") for stage in default_stages({})]},
    )
    until: Literal["both", "either"] = Field(
        default="both",
        description="`both`: a stage holds for its bake and `min_requests`; `either`: for the first, 2m at least.",
    )
    advance: Literal["manual", "auto"] = Field(
        default="manual", description="Who goes on when a stage is ready: an operator, or the engine."
    )
    gate: Gate | None = Field(
        default=None, description="What people must say before the first stage; a stage has a gate of its own."
    )
    finish: Literal["swap", "copy", "handover"] = Field(
        default="swap",
        description="After the last stage. `swap`: the two sides change roles; `copy`: stable gets the new version and "
        "takes the traffic back; `handover`: the traffic's owner, such as Argo Rollouts, finishes.",
    )
    keep_old: Duration = Field(
        default=3600.0, description="How long the old side stays at size after the end, so that a roll back is at once."
    )
    converge: Duration = Field(
        default=60.0, description="How long traffic may take to be as desired; after it the release is stuck."
    )
    wait_for_canary: Duration = Field(default=600.0, description="How long the start waits for the canary to be there.")
    metrics: Annotated[dict[MetricName, AnyMetric], Field(max_length=100), WrapValidator(_some_judged)] = Field(
        description="What is watched, by name; one or more must be judged.",
        json_schema_extra={"propertyNames": {"pattern": METRIC_PATTERN}, "minProperties": 1},
    )
    on_fail: OnFail = Field(
        default="rollback", description="What a failing verdict does; `ask` rolls back when unanswered for 2m."
    )
    judge: Literal["sequential", "threshold"] = Field(
        default="sequential",
        description="`sequential`: a verdict needs proof; `threshold`: past its line for `looks` scrapes is a failure.",
    )
    looks: Annotated[Whole, Field(ge=1, le=100)] = Field(
        default=3, description="With `judge: threshold`, how many scrapes in a row past the line are a failure."
    )
    max_bad_requests: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None,
        description="Bad requests of the canary beyond stable's rate that end it, whatever is proven; off by default.",
    )
    history: Duration = Field(
        default=3600.0, description="How much of stable's past the judge reads first, where the source keeps it."
    )
    holdback: Holdback = Field(
        default=0.0, description="What stays on stable in the last stage, as its control, until the finish."
    )
    blind: Blind = Field(default=Blind(), description="What follows when neither version shows any data.")
    rollback: Rollback = Field(default=Rollback(), description="How long a roll back may take, and who may order one.")
    after_rollback: AfterRollback = Field(default=AfterRollback(), description="What follows a roll back.")
    guard: Duration = Field(
        default=900.0,
        description="How long after a roll back traffic put on the canary again is taken back, 3 times at most.",
    )
    checks: Checks = Field(default=Checks(), description="What is run and answers yes or no.")
    checklist: Checklist = Field(default=Checklist(), description="How the checklist differs from the default.")
    links: dict[Name, Link] = Field(
        default={}, max_length=20, description="What people open beside a release, by name: dashboard, logs, runbook."
    )

    @model_validator(mode="after")
    def _metrics_fit_their_sources(self) -> Self:
        raise_faults(source_faults(self.metrics, self.source, self.sources))
        return self

    @model_validator(mode="after")
    def _items_are_known(self) -> Self:
        default = [item.id for item in default_items(self.stage_rules(), self.judge_metrics())]
        raise_faults(item_faults(self.checks, self.checklist, default))
        return self

    @model_validator(mode="after")
    def _router_can(self) -> Self:
        raise_faults(strategy_faults(self.strategy, self.stages))
        kind, config = self.router.kind, self.router.config
        for key, can in (("strategy", "strategies"), ("finish", "finishes")):
            allowed = sorted(getattr(config, can, {"strategies": {"canary"}, "finishes": {"swap"}}[can]))
            if getattr(self, key) not in allowed:
                raise_faults([fault((key,), getattr(self, key), f"{' or '.join(allowed)}, which router {kind} can do")])
        return self

    def stage_rules(self) -> tuple[StageRule, ...]:
        """The stages as the state machine knows them: warmup first, then what is judged of the bake."""
        kept = [0] * (len(self.stages) - 1) + [self.holdback_percent]
        return tuple(
            StageRule(
                weight=stage.weight - held,
                warmup_s=stage.warmup,
                bake_s=stage.bake - stage.warmup,
                min_requests=stage.min_requests,
                gate=stage.gate.rule() if stage.gate else None,
            )
            for stage, held in zip(self.stages, kept, strict=True)
        )

    @property
    def holdback_percent(self) -> int:
        """What stays on stable in the last stage, in whole percent."""
        return round(self.holdback * 100)

    def judge_metrics(self) -> tuple[Metric, ...]:
        """The metrics as the judge knows them, in the plan's order."""
        return tuple(metric.judged_as(name) for name, metric in self.metrics.items())

    def on_fail_of(self, metric: str) -> OnFail:
        """What a failing verdict of this metric does. Raises KeyError for one that the plan does not have."""
        return self.metrics[metric].on_fail or self.on_fail

    @property
    def least_seconds(self) -> float:
        """The sum of all bakes: a healthy release takes this long at least."""
        return sum(stage.bake for stage in self.stages)

    def written(self) -> dict[str, Any]:
        """The plan as a person would write it, defaults filled in; `Plan.model_validate` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def digest(self) -> str:
        """SHA-256 of `written` in canonical JSON: the same for plans that mean the same, however they are laid out."""
        canonical = json.dumps(self.written(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises PlanError, also when the file can't be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PlanError([Problem(str(path), 0, 0, "", error.strerror or "no file", "a plan's file")]) from None
    return parse_plan(content, str(path))


def parse_plan(content: bytes, file: str = "plan.yaml") -> Plan:
    """The plan in these bytes; `file` is its name in messages. Raises PlanError with every fault found."""
    located = read_yaml(content, file)
    try:
        plan = Plan.model_validate(located.data)
    except ValidationError as error:
        found = problems_of(error, located)
    else:
        found = []
        if not located.problems:
            return plan
    raise PlanError([*located.problems, *found])
