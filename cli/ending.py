"""How commands end: exit codes, and errors as one clear line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

from engine.client import EngineGone, EngineRefused


class Exit(IntEnum):
    """What the exit code says; scripts rely on it."""

    DONE = 0
    ROLLED_BACK = 1
    BAD_INPUT = 2
    NO_ENGINE = 3
    REFUSED = 4
    ROLLBACK_FAILED = 5
    TIMED_OUT = 6


OUTCOMES = {"rolled_back": Exit.ROLLED_BACK, "rollback_failed": Exit.ROLLBACK_FAILED, "cancelled": Exit.REFUSED}


def fail(code: Exit, message: str) -> NoReturn:
    """Say why on standard error and end."""
    sys.stderr.write(f"laneshift: {message}\n")
    sys.exit(code)


def show(as_json: bool, data: Any, text: str) -> None:
    """Print a result, for a program or for a person."""
    sys.stdout.write((json.dumps(data) if as_json else text) + "\n")
    sys.stdout.flush()


@contextmanager
def ended_well() -> Iterator[None]:
    """Turn the client's errors into exit codes and one line each."""
    try:
        yield
    except EngineGone as error:
        fail(Exit.NO_ENGINE, f"{error}\n  start one: laneshift serve (or laneshift start PLAN)")
    except EngineRefused as error:
        fail(Exit.BAD_INPUT if error.status in (404, 413, 422) else Exit.REFUSED, str(error))
    except BrokenPipeError:
        sys.exit(Exit.DONE)
