"""What one release works with, and how its parts speak to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine import events as ev
from engine.checks import Check
from engine.controller.lease import Lease
from engine.events import Event
from engine.inputs import Input
from engine.journal.records import Record
from engine.routers import Router
from engine.sources import Source
from engine.sources.reading import Query
from engine.state import State
from engine.telemetry import Watcher

LONGEST_SAID = 500  # characters of an answer or a reason


class Time(Protocol):
    """The wall clock and waiting, as values that a test can replace."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one release works with. `hide` takes resolved secrets out of what the others say; `files` came with the
    plan, by the path that it names them with."""

    router: Router
    source: Source
    queries: tuple[Query, ...]
    checks: dict[str, Check]
    hide: Callable[[Any], Any] = lambda said: said
    files: Mapping[str, bytes] = field(default_factory=dict)

    def bounded(self, said: str) -> str:
        """What a part of the release said, fit for the journal."""
        return str(self.hide(said))[:LONGEST_SAID]


@dataclass(frozen=True, slots=True)
class Said:
    """One recorded event with its number in the release."""

    seq: int
    event: Event


class Live(Protocol):
    """The release as those see it who act and look for it."""

    time: Time
    lease: Lease
    watcher: Watcher

    @property
    def state(self) -> State:
        """The release now."""

    @property
    def over(self) -> bool:
        """Can nothing more happen to it?"""

    def tell(self, given: Input, keep: dict[str, Any] | None = None) -> None:
        """Decide on an input; never waits."""


def record_of(said: Said) -> Record:
    """An event as the journal stores it."""
    kind, at, data = ev.to_data(said.event)
    return Record(said.seq, at, kind, data)


def events_of(records: Iterable[Record]) -> list[Said]:
    """Journal records as events. Raises KeyError for a kind that this version does not know."""
    return [Said(record.seq, ev.from_data(record.type, record.at, record.data)) for record in records]
