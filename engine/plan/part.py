"""The base of every part of a plan: strict, frozen, and with faults that say what was found and what is allowed.

pydantic's own messages speak of types; each model translates those of its own fields into the sentence of a
`Problem` where they arise, since only there the known keys and the field's description are at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticUndefined

from engine.plan.problem import nearest, printable
from engine.plan.units import NotUnderstoodError

Loc = tuple[int | str, ...]
FAULT: Final = "plan_fault"

_ALLOWED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} at most",
    "less_than": "less than {lt}",
    "too_short": "{min_length} or more",
    "too_long": "{max_length} at most",
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} characters at most",
}


def fault(loc: Loc, written: object, allowed: str, hint: str = "", found: str = "") -> InitErrorDetails:
    """One fault at `loc`, relative to what raises it. `found` is given only where the value says too little."""
    words = {"found": found, "shown": found or shown(written), "allowed": allowed, "hint": hint}
    return InitErrorDetails(
        type=PydanticCustomError(FAULT, "found {shown}, allowed: {allowed} {hint}", words), loc=loc, input=written
    )


def raise_faults(faults: Iterable[InitErrorDetails]) -> None:
    """Raises a ValidationError of all of them, if there are any; pydantic puts its own path before theirs."""
    found = list(faults)
    if found:
        raise ValidationError.from_exception_data("plan", found)


def faults_of(error: ValidationError) -> list[InitErrorDetails]:
    """The faults of an error that is to be raised again together with others."""
    return [_again(details, None) for details in error.errors(include_url=False) if _tells(details)]


def checked(handler: Callable[[Any], Any], written: object, faults: Iterable[InitErrorDetails], loc: Loc = ()) -> Any:
    """What `handler` makes of `written`; its faults and the given ones are raised together."""
    found = list(faults)
    try:
        value = handler(written)
    except ValidationError as error:
        nested = faults_of(error)
        for details in nested:
            details["loc"] = (*loc, *details.get("loc", ()))
        found += nested
        value = None
    raise_faults(found)
    return value


def shown(written: object) -> str:
    """A value in a message, when there is no file to show it from."""
    if written is None:
        return "nothing"
    if isinstance(written, Mapping):
        return "a mapping"
    return "a list" if isinstance(written, (list, tuple)) else printable(str(written))


class PlanPart(BaseModel):
    """A mapping of known keys, frozen once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_is_allowed(cls, written: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(written)
        except ValidationError as error:
            found = error.errors(include_url=False)
        raise ValidationError.from_exception_data(cls.__name__, [_again(each, cls) for each in found if _tells(each)])

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Defaults as people write them (`2m`, not 120.0), and no titles that repeat the key."""
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, about in cls.model_fields.items():
            described = properties.get(name, {})
            described.pop("title", None)
            if about.default is PydanticUndefined:
                continue  # a key that is required, or whose default depends on others and says so itself
            if described.get("default") is not None:
                written = TypeAdapter(about.rebuild_annotation()).dump_python(about.default, mode="json")
                described["default"] = written
            else:
                described.pop("default", None)
        return schema


def _tells(details: ErrorDetails) -> bool:
    """A default that could not be computed is the consequence of another fault."""
    return details["type"] != "default_factory_not_called"


def _again(details: ErrorDetails, part: type[BaseModel] | None) -> InitErrorDetails:
    """pydantic's error as a fault; one that is a fault already stays as it is."""
    kind, loc, written = details["type"], details["loc"], details["input"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if kind == FAULT:
        return fault(loc, written, context["allowed"], context["hint"], context["found"])
    if kind == "missing":
        return fault(loc, None, "a value, since it is required", _meaning(part, loc), found="nothing")
    if kind == "extra_forbidden":
        known = list(part.model_fields) if part else []
        hint = nearest(str(loc[-1]), known)
        return fault(loc, None, ", ".join(known) or "no such key", hint, found="an unknown key")
    if loc[-1:] == ("[key]",) and isinstance(context.get("error"), NotUnderstoodError):
        return fault(loc, written, context["error"].allowed, context["error"].hint, found=f"{shown(written)} as a key")
    if kind == "value_error" and isinstance(context.get("error"), NotUnderstoodError):
        return fault(loc, written, context["error"].allowed, context["error"].hint)
    return fault(loc, written, *_in_words(details, context))


def _meaning(part: type[BaseModel] | None, loc: Loc) -> str:
    about = part.model_fields.get(str(loc[-1])) if part and len(loc) == 1 else None
    meaning = about.description if about and about.description else ""
    return (meaning[:1].lower() + meaning[1:]).rstrip(".")


def _in_words(details: ErrorDetails, context: Mapping[str, Any]) -> tuple[str, str]:
    """What is allowed, and a hint, for one of pydantic's own errors."""
    kind, written = details["type"], details["input"]
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return " or ".join([", ".join(known[:-1]), known[-1]]) if known[1:] else str(*known), nearest(
            shown(written), known
        )
    if kind == "string_type" and isinstance(written, (int, float)):
        return "text", "write it in quotes"
    if kind == "is_instance_of":
        return f"a {context.get('class', 'value')}", ""
    words = _ALLOWED.get(kind)
    return (words.format(**context) if words else details["msg"]), ""
