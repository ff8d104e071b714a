"""`{weight}` and the like in the arguments of a command: which there are, and their values put in.

A value is put into an argument as it is and never through a shell; none can begin with `-`, so none becomes an option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from engine.plan.fields import VERSION_PATTERN, Text
from engine.plan.units import NotUnderstoodError

OF_A_TARGET: Final = ("service", "canary")
OF_A_WEIGHT: Final = (*OF_A_TARGET, "weight", "stable_weight")
OF_A_WRITE: Final = (*OF_A_WEIGHT, "number", "release", "engine", "generation")

PARAM_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def placeholders_in(argument: str) -> list[str]:
    """The names in braces, in their order."""
    return _PLACEHOLDER.findall(argument)


def filled(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The arguments with each placeholder replaced once. Raises KeyError for one without a value."""
    return [_PLACEHOLDER.sub(lambda found: values[found[1]], argument) for argument in argv]


def _param_name(written: str) -> str:
    if not re.fullmatch(PARAM_PATTERN, written):
        raise NotUnderstoodError("small letters, digits and underscores, such as namespace")
    if written in OF_A_WRITE:
        raise NotUnderstoodError("a name of its own", f"{{{written}}} has its value from laneshift")
    return written


def _param_value(written: str) -> str:
    if not re.fullmatch(VERSION_PATTERN, written):
        raise NotUnderstoodError("letters, digits and . _ + : @ / -, beginning with a letter or a digit")
    return written


ParamName = Annotated[Text, AfterValidator(_param_name), Field(json_schema_extra={"pattern": PARAM_PATTERN})]
"""A placeholder that plans give a value to."""

ParamValue = Annotated[Text, AfterValidator(_param_value), Field(json_schema_extra={"pattern": VERSION_PATTERN})]
"""Its value: a name, a number or an address, and never an option."""
