"""A plan: what to release, through which stages, judged by which metrics.

`read_plan` and `parse_plan` give a `Plan` or raise `PlanError` with every fault of the file: where, what was found,
what is allowed. A `Plan` holds base units (seconds, fractions); `Plan.written` gives back what a person would write, with
every default filled in, and `Plan.digest` names that content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from engine.judge.metric import Metric
from engine.plan_choice import CheckChoice, RouterChoice, SourceChoice
from engine.plan_fields import Duration, Line, MetricName, Name, Switch, VersionName, Whole
from engine.plan_metrics import AnyMetric, OnFail
from engine.plan_part import FAULT, PlanPart, checked, fault, raise_faults
from engine.problem import PlanError, Problem
from engine.units import NotUnderstoodError, show_duration
from engine.yaml_source import Located, key_path, read_yaml

SHORT_BAKE_S = 120.0
DEFAULT_WARMUP_S = 60.0
DEFAULT_BAKE_S = 900.0
DEFAULT_LAST_BAKE_S = 3600.0
DEFAULT_MIN_REQUESTS = 1000


class Version(PlanPart):
    """The version to release."""

    canary: VersionName = Field(description="The new version, as it reports itself.")


class Migration(PlanPart):
    """A database migration that comes with the change."""

    reversible: Switch = Field(description="Can it be undone without loss?")
    backwards_compatible: Switch = Field(description="Does the old version run on the new schema?")


def _migration_form(written: Any) -> str:
    return "<none>" if isinstance(written, str) else "<migration>"


class Change(PlanPart):
    """What is released, in words; decides which advice and which checklist items apply."""

    summary: Line | None = Field(default=None, description="One line that says what changes.")
    kinds: tuple[Literal["docs", "ui", "dependency", "backend", "database", "core"], ...] = Field(
        default=(), description="What the change touches."
    )
    flags: tuple[Line, ...] = Field(default=(), max_length=50, description="Feature flags that belong to the change.")
    migration: Annotated[
        Annotated[Literal["none"], Tag("<none>")] | Annotated[Migration, Tag("<migration>")],
        Discriminator(_migration_form),
    ] = Field(default="none", description="`none`, or what is known of the database migration.")


def _whole_percent(written: object) -> int:
    if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written <= 100:
        raise NotUnderstoodError("a whole number from 1 to 100, without a percent sign")
    return written


Weight = Annotated[
    int, PlainValidator(_whole_percent), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})
]


def _default_bake(stage: dict[str, Any]) -> float:
    return DEFAULT_LAST_BAKE_S if stage["weight"] == 100 else DEFAULT_BAKE_S


def _default_warmup(stage: dict[str, Any]) -> float:
    return 0.0 if stage["bake"] < SHORT_BAKE_S else DEFAULT_WARMUP_S


def _default_min_requests(stage: dict[str, Any]) -> int:
    return 0 if stage["weight"] == 100 else DEFAULT_MIN_REQUESTS


class Stage(PlanPart):
    """One step of the plan."""

    weight: Weight = Field(description="Share of traffic on the canary, in whole percent.")
    bake: Duration = Field(
        default_factory=_default_bake, description="How long the stage must hold; 15m by default, 1h at weight 100."
    )
    warmup: Duration = Field(
        default_factory=_default_warmup,
        description="The first part of the bake, not judged; 60s by default, 0s when the bake is below 2m.",
    )
    min_requests: Annotated[Whole, Field(ge=0, le=1_000_000_000)] = Field(
        default_factory=_default_min_requests,
        description="Requests that the canary must answer in this stage; 1000 by default, 0 at weight 100.",
    )

    @model_validator(mode="after")
    def _holds_after_warmup(self) -> Self:
        if self.bake <= 0:
            raise_faults([fault(("bake",), "0s", "more than 0s")])
        if self.warmup >= self.bake:
            allowed = f"less than the bake of {show_duration(self.bake)}, whose first part it is"
            raise_faults([fault(("warmup",), show_duration(self.warmup), allowed)])
        return self


def _rising(written: Any, handler: ValidatorFunctionWrapHandler) -> tuple[Stage, ...]:
    """Weights rise to 100; said even when a stage has other faults."""
    faults = _weight_faults(written) if isinstance(written, (list, tuple)) else []
    stages: tuple[Stage, ...] = checked(handler, written, faults)
    return stages


def _weight_faults(written: list[Any] | tuple[Any, ...]) -> list[InitErrorDetails]:
    faults: list[InitErrorDetails] = []
    if not written:
        return [fault((), written, "one stage or more, the last of weight 100", found="an empty list")]
    before = 0
    for index, weight in enumerate(map(_weight, written)):
        if weight is None:
            return faults
        if index and weight <= before:
            allowed = (
                "100 only once, in the last stage"
                if before >= 100
                else f"a weight above {before}, which the stage before has"
            )
            faults.append(fault((index, "weight"), weight, allowed, "weights rise from stage to stage"))
        before = max(before, weight)
    if before < 100:
        faults.append(fault((len(written) - 1, "weight"), before, "100 in the last stage"))
    return faults


def _weight(stage: Any) -> int | None:
    """A stage's weight, whole or still as written; None when it can't be compared."""
    weight = stage.get("weight") if isinstance(stage, Mapping) else getattr(stage, "weight", None)
    return weight if isinstance(weight, int) and not isinstance(weight, bool) else None


DEFAULT_STAGES = tuple(Stage(weight=weight) for weight in (5, 25, 50, 100))


class Blind(PlanPart):
    """What follows when neither version shows any data."""

    after: Duration = Field(default=120.0, description="How long nothing may be seen.")
    then: Literal["hold", "rollback"] = Field(default="hold", description="What is done then.")


class Rollback(PlanPart):
    """How long a roll back may take."""

    budget: Duration = Field(default=120.0, description="After this the roll back is said loudly to be late.")
    hard_limit: Duration = Field(default=300.0, description="After this it counts as failed; it is still tried.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.budget <= 0:
            raise_faults([fault(("budget",), "0s", "more than 0s")])
        if self.hard_limit < self.budget:
            allowed = f"the budget of {show_duration(self.budget)} or more"
            raise_faults([fault(("hard_limit",), show_duration(self.hard_limit), allowed)])
        return self


def _told_apart(written: Any, handler: ValidatorFunctionWrapHandler) -> tuple[CheckChoice, ...]:
    """The journal names a check by its title, so no two of a list share one."""
    checks: tuple[CheckChoice, ...] = handler(written)
    titles = [check.title for check in checks]
    raise_faults(
        fault((index,), title, "checks of different names", "give one of them a name", found=f"a second {title}")
        for index, title in enumerate(titles)
        if title in titles[:index]
    )
    return checks


CheckChoices = Annotated[tuple[CheckChoice, ...], WrapValidator(_told_apart)]


class Checks(PlanPart):
    """What is run and answers yes or no."""

    pre: CheckChoices = Field(default=(), max_length=100, description="Before any traffic moves.")
    stage: CheckChoices = Field(default=(), max_length=100, description="At the end of each stage's bake.")
    post: CheckChoices = Field(default=(), max_length=100, description="After the last stage.")


class ChecklistItem(PlanPart):
    """A line of the checklist that this plan adds."""

    id: Name = Field(description="What orders and checks call it.")
    list: Literal["pre", "during", "post"] = Field(description="Which of the three lists it stands in.")
    text: Line = Field(description="What people read.")


class Checklist(PlanPart):
    """How this plan's checklist differs from the default."""

    add: tuple[ChecklistItem, ...] = Field(default=(), max_length=100, description="Items of its own.")
    drop: tuple[Name, ...] = Field(default=(), description="Ids of default items that do not apply.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [item.id for item in self.add]
        twice = [fault(("add", i, "id"), each, "an id of its own") for i, each in enumerate(ids) if each in ids[:i]]
        both = [
            fault(("drop", i), each, "an item that this plan does not add")
            for i, each in enumerate(self.drop)
            if each in ids
        ]
        raise_faults(twice + both)
        return self


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
    strategy: Literal["canary"] = Field(default="canary", description="How traffic is moved.")
    router: RouterChoice = Field(description="The part that moves traffic.")
    source: SourceChoice = Field(description="The part that reads metrics.")
    stages: Annotated[tuple[Stage, ...], Field(max_length=50), WrapValidator(_rising)] = Field(
        default=DEFAULT_STAGES,
        description="Weights from small to 100; by default 5, 25 and 50 for 15m each, 100 for 1h.",
    )
    until: Literal["both", "either"] = Field(
        default="both",
        description="`both`: a stage holds for its bake and its `min_requests`; `either`: for the first of them, 2m at least.",
    )
    advance: Literal["manual", "auto"] = Field(
        default="manual", description="Who goes on when a stage is ready: an operator, or the engine."
    )
    finish: Literal["swap"] = Field(default="swap", description="After the last stage the two sides change roles.")
    keep_old: Duration = Field(
        default=3600.0, description="How long the old side stays at size after the end, so that a roll back is at once."
    )
    converge: Duration = Field(
        default=60.0, description="How long traffic may take to be as desired; after it the release is stuck."
    )
    wait_for_canary: Duration = Field(default=600.0, description="How long the start waits for the canary to be there.")
    metrics: Annotated[dict[MetricName, AnyMetric], Field(max_length=100), WrapValidator(_some_judged)] = Field(
        description="What is watched, by name."
    )
    on_fail: OnFail = Field(
        default="rollback", description="What a failing verdict does; `ask` rolls back when unanswered for 2m."
    )
    blind: Blind = Field(default=Blind(), description="What follows when neither version shows any data.")
    rollback: Rollback = Field(default=Rollback(), description="How long a roll back may take.")
    checks: Checks = Field(default=Checks(), description="What is run and answers yes or no.")
    checklist: Checklist = Field(default=Checklist(), description="How the checklist differs from the default.")

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
    found = list(located.problems)
    try:
        plan = Plan.model_validate(located.data)
    except ValidationError as error:
        said = {(problem.line, problem.column) for problem in found}
        details = error.errors(include_url=False, include_input=False)
        found += [each for each in (_problem(d, located) for d in details) if (each.line, each.column) not in said]
    else:
        if not found:
            return plan
    raise PlanError(found)


def _problem(details: ErrorDetails, located: Located) -> Problem:
    """A fault with its place in the file: the key's where a key is wrong, else the value's."""
    path, whole = _path(details["loc"], located)
    context = details.get("ctx", {}) if details["type"] == FAULT else {"allowed": details["msg"]}
    place = located.places[path]
    of_key = not whole or context.get("found", "").endswith("key")
    mark = place.key if of_key else place.value
    found = context.get("found") or (place.shown if whole else context.get("shown", "nothing"))
    key = key_path(path if whole else (*path, details["loc"][-1]))
    return Problem(located.file, mark.line, mark.column, key, found, context["allowed"], context.get("hint", ""))


def _path(loc: tuple[int | str, ...], located: Located) -> tuple[tuple[int | str, ...], bool]:
    """The deepest place on the way to `loc`, and whether it is `loc` itself. Marks of union members are no keys."""
    path: tuple[int | str, ...] = ()
    for step in loc:
        if (*path, step) in located.places:
            path = (*path, step)
        elif not (isinstance(step, str) and step.startswith(("<", "["))):
            return path, False
    return path, True
