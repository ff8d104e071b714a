"""A release in another engine's hands, or in nobody's any more: told from the store alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine import events as ev
from engine.controller import Said, events_of
from engine.controller.controller import RECENT
from engine.journal.store import Journal
from engine.state import State, apply, fold


@dataclass(slots=True)
class Followed:
    """The release as the store has it up to event `seq`. `plan` is the kept text and name, `created` its first event:
    with them this engine can write the way back when nobody else answers."""

    created: ev.Created
    state: State
    seq: int
    plan: tuple[str, str]
    recent: deque[Said] = field(default_factory=lambda: deque(maxlen=RECENT))

    def take_in(self, news: Sequence[Said]) -> list[Said]:
        """Fold what follows on what is known; returns it."""
        fresh = [said for said in news if said.seq > self.seq]
        for said in fresh:
            self.state = apply(self.state, said.event)
            self.seq = said.seq
        self.recent.extend(fresh)
        return fresh


def read_followed(journal: Journal, release: str, types: set[str] | None = None) -> Followed:
    """A release as the store has it; only of these kinds of events. Slow: for a thread. Raises the journal's errors,
    KeyError for an event of a newer laneshift."""
    said = events_of(journal.read(release, types=types))
    kept = journal.kept(release)
    return followed_from(release, said, (kept["plan"]["text"], kept["plan"]["name"]))


def followed_from(release: str, said: Sequence[Said], plan: tuple[str, str]) -> Followed:
    """The release that these events tell, from the first on."""
    state = fold(one.event for one in said)
    if state is None:
        raise ValueError(f"{release} has no events")
    created = next(one.event for one in said if isinstance(one.event, ev.Created))
    return Followed(created, state, said[-1].seq, plan)


NO_TICKS = frozenset(ev.TYPES) - {ev.Ticked.__name__}


def read_brief(journal: Journal, release: str) -> State:
    """Where a release stands that has ended, without what was measured on its way. For a thread."""
    state = fold(one.event for one in events_of(journal.read(release, types=NO_TICKS)))
    if state is None:
        raise ValueError(f"{release} has no events")
    return state
