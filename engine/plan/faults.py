"""pydantic's errors of a plan as problems with a place in its file."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.plan.part import FAULT
from engine.plan.problem import Problem
from engine.plan.yaml_source import Located, Path, key_path


def problems_of(error: ValidationError, located: Located) -> list[Problem]:
    """Every fault, except where the reader has already found one: the second would be its consequence."""
    said = {(problem.line, problem.column) for problem in located.problems}
    details = error.errors(include_url=False, include_input=False)
    found = [_problem(each, located) for each in details]
    return [problem for problem in found if (problem.line, problem.column) not in said]


def _problem(details: ErrorDetails, located: Located) -> Problem:
    """A fault with its place in the file: the key's where a key is wrong, else the value's."""
    path, whole = _path(details["loc"], located)
    context = details.get("ctx", {}) if details["type"] == FAULT else {"allowed": details["msg"]}
    place = located.places[path]
    of_key = not whole or context.get("found", "").endswith("key")
    mark = place.key if of_key else place.value
    found = context.get("found") or (place.shown if whole else context.get("shown", "nothing"))
    key = key_path(path if whole else (*path, details["loc"][-1]))
    return Problem(located.file, mark.line, mark.column, key, found, context["allowed"], context.get("hint", ""))


def _path(loc: Path, located: Located) -> tuple[Path, bool]:
    """The deepest place on the way to `loc`, and whether it is `loc` itself. Marks of union members are no keys."""
    path: Path = ()
    for step in loc:
        if (*path, step) in located.places:
            path = (*path, step)
        elif not (isinstance(step, str) and step.startswith(("<", "["))):
            return path, False
    return path, True
