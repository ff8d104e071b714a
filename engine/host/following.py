"""The releases that this engine does not hold: those of other engines, followed in the store, and those that ended."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from engine import events as ev
from engine.controller import Said, events_of
from engine.host.followed import Followed, read_brief, read_followed
from engine.host.threads import Threads
from engine.journal.records import JournalError
from engine.journal.store import Journal
from engine.state import State

log = logging.getLogger(__name__)

LISTED = 100  # releases that ended are told of at once: the latest
REMEMBERED = 16  # and as many wholly, of those that somebody asked for
ENDS = (ev.RolledBack, ev.Cancelled, ev.OldSideReleased)
SETTLED_S = 2 * 86400.0  # after its end nothing is done for a release any more

Publish = Callable[[str, Sequence[Said]], None]


class Following:
    """What the store tells of releases in other hands. `followed` live; those that ended are read when asked for."""

    def __init__(self, journal: Journal, threads: Threads, publish: Publish) -> None:
        self.followed: dict[str, Followed] = {}
        self.notices: list[str] = []
        self._journal = journal
        self._threads = threads
        self._publish = publish
        self._order: dict[str, None] = {}  # every release of the store, oldest first
        self._ended: dict[str, State | None] = {}
        self._whole: OrderedDict[str, Followed] = OrderedDict()

    # --- what is told

    def in_order(self, held: Collection[str]) -> list[str]:
        """The releases that can be told of at once, oldest first."""
        told = {release for release, state in self._ended.items() if state is not None}
        return [one for one in self._order if one in held or one in self.followed or one in told]

    def state(self, release: str) -> State | None:
        """A release as it is known; None when it is not."""
        known = self.followed.get(release) or self._whole.get(release)
        return known.state if known is not None else self._ended.get(release)

    def recent(self, release: str) -> Iterable[Said]:
        """Its last events."""
        known = self.followed.get(release)
        return known.recent if known is not None else ()

    def has_ended(self, release: str) -> bool:
        """Is there nothing to do for it any more?"""
        return release in self._ended

    def knows(self, release: str) -> bool:
        """Is there such a release, as far as is known?"""
        return release in self._order

    # --- what is found

    async def find(self, release: str) -> bool:
        """Make sure that a release can be told of wholly; False when there is none of that id."""
        if release in self.followed:
            return True
        if release not in self._order:
            rows = await self._threads.ask(self._journal.releases)
            if release not in {row.id for row in rows}:
                return False
            await self.follow(release)
            return True
        if release not in self._whole:
            self._whole[release] = await self._threads.ask(lambda: read_followed(self._journal, release))
            while len(self._whole) > REMEMBERED:
                self._whole.popitem(last=False)
        self._whole.move_to_end(release)
        return True

    async def follow(self, release: str, known: State | None = None) -> None:
        """Tell of a release that another engine holds, from now on; `known` until it is read. Raises the journal's
        errors."""
        self._order.setdefault(release, None)
        if known is not None:
            self._ended[release] = known
        self.followed[release] = await self._threads.ask(lambda: read_followed(self._journal, release))
        self._ended.pop(release, None)

    def began(self, release: str) -> None:
        """This engine holds it from now on."""
        self._order.setdefault(release, None)
        self.followed.pop(release, None)
        self._ended.pop(release, None)
        self._whole.pop(release, None)

    def ended(self, release: str, state: State | None) -> None:
        """Nothing more happens to it by itself; `state` is how it ended, where that is known."""
        self.began(release)
        self._ended[release] = state

    async def catch_up(self, releases: Collection[str]) -> None:
        """Read what is new of these. Never raises: a store that does not answer is said."""
        self.notices = []
        for release in releases:
            known = self.followed.get(release)
            if known is None:
                continue
            try:
                records = await self._threads.ask(partial(self._journal.read, release, known.seq))
                fresh = known.take_in(events_of(records))
            except JournalError as error:
                self.notices = [f"what other engines do is not known: the store does not answer: {error}"]
                return
            except Exception as error:  # an event of a newer laneshift
                log.exception("%s can't be followed", release)
                self.notices.append(f"{release} can't be followed: {error!r}; ask the engine that holds it")
                continue
            if fresh:
                self._publish(release, fresh)

    async def list_ended(self) -> None:
        """Make the latest releases that ended known, newest first."""
        for release in list(reversed(self._ended))[:LISTED]:
            if self._ended.get(release, release) is not None:
                continue
            try:
                state = await self._threads.ask(partial(read_brief, self._journal, release))
            except Exception:  # whatever is wrong with one, the others are told of
                log.exception("%s, which has ended, can't be read", release)
                continue
            if release in self._ended:
                self._ended[release] = state


def ended_long_ago(journal: Journal, release: str, now: float) -> bool:
    """By the kinds of its events alone: cheap, for there may be thousands."""
    kinds = {kind.__name__ for kind in (ev.RollbackStarted, *ENDS)}
    records = journal.read(release, types=kinds)
    return bool(records) and records[-1].type != ev.RollbackStarted.__name__ and now - records[-1].at > SETTLED_S
