"""The engine's own configuration, `engine.yaml`: what plans may run on the engine's machine.

It is the engine's, not a plan's: the file in the state folder, or where $LANESHIFT_ENGINE_CONFIG says. It is read
whenever a release needs it, so a change holds from the next start on; a release that runs keeps what it began with.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from engine.placeholders import OF_A_TARGET, OF_A_WEIGHT, OF_A_WRITE, ParamName, placeholders_in
from engine.plan.faults import problems_of
from engine.plan.fields import Duration, Line, Name, Text
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.problem import PlanError, nearest
from engine.plan.units import NotUnderstoodError, show_duration
from engine.plan.yaml_source import read_yaml
from engine.secrets import Secrets

FILE: Final = "engine.yaml"
VARIABLE: Final = "LANESHIFT_ENGINE_CONFIG"
LONGEST_S: Final = 600.0
ACTS: Final = {"observe": OF_A_TARGET, "shift": OF_A_WRITE, "rollback": OF_A_WRITE, "scale": OF_A_WEIGHT}
"""What a command does for a router, and the placeholders that have a value then."""


class EngineConfigError(Exception):
    """The engine's configuration is wrong, or does not allow what a plan asks for; the message says what to do."""


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


class EngineConfig(PlanPart):
    """The engine's own configuration."""

    commands: dict[Name, Command] = Field(
        default={}, max_length=1000, description="What plans may run, by name. A plan can't add to it."
    )


def config_path(home: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration is: $LANESHIFT_ENGINE_CONFIG, else `engine.yaml` in the state folder."""
    named = environment.get(VARIABLE)
    return Path(named) if named else home / FILE


def read_engine_config(path: Path, *, needed: bool = False) -> EngineConfig:
    """The configuration in a file; an empty one when there is no such file, unless it is `needed`.

    Raises EngineConfigError with every fault of the file and its place, and for one that anybody may write to.
    """
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IWOTH:
                raise EngineConfigError(f"everybody can write to {path}, which says what is run: chmod o-w {path}")
            return parse_engine_config(file.read(), str(path))
    except FileNotFoundError:
        if needed:
            raise EngineConfigError(f"there is no {path}, which {VARIABLE} names") from None
        return EngineConfig()
    except OSError as error:
        raise EngineConfigError(f"{path} can't be read: {error.strerror}") from None


def parse_engine_config(content: bytes, file: str = FILE) -> EngineConfig:
    """The configuration in these bytes; `file` is its name in messages. Raises EngineConfigError."""
    try:
        located = read_yaml(content, file)
    except PlanError as error:
        raise EngineConfigError(str(error)) from None
    found = []
    try:
        config = EngineConfig.model_validate(located.data)
    except ValidationError as error:
        found = problems_of(error, located)
    if located.problems or found:
        raise EngineConfigError(str(PlanError([*located.problems, *found])))
    return config


@dataclass(frozen=True, slots=True)
class Granted:
    """A command that the engine's configuration allows: as written, with its secrets, and the folder it runs in."""

    name: str
    written: Command
    filled: Command
    folder: Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a router or check may know beside its own configuration: of the engine, of the plan and of the start order.

    A class whose attribute `needs_surroundings` is true is built with them: `Kind(config, surroundings)`.
    """

    secrets: Secrets
    service: str
    canary: str

    def command(self, name: str) -> Granted:
        """A command of the engine's configuration. Raises EngineConfigError, SecretMissingError."""
        path = config_path(self.secrets.home)
        commands = read_engine_config(path, needed=VARIABLE in os.environ).commands
        if name not in commands:
            known = ", ".join(commands) or "none"
            hint = nearest(name, commands)
            raise EngineConfigError(f"{path} has no command {name}, only: {known}; {hint}".rstrip("; "))
        written = commands[name]
        folder = path.absolute().parent / (written.cwd or ".")
        return Granted(name, written, self.secrets.resolve(written), folder)
