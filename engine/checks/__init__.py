"""Things that are run and answer yes or no: one file per kind, each with the class that the registry names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.events import CheckOutcome


@dataclass(frozen=True, slots=True)
class Place:
    """Where and of what a check asks: the base URLs of the sides, and the versions that must answer.

    files:        those that came with the plan, by the path it names them with
    canary_build: what really runs as the canary (a pod template's hash, an image's digest); empty when it is not known
    sent_at:      when the files came, in seconds since the epoch
    now:          the engine's time; by default the machine's
    """

    addresses: Mapping[str, str]
    canary: str
    stable: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    canary_build: str = ""
    sent_at: float | None = None
    now: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`summary` is one line for people; `evidence` JSON: what was asked, when, what came back, in bounded size."""

    outcome: CheckOutcome
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Check(Protocol):
    """Answers yes or no about one version; `ERROR` when it could not ask, or not the version it should."""

    name: str

    async def run(self, place: Place) -> CheckResult:
        """Ask, within the check's own time limit; never raises for what the other side does."""
