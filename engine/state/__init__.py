"""The state of a release: what folding its events gives."""

from __future__ import annotations

from engine.state.folding import apply, created, fold
from engine.state.model import (
    FAILING,
    FINAL,
    FORWARD,
    GOING_BACK,
    MISPLACED,
    RINGING,
    Approval,
    CheckState,
    Effort,
    Intent,
    ItemState,
    Phase,
    Question,
    State,
    Stopwatch,
    check_key,
    runs,
    worst,
)

__all__ = [
    "FAILING",
    "FINAL",
    "FORWARD",
    "GOING_BACK",
    "MISPLACED",
    "RINGING",
    "Approval",
    "CheckState",
    "Effort",
    "Intent",
    "ItemState",
    "Phase",
    "Question",
    "State",
    "Stopwatch",
    "apply",
    "check_key",
    "created",
    "fold",
    "runs",
    "worst",
]
