"""What is wrong with a plan, where, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a plan's file.

    line, column: counted from 1; 0 where the fault is the file's as a whole.
    key:          the path to it, as in `stages[1].weight`; empty for the whole plan.
    found:        what stands there, safe to print; never a secret.
    allowed:      what may stand there.
    hint:         the nearest known key, or how to mend it; may be empty.
    """

    file: str
    line: int
    column: int
    key: str
    found: str
    allowed: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}:{key} found {self.found}, allowed: {self.allowed}{hint}"


class PlanError(ValueError):
    """A plan that can't be used. `problems` holds every fault of the file, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda problem: (problem.line, problem.column, problem.key)))
        more = len(self.problems) - MOST_SHOWN
        rest = [f"{self.problems[0].file}: and {more:,} more"] if more > 0 else []
        super().__init__("\n".join([*map(str, self.problems[:MOST_SHOWN]), *rest]))


def printable(text: str, longest: int = 60) -> str:
    """Text from outside made safe for a terminal: no control characters, no bidirectional marks, not too long."""
    safe = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text[: longest + 1])
    return safe if len(text) <= longest else safe[: longest - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known word nearest to this one; empty when none is near."""
    near = difflib.get_close_matches(word[:80], list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""
