"""How commands end: exit codes, results for a person or a program, and errors as one clear line.

Imported by `laneshift rollback` before anything else: only what is small is imported here.
"""

from __future__ import annotations

import json
import os
import sys
from enum import IntEnum

from engine.line import EngineGone, EngineRefused

TYPE_CHECKING = False
if TYPE_CHECKING:  # the name is enough for a type checker, and typing takes 5 ms
    from collections.abc import Callable
    from typing import Any, NoReturn


class Exit(IntEnum):
    """What the exit code says; scripts rely on it. Above 128 it is a signal's number, as shells have it."""

    DONE = 0
    ROLLED_BACK = 1
    BAD_INPUT = 2
    NO_ENGINE = 3
    REFUSED = 4
    ROLLBACK_FAILED = 5
    TIMED_OUT = 6
    INTERRUPTED = 130
    PIPE_CLOSED = 141


OUTCOMES = {"rolled_back": Exit.ROLLED_BACK, "rollback_failed": Exit.ROLLBACK_FAILED, "cancelled": Exit.REFUSED}
BAD_INPUT = (400, 404, 405, 413, 422)  # HTTP's words for it


class Failed(Exception):
    """A command that ends with another code than 0, and why; `data` is what `--json` shows beside that."""

    def __init__(self, code: Exit, message: str, data: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class ReaderGone(Exception):
    """Whoever read our output has closed it."""


def fail(code: Exit, message: str, **data: Any) -> NoReturn:
    """End the command, saying why."""
    raise Failed(code, message, data)


def show(as_json: bool, data: Any, text: str) -> None:
    """Print a result, for a program or for a person."""
    sys.stdout.write((json.dumps(data) if as_json else plain(text)) + "\n")
    sys.stdout.flush()


def plain(text: str) -> str:
    """Text from outside as the terminal may have it: its lines stay, control characters are written out."""
    if text.isprintable():
        return text
    return "\n".join(_plain_line(line) for line in text.split("\n"))


def _plain_line(line: str) -> str:
    if line.isprintable():
        return line
    from engine.plan.problem import printable

    return printable(line, longest=len(line))


def warn(message: str) -> None:
    """Say something on standard error; the command goes on."""
    sys.stderr.write(f"laneshift: {plain(message)}\n")
    sys.stderr.flush()


def ended_well(command: Callable[[], None], *, as_json: bool = False) -> int:
    """Run a command; returns its exit code. What it could not do is said in a line, and as JSON when that is wanted."""
    try:
        _speak_any_language()
        command()
        sys.stdout.flush()
    except Failed as failed:
        return _said(failed.code, str(failed), as_json, failed.data)
    except EngineGone as error:
        return _said(Exit.NO_ENGINE, f"{error}\n  {error.mend}" if error.mend else str(error), as_json, {})
    except EngineRefused as error:
        return _said(Exit.BAD_INPUT if error.status in BAD_INPUT else Exit.REFUSED, str(error), as_json, {})
    except (BrokenPipeError, ReaderGone):
        return _pipe_closed()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    return Exit.DONE


def _said(code: Exit, message: str, as_json: bool, data: dict[str, Any]) -> Exit:
    try:
        if as_json:
            show(True, {"error": message, "exit_code": int(code), **data}, "")
        warn(message)
    except BrokenPipeError:
        return _pipe_closed()
    return code


def _pipe_closed() -> Exit:
    """Whoever read us is gone: nothing more may be written, not even when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.PIPE_CLOSED


def _speak_any_language() -> None:
    """A terminal without Unicode gets escapes, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
