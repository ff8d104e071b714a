"""What the parts of an engine tell about their own work."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import Event
from engine.sources import Source
from engine.state import State


class Watcher:
    """Hears of it; this one takes no note. Called in the event loop, `appended` in the journal's thread.

    Nothing here may raise or wait.
    """

    def recorded(self, events: Sequence[Event], state: State, waited_s: float, now: float) -> None:
        """What one decision brought is recorded and acted upon, `waited_s` seconds after it was made."""

    def read(self, source: Source, problem: str) -> None:
        """A source was read; `problem` is empty when it answered."""

    def observed(self, problem: str) -> None:
        """The router was asked; `problem` is empty when it answered."""

    def appended(self, seconds: float, error: Exception | None) -> None:
        """The journal took records, or did not."""

    def fenced(self) -> None:
        """Another engine has a release that this one held."""


UNWATCHED = Watcher()
