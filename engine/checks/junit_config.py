"""What a plan writes under `junit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from engine.plan.fields import Duration, Line, Whole
from engine.plan.files import PlanFile
from engine.plan.part import PlanPart
from engine.plan.units import NotUnderstoodError


def _some(written: float) -> float:
    if written <= 0:
        raise NotUnderstoodError("more than 0s")
    return written


class JunitConfig(PlanPart):
    """A report of tests in JUnit's XML, as pytest, Surefire, Jest and others write it; `junit: reports/regression.xml`
    is enough."""

    file: PlanFile = Field(description="The report, relative to the plan; `start` sends it along.")
    max_age: Annotated[Duration, AfterValidator(_some)] = Field(
        default=86400.0,
        description="How old the oldest of its suites may be, by its `timestamp` (UTC when it names no zone); without "
        "one, how long ago it was sent.",
    )
    revision_property: Line | None = Field(
        default=None,
        description="The property of its suites that names what was tested: the canary's version or build, else the "
        "check is an error.",
    )
    fail_on: Annotated[tuple[Literal["failures", "errors", "skipped"], ...], Field(min_length=1)] = Field(
        default=("failures", "errors"), description="Of what there may be none."
    )
    min_tests: Annotated[Whole, Field(ge=1)] = Field(
        default=1, description="Tests that must have run, those that were skipped not counted; fewer are an error."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the plan that it works on."""
        return (self.file,)

    @property
    def title(self) -> str:
        """As in `junit reports/regression.xml`."""
        return f"junit {self.file}"

    @model_validator(mode="before")
    @classmethod
    def _of_a_file_alone(cls, written: Any) -> Any:
        return {"file": written} if isinstance(written, str) else written

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A mapping, or the file alone."""
        schema = super().__get_pydantic_json_schema__(core, handler)
        described: Mapping[str, Any] = handler.resolve_ref_schema(schema)
        handler.resolve_ref_schema(schema)["type"] = [described["type"], "string"]
        return schema
