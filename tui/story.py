"""All that the cockpit knows of a release: the folded state, the log, the recent readings. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from engine import events as ev
from engine.events import Event
from engine.judge.metric import Counts
from engine.state import State, apply, created
from tui import wording

READINGS = 240  # kept per metric: more than the widest trend shows
LOG_LINES = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a metric: None where there was nothing to read."""

    at: float
    canary: float | None
    stable: float | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    at: float
    text: str
    tone: str


@dataclass(slots=True)
class Story:
    """Grows by `hear`; what the widgets show is made of it by `tui.view`."""

    state: State | None = None
    log: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    readings: dict[str, deque[Reading]] = field(default_factory=dict)
    glass_broken: ev.GlassBroken | None = None

    def hear(self, event: Event) -> None:
        """Fold one more event. The first is `Created`; what comes before it can't be understood and is left out."""
        held_by = self.state.engine if self.state is not None else ""
        if self.state is None:
            if not isinstance(event, ev.Created):
                return
            self.state = created(event)
        else:
            self.state = apply(self.state, event)
        if isinstance(event, ev.Ticked):
            self._read(event)
        if isinstance(event, ev.GlassBroken):
            self.glass_broken = event
        if isinstance(event, ev.EngineTook) and held_by and event.engine not in ("", held_by):
            text = f"{event.engine} took the release over from {held_by} (epoch {event.epoch})"
            self.remark(event.at, text, "warn")
        elif wording.noteworthy(event):
            self.log.append(LogEntry(event.at, wording.sentence(event, self.state), wording.tone(event)))

    def remark(self, at: float, text: str, tone: str = "dim") -> None:
        """A line beside those of the journal: what this cockpit itself saw."""
        self.log.append(LogEntry(at, text, tone))

    def _read(self, event: ev.Ticked) -> None:
        for sample in event.samples:
            kept = self.readings.setdefault(sample.metric, deque(maxlen=READINGS))
            kept.append(Reading(event.at, _value(sample.canary), _value(sample.stable)))


def _value(counts: Counts | None) -> float | None:
    if counts is None or counts.value is None or not math.isfinite(counts.value):
        return None
    return counts.value
