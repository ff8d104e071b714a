"""The stages of a plan: weights that rise to 100, and how long each must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from engine.plan.fields import Duration, Whole
from engine.plan.gate import Gate
from engine.plan.part import PlanPart, checked, fault, raise_faults
from engine.plan.units import PERCENT_PATTERN, NotUnderstoodError, parse_percent, show_duration, show_percent

Strategy = Literal["canary", "blue-green", "plain"]

SHORT_BAKE_S = 120.0
DEFAULT_WARMUP_S = 60.0
DEFAULT_BAKE_S = 900.0
DEFAULT_LAST_BAKE_S = 3600.0
DEFAULT_MIN_REQUESTS = 1000
LARGEST_HOLDBACK = 0.2


def _whole_percent(written: object) -> int:
    if isinstance(written, bool) or not isinstance(written, int) or not 0 <= written <= 100:
        raise NotUnderstoodError("a whole number from 1 to 100, without a percent sign")
    return written


def _whole_fraction(written: object) -> float:
    fraction = parse_percent(written)
    if fraction > LARGEST_HOLDBACK or abs(fraction * 100 - round(fraction * 100)) > 1e-9:
        raise NotUnderstoodError(f"a whole percentage from 0% to {LARGEST_HOLDBACK:.0%}, such as 2%")
    return fraction


Holdback = Annotated[
    float,
    PlainValidator(_whole_fraction),
    PlainSerializer(show_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "examples": ["2%"]}),
]
Weight = Annotated[
    int, PlainValidator(_whole_percent), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100})
]


def _default_bake(stage: dict[str, Any]) -> float:
    if stage["weight"] == 0:
        return 0.0
    return DEFAULT_LAST_BAKE_S if stage["weight"] == 100 else DEFAULT_BAKE_S


def _default_warmup(stage: dict[str, Any]) -> float:
    return 0.0 if stage["bake"] < SHORT_BAKE_S else DEFAULT_WARMUP_S


def _default_min_requests(stage: dict[str, Any]) -> int:
    return 0 if stage["weight"] in (0, 100) else DEFAULT_MIN_REQUESTS


class Stage(PlanPart):
    """One step of the plan."""

    weight: Weight = Field(
        description="Share of traffic on the canary, in whole percent; 0 is the preview of `strategy: blue-green`."
    )
    bake: Duration = Field(
        default_factory=_default_bake,
        description="How long the stage must hold; 15m by default, 1h at weight 100, 0s for a preview.",
    )
    warmup: Duration = Field(
        default_factory=_default_warmup,
        description="The first part of the bake, not judged; 60s by default, 0s when the bake is below 2m.",
    )
    min_requests: Annotated[Whole, Field(ge=0, le=1_000_000_000)] = Field(
        default_factory=_default_min_requests,
        description="Requests that the canary must answer in this stage; 1000 by default, 0 at weight 100 and 0.",
    )
    gate: Gate | None = Field(
        default=None,
        description="What people must say before the release leaves this stage, or finishes after the last.",
    )

    @model_validator(mode="after")
    def _holds_after_warmup(self) -> Self:
        if self.weight == 0:
            if self.warmup or self.min_requests:
                wrong = "warmup" if self.warmup else "min_requests"
                raise_faults([fault((wrong,), getattr(self, wrong), "nothing: a preview serves nobody")])
            return self
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


STAGES_OF: Mapping[Strategy, tuple[int, ...]] = {"canary": (5, 25, 50, 100), "blue-green": (0, 100), "plain": (100,)}


def default_stages(plan: dict[str, Any]) -> tuple[Stage, ...]:
    """The stages of a plan that writes none."""
    return tuple(Stage(weight=weight) for weight in STAGES_OF[plan.get("strategy", "canary")])


def strategy_faults(strategy: Strategy, stages: tuple[Stage, ...]) -> list[InitErrorDetails]:
    """Where the stages do not fit the strategy: blue-green is a preview and then all, plain is all at once."""
    weights = tuple(stage.weight for stage in stages)
    if strategy == "canary":
        allowed = "from 1 to 100: a preview of weight 0 belongs to strategy blue-green"
        return [fault(("stages", 0, "weight"), 0, allowed)] if weights[0] == 0 else []
    if weights == STAGES_OF[strategy]:
        return []
    wanted = " and ".join(map(str, STAGES_OF[strategy]))
    return [
        fault(("stages",), weights, f"weights {wanted}, as strategy {strategy} has", found=", ".join(map(str, weights)))
    ]


Stages = Annotated[tuple[Stage, ...], Field(max_length=50), WrapValidator(_rising)]
