"""What a request may carry: bounded, and refused in a sentence when it is something else."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from engine.plan.files import MOST_FILES
from engine.plan.problem import printable
from engine.release import VERBS
from engine.serving.files import FileBody

LONGEST_BODY = 2 * 1024 * 1024
LONGEST_TEXT = 10_000  # characters of a reason or a note
LONGEST_NAME = 500  # characters of anything else that is not a plan
LONGEST_WHERE = 200  # characters of a client's own words about where it is
LONGEST_START = 8 * 1024 * 1024  # bytes of a start with its files

B = TypeVar("B", bound="Body")


class Body(BaseModel):
    """A JSON object; fields that this version does not know are left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)


def _known_verb(verb: str) -> str:
    if verb not in VERBS:
        said = f"there is no order {printable(verb)}; there are {', '.join(VERBS)}"
        raise PydanticCustomError("no_order", "{said}", {"said": said})
    return verb


def _whole(written: Any) -> Any:
    """In JSON 1.0 is the whole number 1."""
    return int(written) if isinstance(written, float) and written.is_integer() else written


Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Verb = Annotated[Name, AfterValidator(_known_verb), Field(json_schema_extra={"enum": list(VERBS)})]
Who = Annotated[
    str, Field(deprecated=True, max_length=LONGEST_NAME, description="Not read: the connection says who asks.")
]
Where = Annotated[
    str, Field(max_length=LONGEST_WHERE, description="The client's own words about where it is, such as its terminal.")
]


class PlanBody(Body):
    """A plan, and what a release of it would be."""

    plan: str = Field(max_length=LONGEST_BODY, description="The plan file's own text.")
    name: Name = Field(default="plan.yaml", description="The plan file's name, for messages.")
    canary: Name = Field(default="", description="The canary's version, where the plan does not say it.")
    observe: bool = Field(default=False, description="Something else drives the release: only judge it.")


class StartBody(PlanBody):
    """A start."""

    who: Who = ""
    where: Where = ""
    key: Name = Field(default="", description="Names this start: repeated with the same key it attaches.")
    files: Annotated[list[FileBody], Field(max_length=MOST_FILES, description="The files that the plan names.")] = []


class PruneBody(Body):
    """What to forget. Without `ticks`, `releases` and `size` it is what the engine's configuration does not keep."""

    dry_run: bool = Field(default=False, description="Only count what would be forgotten.")
    ticks: Name | None = Field(default=None, description="How long each look is kept, such as 30d.")
    releases: Name | None = Field(default=None, description="How long a release is kept, such as 400d.")
    size: Name | None = Field(default=None, description="How large the journal may be, such as 2GB.")


class OrderBody(Body):
    """An order. Those that move forward carry the stage and revision that they are meant for."""

    verb: Verb
    id: Annotated[Name, Field(min_length=1)] = Field(description="Names this order: repeated it counts once.")
    who: Who = ""
    reason: str = Field(default="", max_length=LONGEST_TEXT)
    stage: Annotated[int, Field(ge=-(10**9), le=10**9), BeforeValidator(_whole)] | None = None
    revision: Name | None = None
    item: Name = Field(default="", description="The checklist's item that is ticked, unticked or waived.")
    override: bool = False
    break_glass: bool = Field(default=False, description="Roll back although roles forbid it; needs a reason.")
    where: Where = ""
    asked_at: Annotated[float, Field(gt=-1e12, lt=1e12)] | None = Field(
        default=None, description="When the person was asked, in seconds since the epoch."
    )


async def read(request: Request, kind: type[B], longest: int = LONGEST_BODY) -> B:
    """The request's body. Raises HTTPException: 413 when it is too long, 422 when it is something else."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > longest:
            raise HTTPException(413, f"{longest} bytes at most")
    try:
        return kind.model_validate_json(bytes(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise HTTPException(422, _sentence(first)) from None


_WORDS = {
    "bool": "is true or false",
    "finite": "is a number",
    "float": "is a number",
    "int": "is a whole number",
    "list": "is a list",
    "missing": "is missing",
    "model": "is a JSON object",
    "string": "is a text",
}


def _sentence(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    name = ".".join(map(str, fault["loc"])) or "the body"
    if kind == "json_invalid":
        return f"the body is not JSON: {context['error']}"
    if kind == "string_too_long":
        return f"{name} has {context['max_length']} characters at most"
    return _worded(kind, name, fault["msg"], context)


def _worded(kind: str, name: str, message: str, context: dict[str, Any]) -> str:
    said: str | None = context.get("said")
    words = _WORDS.get(kind.partition("_")[0])
    return said or (f"{name} {words}" if words and not kind.endswith(("_short", "_long")) else f"{name}: {message}")
