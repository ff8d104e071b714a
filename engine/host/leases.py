"""The leases of one engine: takes them, renews all of them at once, and knows by its own clock how long each holds.

A lease is counted from before it was asked for: what the network takes, and what the store's clock says, can only make
it shorter here than there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.host.threads import Threads
from engine.host.words import steady
from engine.journal.records import JournalError, LeaseRow, Taken
from engine.journal.store import Journal

log = logging.getLogger(__name__)

RENEWALS = 3  # in the time of one lease
SOON_S = 0.05  # after a lease ran out


class HeldLease:
    """This engine's hold on one release, with the fencing `epoch` that its appends carry."""

    def __init__(self, epoch: int, begun: float, whole_s: float, clock: Callable[[], float]) -> None:
        self.epoch = epoch
        self.begun = begun
        self.whole_s = whole_s
        self._clock = clock
        self._until = begun + whole_s

    def renewed(self, asked_at: float) -> None:
        """It was renewed by what was asked then."""
        self._until = max(self._until, asked_at + self.whole_s)

    def left_s(self) -> float:
        """Seconds for which no other engine can hold the release; 0 when it may."""
        return max(0.0, self._until - self._clock())


class Leases:
    """All leases of this engine. `away`: the store did not answer when it was asked last."""

    def __init__(
        self,
        journal: Journal,
        engine: str,
        lease_s: float,
        threads: Threads,
        clock: Callable[[], float] = steady,
    ) -> None:
        """`engine` is this process among the engines of the store."""
        self.held: dict[str, HeldLease] = {}
        self.holders: dict[str, LeaseRow] = {}
        self.away = ""
        self.engine = engine
        self.whole_s = lease_s
        self._journal = journal
        self._threads = threads
        self._clock = clock
        self._back_at: float | None = None  # when the store answered again after it did not

    @property
    def pause_s(self) -> float:
        """Until the leases are to be renewed; a free one is looked for as soon as it can be free."""
        due = self.whole_s / RENEWALS
        others = [row.left_s for release, row in self.holders.items() if release not in self.held and row.left_s > 0]
        return min(due, min(others, default=due) + SOON_S)

    def asking(self) -> float:
        """The time to count a lease from that is asked for now."""
        return self._clock()

    def begin(self, release: str, epoch: int, asked_at: float) -> HeldLease:
        """A release that this engine holds from now on."""
        lease = self.held[release] = HeldLease(epoch, asked_at, self.whole_s, self._clock)
        return lease

    async def take(self, release: str) -> tuple[Taken, HeldLease] | None:
        """Take a release; None while another engine's lease runs. Raises JournalError."""
        asked_at = self.asking()
        taken = await self._threads.ask(lambda: self._journal.take(release, self.engine, self.whole_s))
        return None if taken is None else (taken, self.begin(release, taken.epoch, asked_at))

    async def renew(self) -> list[str]:
        """Renew all; returns the releases that another engine has by now. Never raises: a store that does not answer
        leaves each lease as short as it is."""
        asked_at = self.asking()
        try:
            still = await self._threads.ask(lambda: self._journal.renew(self.engine, self.whole_s))
        except JournalError as error:
            self.away = str(error)
            return []
        lost = []
        for release, lease in list(self.held.items()):
            if still.get(release) == lease.epoch:
                lease.renewed(asked_at)
            elif lease.begun < asked_at:
                lost.append(release)
        return lost

    async def look(self) -> list[LeaseRow]:
        """Who holds what; returns the releases that are free to be taken. After the store was away its holders renew
        first: nothing is taken before they had the time."""
        try:
            rows = await self._threads.ask(self._journal.leases)
        except JournalError as error:
            self.away, self._back_at = str(error), None
            return []
        if self.away:
            self.away, self._back_at = "", self._clock()
        self.holders = {row.release: row for row in rows}
        waits = self._back_at is not None and self._clock() - self._back_at < self.whole_s / RENEWALS
        free = [row for row in rows if row.left_s <= 0 and row.release not in self.held]
        return [] if waits else free

    async def let_go(self, release: str | None = None) -> None:
        """Others may take it, or all of them, at once."""
        for name in [release] if release is not None else list(self.held):
            self.held.pop(name, None)
        try:
            await self._threads.ask(lambda: self._journal.let_go(self.engine, release))
        except JournalError as error:
            log.warning("the leases run out by themselves, they can't be let go: %s", error)

    def lost(self, release: str) -> None:
        """Another engine has it."""
        self.held.pop(release, None)

    def holder(self, release: str) -> str:
        """The engine that holds a release, as it was known last; empty for nobody."""
        row = self.holders.get(release)
        return row.engine if row is not None and row.left_s > 0 else ""
