"""`commands` in engine.yaml: what plans may run on the engine's machine."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import InitErrorDetails

from engine.placeholders import OF_A_TARGET, OF_A_WEIGHT, OF_A_WRITE, ParamName, placeholders_in
from engine.plan.fields import Duration, Line, Text
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.problem import nearest
from engine.plan.units import NotUnderstoodError, show_duration

LONGEST_S: Final = 600.0
ACTS: Final = {"observe": OF_A_TARGET, "shift": OF_A_WRITE, "rollback": OF_A_WRITE, "scale": OF_A_WEIGHT}
"""What a command does for a router, and the placeholders that have a value then."""


def _argument(written: str) -> str:
    if REFERENCE.search(written):
        raise NotUnderstoodError("no secret, for everybody on the machine can read arguments", "put it under env")
    if not written.isprintable():
        raise NotUnderstoodError("one line of printable text", "put more into a script")
    return written


def _argv(written: tuple[str, ...]) -> tuple[str, ...]:
    if written[0].startswith("-") or placeholders_in(written[0]) or not written[0]:
        raise NotUnderstoodError("a program first, by name or path, then its arguments")
    return written


def _variable(written: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,99}", written):
        raise NotUnderstoodError("the name of an environment variable, such as AWS_PROFILE")
    return written


def _value(written: str) -> str:
    if "\x00" in written:
        raise NotUnderstoodError("text without the character U+0000")
    return written


def _limit(written: float) -> float:
    if not 0 < written <= LONGEST_S:
        raise NotUnderstoodError(f"more than 0s, {show_duration(LONGEST_S)} at most")
    return written


Limit = Annotated[Duration, AfterValidator(_limit)]
Argument = Annotated[Text, Field(max_length=4000), AfterValidator(_argument)]
Argv = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=200), AfterValidator(_argv)]
"""A program and its arguments, run as they are and never by a shell."""

Variable = Annotated[Text, AfterValidator(_variable)]
Value = Annotated[Text, Field(max_length=10_000), AfterValidator(_value)]


class Command(PlanPart):
    """What one name in `commands` runs."""

    observe: Argv = Field(description="Prints what is in effect now, as JSON.")
    shift: Argv = Field(description="Puts {weight} percent of the traffic on the canary.")
    rollback: Argv | None = Field(
        default=None, description="Puts all traffic on stable; by default `shift` with a weight of 0."
    )
    scale: Argv | None = Field(default=None, description="Brings both sides to the size that {weight} needs.")
    params: tuple[ParamName, ...] = Field(
        default=(), max_length=50, description="Placeholders of its own, whose values a plan gives."
    )
    timeout: Limit = Field(default=10.0, description="How long one run may take; then its process group is killed.")
    env: dict[Variable, Value] = Field(
        default={}, max_length=100, description="Its environment, beside PATH, HOME and the like."
    )
    cwd: Line | None = Field(
        default=None, description="Where it runs, relative to this file; by default this file's folder."
    )

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        raise_faults(each for act, known in ACTS.items() for each in self._unknown(act, (*known, *self.params)))
        return self

    def argv(self, act: str) -> tuple[str, ...]:
        """What `observe`, `shift`, `rollback` or `scale` runs; empty for nothing."""
        own: tuple[str, ...] | None = getattr(self, act)
        return own or (self.shift if act == "rollback" else ())

    def uses(self, placeholder: str) -> bool:
        """Does any of its arguments hold this placeholder?"""
        return any(placeholder in placeholders_in(argument) for act in ACTS for argument in self.argv(act))

    def _unknown(self, act: str, known: tuple[str, ...]) -> list[InitErrorDetails]:
        return [
            fault((act, index), argument, _braced(known), nearest(name, known), found=f"the placeholder {{{name}}}")
            for index, argument in enumerate(getattr(self, act) or ())
            for name in placeholders_in(argument)
            if name not in known
        ]


def _braced(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
