"""One line of the doctor: something that a release will need, tried without changing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was tried and `said` what came of it; `mend` is the command or the step that puts it right.

    ok:   it is as a release needs it
    warn: a release can go, and somebody should know
    bad:  a release would fail or could not be taken back
    """

    grade: Grade
    what: str
    said: str
    mend: str = ""
