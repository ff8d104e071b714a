"""The files that a plan names: read beside the plan by who starts a release, and sent along with it.

A part of a plan that works on files says which by the property `files` of its configuration. Paths are relative to the
plan, and what they lead to lies in the plan's folder, symbolic links followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field

from engine.plan.fields import Line
from engine.plan.problem import PlanError, Problem
from engine.plan.units import NotUnderstoodError

if TYPE_CHECKING:
    from engine.plan.model import Plan

MOST_FILES: Final = 50
LONGEST_FILE: Final = 1024 * 1024  # bytes
LONGEST_FILES: Final = 2 * 1024 * 1024  # bytes, all together


def _inside(written: str) -> str:
    path = PurePosixPath(written)
    if path.is_absolute() or ".." in path.parts or "\\" in written or str(path) != written or written == ".":
        raise NotUnderstoodError("a path relative to the plan, without .., such as reports/regression.xml")
    return written


PlanFile = Annotated[Line, AfterValidator(_inside), Field(json_schema_extra={"examples": ["reports/regression.xml"]})]
"""A file in the plan's folder or below it."""


def files_of(plan: Plan) -> tuple[str, ...]:
    """The files that the plan names, each once, in the plan's order."""
    checks = (*plan.checks.pre, *plan.checks.stage, *plan.checks.post)
    return tuple(dict.fromkeys(name for check in checks for name in getattr(check.config, "files", ())))


def read_files(plan_path: Path, plan: Plan) -> dict[str, bytes]:
    """The content of each, by the path as the plan has it.

    Raises PlanError with all that are not there, lie elsewhere or are too large.
    """
    names = files_of(plan)
    problems: list[Problem] = []
    if len(names) > MOST_FILES:
        problems.append(_problem(plan_path, f"{len(names)} files", f"{MOST_FILES} files at most"))
    found: dict[str, bytes] = {}
    for name in names[:MOST_FILES]:
        try:
            found[name] = _content(plan_path.parent, name)
        except (OSError, ValueError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            problems.append(_problem(plan_path, f"{name}: {why}", "a file in the plan's folder"))
    whole = sum(map(len, found.values()))
    if whole > LONGEST_FILES:
        problems.append(_problem(plan_path, f"files of {whole:,} bytes", f"{LONGEST_FILES:,} bytes at most, together"))
    if problems:
        raise PlanError(problems)
    return found


def _content(folder: Path, name: str) -> bytes:
    """Raises OSError, and ValueError for what is no file of this folder or too large; RuntimeError for a link loop."""
    root = folder.resolve(strict=True)
    path = (root / name).resolve(strict=True)
    if not path.is_relative_to(root):
        raise ValueError("it lies outside of the plan's folder")
    return b"".join(_read(path))


def _read(path: Path) -> Iterator[bytes]:
    """Nothing but an ordinary file: a pipe would be waited for, a device has no end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no ordinary file")
        content = file.read(LONGEST_FILE + 1)
        if len(content) > LONGEST_FILE:
            raise ValueError(f"it has more than {LONGEST_FILE:,} bytes")
        yield content


def _problem(plan_path: Path, found: str, allowed: str) -> Problem:
    return Problem(str(plan_path), 0, 0, "", found, allowed)
