"""What a command's `observe` prints: one JSON object, read strictly, for nothing of it can be taken on trust."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NoReturn

from pydantic import BeforeValidator, Field, ValidationError

from engine.inputs import Observation
from engine.plan.fields import VERSION_PATTERN, Number, Text, Url, Whole
from engine.plan.part import FAULT, PlanPart
from engine.plan.units import NotUnderstoodError
from engine.processes import plain

LONGEST: Final = 300  # characters of a text that people read


class AnswerError(Exception):
    """What was printed can't be used; one line says why."""


def _named(written: object) -> object:
    if type(written) is int:
        return str(written)
    if isinstance(written, str) and written and not re.fullmatch(VERSION_PATTERN, written):
        raise NotUnderstoodError("letters, digits and . _ + : @ / -, beginning with a letter or a digit")
    return written


def _shown(written: object) -> object:
    return plain(written, LONGEST) if isinstance(written, str) else written


Named = Annotated[Text, BeforeValidator(_named)]
Shown = Annotated[Text, BeforeValidator(_shown)]
Percentage = Annotated[Number, Field(ge=0, le=100)]
Count = Annotated[Whole, Field(ge=0, le=10**9)]


class Answer(PlanPart):
    """The fields of an `engine.inputs.Observation`; only `weight` must be there."""

    weight: Percentage = Field(description="Percent of the traffic on the canary.")
    share: Percentage | None = Field(default=None, description="The true share, where the weight can't be exact.")
    pending: Shown = Field(default="", description="Why what was written is not in effect everywhere yet.")
    canary: Named = Field(default="", description="The new version, as it answers. A release waits for it.")
    stable: Named = Field(default="", description="The version that serves. A release waits for it.")
    canary_ready: Count | None = Field(default=None, description="Replicas of the canary. A release waits for one.")
    stable_ready: Count | None = Field(default=None, description="Replicas of stable that can serve.")
    canary_asked: Count | None = Field(default=None, description="Replicas that the canary's owner wants.")
    full: Count | None = Field(default=None, description="Replicas that carry all of the traffic.")
    canary_build: Named = Field(default="", description="What really runs: an image's digest, a template's hash.")
    stable_build: Named = Field(default="", description="The same of stable.")
    canary_workload: Named = Field(default="", description="What runs the canary.")
    stable_workload: Named = Field(default="", description="What runs stable.")
    generation: Named = Field(default="", description="Changes with every change; by default laneshift derives one.")
    mark: Named = Field(default="", description="{number} of the last write, where the target can hold it.")
    by: Shown = Field(default="", description="Who made that write.")
    release: Named = Field(default="", description="{release} of that write.")
    engine: Named = Field(default="", description="The engine of that write.")
    hand: Shown = Field(default="", description="Who changed the weight last, when it was not laneshift.")
    addresses: dict[Literal["canary", "stable", "public"], Url] = Field(
        default={}, description="Base URLs where a side answers by itself, and the public one; checks ask there."
    )
    remark: Shown = Field(default="", description="What people should know of this reading.")

    def observation(self) -> Observation:
        """As the release machine is told."""
        told = {name: getattr(self, name) for name in Answer.model_fields if name not in ("release", "addresses")}
        return Observation(**told, marked_release=self.release)


def read_answer(printed: bytes, hide: Callable[[Any], Any]) -> Answer:
    """What was printed, with secrets hidden. Raises AnswerError."""
    try:
        found = json.loads(printed, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"no JSON: {plain(str(error))}") from None
    if not isinstance(found, dict):
        raise AnswerError("no JSON object")
    try:
        return Answer.model_validate(hide(found))
    except ValidationError as error:
        raise AnswerError(_in_words(error)) from None
    except OverflowError:
        raise AnswerError("a number that is too large") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _in_words(error: ValidationError) -> str:
    """The first fault, as in `weight: found 120, allowed: 100 at most`."""
    first = error.errors(include_url=False, include_input=False)[0]
    context = first.get("ctx", {}) if first["type"] == FAULT else {"shown": "a value", "allowed": first["msg"]}
    said = f"{'.'.join(map(str, first['loc']))}: found {context['shown']}, allowed: {context['allowed']}"
    return plain(said)
