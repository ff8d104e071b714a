"""What a host says about itself when it is asked for metrics and probes: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.state import State

if TYPE_CHECKING:
    from engine.telemetry.meters import Meters


@dataclass(frozen=True, slots=True)
class Vital:
    """One look at the host.

    states:         the releases in this engine's hands, ended ones too
    resumed:        all that had not ended were taken up
    journal_lives:  the threads that write the journal run
    journal_silent_s: for so long the journal has answered nothing that it was asked, in seconds
    behind_s:       for so long the oldest record has waited for the journal, in seconds
    waiting:        records that a way back did not wait for: in the spool or in memory
    trouble:        why the journal does not take records; empty when it does
    store_away:     why the shared store does not answer; empty when it does, or when there is none
    lease_left_s:   of the lease that ends first; None where leases never end, or none is held
    attached:       clients that follow a release
    """

    states: Sequence[State]
    resumed: bool = True
    journal_lives: bool = True
    journal_silent_s: float = 0.0
    behind_s: float = 0.0
    waiting: int = 0
    trouble: str = ""
    store_away: str = ""
    lease_left_s: float | None = None
    attached: int = 0


class Shown(Protocol):
    """The part of a host that is shown."""

    @property
    def watcher(self) -> Meters:
        """What its parts told."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def vital(self) -> Vital:
        """How it is now."""
