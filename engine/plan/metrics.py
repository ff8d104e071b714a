"""The metrics of a plan: four forms, told apart by their keys, each with lines in its own unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    Tag,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from engine.judge.metric import Kind, Metric, Threshold
from engine.plan.fields import Duration, Name, Number, Percent, Reading, SelectorField, one_or_more
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.problem import nearest
from engine.plan.questions import Question, parse_question
from engine.plan.selector import ALLOWED as SELECTOR_ALLOWED
from engine.plan.units import UNITS, NotUnderstoodError, parse_threshold, show_threshold, threshold_pattern

OnFail = Literal["rollback", "hold", "ask"]

ALERT_MEANS: Final = (
    "The line that must not be crossed, or a list of them; required unless the metric is informational. "
    "`baseline` in a line is what stable shows at the same time."
)
BASELINE_MEANS: Final = "What is usual: an expectation to read beside the numbers, not a comparison."
QUANTILE_BASELINE_MEANS: Final = (
    "What is usual. A line relative to the baseline becomes this many times it, fixed before the release."
)


def _question(written: object) -> Question:
    if isinstance(written, Question):
        return written
    if not isinstance(written, str):
        raise NotUnderstoodError(SELECTOR_ALLOWED)
    return parse_question(written)


QuestionField = Annotated[
    Question,
    PlainValidator(_question),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "examples": [
                'requests_total{version="$version"}',
                "/orders/$version/total",
                "select count(*) from orders where version = :version",
            ],
        }
    ),
]
"""What a number is read by: a series, a place in a JSON answer, or a query of a database."""


@dataclass(frozen=True)
class LinesOf:
    """Makes a field of a metric's lines: one or a list on the outside, a tuple of thresholds inside."""

    kind: Kind

    def read(self, written: object) -> tuple[Threshold, ...]:
        """Every line; all that can't be read are reported together."""
        lines, faults = [], []
        for index, each in enumerate(one_or_more(written)):
            try:
                lines.append(parse_threshold(each, self.kind))
            except NotUnderstoodError as error:
                loc = (index,) if isinstance(written, (list, tuple)) else ()
                faults.append(fault(loc, each, error.allowed, error.hint))
        raise_faults(faults)
        return tuple(lines)

    def write(self, lines: tuple[Threshold, ...]) -> list[str]:
        """The lines as in a plan."""
        return [show_threshold(line, self.kind) for line in lines]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        line = {"type": "string", "pattern": threshold_pattern(self.kind), "examples": list(UNITS[self.kind][2:])}
        return {"anyOf": [line, {"type": "array", "items": line, "maxItems": 10}]}


class MetricForm(PlanPart):
    """What all metrics have in common."""

    kind: ClassVar[Kind]
    selectors: ClassVar[tuple[str, ...]]

    baseline: float | None = None
    alert: tuple[Threshold, ...] = ()
    weight: Literal["critical", "normal", "informational"] = Field(
        default="normal", description="An informational metric is shown and never decides; it needs no line."
    )
    on_fail: OnFail | None = Field(
        default=None, description="What follows when this metric fails; by default the plan's own `on_fail`."
    )
    source: Name | None = Field(
        default=None, description="Which of the plan's `sources` it is read from; by default from `source`."
    )

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if self.weight == "informational":
            return self
        if not self.alert:
            hint = "to show the metric only, write weight: informational"
            raise_faults([fault(("alert",), None, f'a line such as "{UNITS[self.kind][2]}"', hint, found="no line")])
        hint = "else canary and stable can't be told apart"
        raise_faults(
            fault((name,), str(question), question.tells_its_side, hint)
            for name, question in self.questions.items()
            if not question.names_its_side
        )
        return self

    @property
    def questions(self) -> dict[str, Question]:
        """What is read for it, by the key that it stands under."""
        return {name: getattr(self, name) for name in self.selectors}

    def judged_as(self, name: str) -> Metric:
        """The metric as the judge knows it: seconds, fractions, readings."""
        return Metric(name, self.kind, self.alert, self.baseline, weight=self.weight)


class BadShare(MetricForm):
    """A share of bad events in all of them, such as errors."""

    kind = "bad"
    selectors = ("total", "bad")

    total: QuestionField = Field(description="The counter of all events.")
    bad: QuestionField = Field(description="The counter of the bad ones among them.")
    baseline: Percent | None = Field(default=None, description=BASELINE_MEANS)
    alert: Annotated[tuple[Threshold, ...], LinesOf("bad")] = Field(default=(), description=ALERT_MEANS)


class GoodShare(MetricForm):
    """A share of good events in all of them, such as purchases that succeed."""

    kind = "good"
    selectors = ("total", "good")

    total: QuestionField = Field(description="The counter of all events.")
    good: QuestionField = Field(description="The counter of the good ones among them.")
    baseline: Percent | None = Field(default=None, description=BASELINE_MEANS)
    alert: Annotated[tuple[Threshold, ...], LinesOf("good")] = Field(default=(), description=ALERT_MEANS)


class Latency(MetricForm):
    """A quantile of a histogram, such as the 95th percentile of response times in seconds."""

    kind = "latency"
    selectors = ("histogram",)

    histogram: SelectorField = Field(
        description="The histogram's own name, without `_bucket`.", examples=["http_request_duration_seconds"]
    )
    quantile: Annotated[Number, Field(gt=0, lt=1)] = Field(description="Which quantile, such as 0.95.")
    baseline: Duration | None = Field(default=None, description=QUANTILE_BASELINE_MEANS)
    alert: Annotated[tuple[Threshold, ...], LinesOf("latency")] = Field(default=(), description=ALERT_MEANS)

    @model_validator(mode="after")
    def _has_what_its_lines_need(self) -> Self:
        family = self.histogram.name
        for suffix in ("_bucket", "_sum", "_count"):
            if family.endswith(suffix):
                allowed = f"the histogram's own name, {family.removesuffix(suffix)}"
                raise_faults([fault(("histogram",), family, allowed)])
        if not self.baseline and any(line.relative for line in self.alert):
            allowed = "the usual value, such as 150ms, which a relative line of a quantile multiplies"
            raise_faults([fault(("baseline",), None, allowed, found="none" if self.baseline is None else "0s")])
        return self

    def judged_as(self, name: str) -> Metric:
        """The metric as the judge knows it, in seconds."""
        return Metric(name, self.kind, self.alert, self.baseline, quantile=self.quantile, weight=self.weight)


class Gauge(MetricForm):
    """A reading, such as connections in use."""

    kind = "gauge"
    selectors = ("gauge",)

    gauge: QuestionField = Field(description="The series to read.", examples=["db_pool_in_use"])
    limit: Reading | None = Field(default=None, description="The most there can be, shown beside the reading.")
    baseline: Reading | None = Field(default=None, description=BASELINE_MEANS)
    alert: Annotated[tuple[Threshold, ...], LinesOf("gauge")] = Field(default=(), description=ALERT_MEANS)

    def judged_as(self, name: str) -> Metric:
        """The metric as the judge knows it, in the reading's own unit."""
        return Metric(name, self.kind, self.alert, self.baseline, limit=self.limit, weight=self.weight)


FORMS: Final[Mapping[str, type[MetricForm]]] = {
    "bad": BadShare,
    "good": GoodShare,
    "histogram": Latency,
    "gauge": Gauge,
}
FORMS_ALLOWED: Final = "total with bad, total with good, histogram with quantile, or gauge"


def _form(written: Any) -> str:
    """Which form is meant, in brackets so that it is no key; only called when `_tell_form` found one."""
    for key, form in FORMS.items():
        if isinstance(written, form) or (isinstance(written, Mapping) and key in written):
            return f"<{key}>"
    return ""


def _tell_form(written: Any, handler: Callable[[Any], MetricForm]) -> MetricForm:
    if isinstance(written, Mapping) and not _form(written):
        known = {name for form in FORMS.values() for name in form.model_fields}
        strange = [key for key in written if key not in known]
        hint = next(filter(None, (nearest(key, sorted(known)) for key in strange)), "")
        raise_faults(
            [fault((), written, FORMS_ALLOWED, hint, found=f"only {', '.join(written)}" if written else "no key")]
        )
    if not isinstance(written, (Mapping, MetricForm)):
        raise_faults([fault((), written, f"a mapping of keys: {FORMS_ALLOWED}")])
    return handler(written)


AnyMetric = Annotated[
    Annotated[BadShare, Tag("<bad>")]
    | Annotated[GoodShare, Tag("<good>")]
    | Annotated[Latency, Tag("<histogram>")]
    | Annotated[Gauge, Tag("<gauge>")],
    Discriminator(_form),
    WrapValidator(_tell_form),
]
"""One metric of a plan, in the form that its keys tell."""
