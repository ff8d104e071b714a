"""What a plan writes under a check's name. Values only; the checks themselves are imported when a release runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from engine.plan.fields import Duration, HeaderName, Line, Text, Whole
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.units import NotUnderstoodError


def _path(written: str) -> str:
    if (
        not written.startswith("/")
        or written.startswith("//")
        or not written.isprintable()
        or set(written) & set(" #\\")
    ):
        raise NotUnderstoodError("a path on the service, such as /healthz")
    return written


HttpPath = Annotated[Text, Field(max_length=2000, json_schema_extra={"pattern": "^/"}), AfterValidator(_path)]


class HttpConfig(PlanPart):
    """One HTTP request whose answer must prove that it came from the side it was meant for."""

    path: HttpPath = Field(description="The path to ask for, with its query.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="The HTTP method."
    )
    expect: Annotated[Whole, Field(ge=100, le=599)] = Field(default=200, description="The status code that passes.")
    contains: Line | None = Field(default=None, description="Text that the answer's body must hold.")
    within: Duration | None = Field(
        default=None, description="The longest time that the whole answer may take to pass."
    )
    target: Literal["canary", "public", "stable"] = Field(
        default="canary", description="Whom to ask: the canary itself, stable itself, or the public way in."
    )
    version_header: HeaderName = Field(
        default="X-Version",
        description="The header that says which version answered; without it the check is an error.",
    )
    body: JsonValue = Field(default=None, description="What to send, as JSON.")

    @property
    def title(self) -> str:
        """As in `GET /healthz`, with the target when it is not the canary."""
        return f"{self.method} {self.path}" + ("" if self.target == "canary" else f" ({self.target})")

    @model_validator(mode="after")
    def _fits_the_method(self) -> Self:
        if self.body is not None and self.method in ("GET", "HEAD"):
            raise_faults([fault(("body",), self.body, f"no body with {self.method}", "name a method such as POST")])
        if self.contains and self.method == "HEAD":
            raise_faults([fault(("contains",), self.contains, "no text with HEAD, whose answer has no body")])
        if self.within is not None and self.within <= 0:
            raise_faults([fault(("within",), "0s", "more than 0s")])
        return self
