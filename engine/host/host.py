"""All releases of one engine: it holds some, follows those of other engines on the same store, and answers for all."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from engine import events as ev
from engine.controller import Said, Time, events_of
from engine.controller.controller import LostError
from engine.host.following import Following
from engine.host.held import Held, Holder, Hooks, Read
from engine.host.leases import Leases
from engine.host.mailbox import Mailbox
from engine.host.starting import Starter
from engine.host.tenure import Tenure
from engine.host.there import There
from engine.host.threads import Pool
from engine.host.words import RefusedError, StartOrder, UnknownReleaseError, WallTime, process_name
from engine.identity import family, identity
from engine.inputs import Order, SupersedeOld
from engine.journal.records import JournalConflict, JournalError, JournalFenced
from engine.journal.store import Journal
from engine.journal.writer import JournalWriter
from engine.state import State
from engine.telemetry.meters import Meters
from engine.telemetry.vital import Vital

log = logging.getLogger(__name__)

NEVER_HELD_BACK = ("rollback", "pause")  # orders that make nothing worse
BEHIND_S = 2.0  # a journal whose oldest record waits longer than this takes no orders
LEASE_S = 10.0
LET_GO_S = 2.0  # for the store to hear that this engine stops
NAMES = 5  # times that a new release's id is looked for, when other engines begin releases too


class Host:
    """The releases of one journal: all of them where the journal is a file, else those that this engine has leases of;
    it tells of the others, and passes orders on.

    `supervised`: something starts this engine again when it ends. `process` is its name among the store's engines.
    """

    def __init__(
        self,
        home: Path,
        clock: Time | None = None,
        *,
        journal: Journal | None = None,
        lease_s: float = LEASE_S,
        supervised: bool = False,
    ) -> None:
        """`home` is the state folder; without a `journal` the file in it is opened: raises its errors."""
        self.supervised = supervised
        self.journal = journal or Journal.open(home / "journal.db")
        self.epoch = self.journal.engine_epoch()
        self.identity = family(self.journal) if self.journal.shared else identity(home)
        self.process = process_name()
        self._home = home
        self._time = clock or WallTime()
        self.watcher = Meters(self._time.now())
        self.remarks: dict[str, str] = {}  # what the engine's other duties have to say, by their names
        self._listeners: defaultdict[str, set[Callable[[Sequence[Said]], None]]] = defaultdict(set)
        self._starting = asyncio.Lock()
        self._waking = asyncio.Lock()
        self._pools = pool, leasing = Pool("store", 4), Pool("leases", 4)
        self._pool = pool
        self._writer = JournalWriter(self.journal, watcher=self.watcher)
        self._leases = Leases(self.journal, self.process, lease_s, leasing)
        self._mailbox = Mailbox(self.journal, pool, home)
        self._following = Following(self.journal, pool, self._publish)
        hooks = Hooks(self._publish)
        self._holder = Holder(
            home, self.identity, self.process, self._time, self._writer, hooks, self.watcher, shared=self.journal.shared
        )
        self._tenure = Tenure(
            home, self._time, self.journal, pool, self._holder, self._leases, self._following, self._mailbox
        )
        hooks.fenced, hooks.over = self._tenure.lose, self._tenure.end
        self._there = There(home, self.identity, self._time, self._mailbox, self._following, self._leases)

    def now(self) -> float:
        """The engine's time, in seconds since the epoch."""
        return self._time.now()

    @property
    def notices(self) -> list[str]:
        """What opening the journal found, and what it says now; loud in every front end."""
        found = []
        if self.journal.recovered is not None:
            found.append(str(self.journal.recovered))
        if self.journal.drained is not None and self.journal.drained.refused:
            found.append(str(self.journal.drained))
        held = self._holder.held.values()
        found += [*self._tenure.notices, *self._following.notices, *self._there.notices]
        found += filter(None, self.remarks.values())
        found += sorted({said for one in held for said in (one.failure, one.trouble) if said})
        return found

    def vital(self) -> Vital:
        """How it is now, for metrics and probes."""
        held, backlog = self._holder.held.values(), self._writer.backlog
        left = [lease.left_s() for lease in self._leases.held.values()] if self.journal.shared else []
        return Vital(
            states=[one.controller.state for one in held],
            resumed=self._tenure.resumed,
            journal_lives=self._writer.lives,
            journal_silent_s=self._writer.silent_s,
            behind_s=max((one.controller.behind_s for one in held), default=0.0),
            waiting=backlog.spooled + backlog.in_memory,
            trouble=next((one.trouble for one in held if one.trouble), ""),
            store_away=self._leases.away,
            lease_left_s=min(left, default=None),
            attached=sum(map(len, self._listeners.values())),
        )

    async def resume(self) -> None:
        """Take every release that has not ended and that nobody holds, as the journal has it; and go on to do so."""
        await self._tenure.resume()
        if self.journal.shared:
            self._tenure.stay(self._execute, self._holder.held)

    async def close(self) -> None:
        """Let go of all releases; they go on when the next engine takes them."""
        await self._tenure.leave()
        await self._there.close()
        await self._holder.close()
        await asyncio.to_thread(self._writer.close)
        await self._leave_leases()
        for pool in self._pools:
            pool.close()
        self.journal.close()

    async def _leave_leases(self) -> None:
        try:
            async with asyncio.timeout(LET_GO_S):
                await self._leases.let_go()
        except TimeoutError:
            log.warning("the store does not answer: the leases run out by themselves")

    # --- questions

    def ids(self) -> list[str]:
        """The releases that this engine can tell of at once, oldest first: all that live, and those that ended last."""
        return self._following.in_order(self._holder.held)

    def states(self) -> list[State]:
        """All releases that live, at whichever engine."""
        followed = [one.state for one in self._following.followed.values()]
        return [one.controller.state for one in self._holder.held.values()] + followed

    def holder(self, release: str) -> str:
        """The engine that holds it: this one's `process`, another's, or nobody."""
        return self.process if release in self._holder.held else self._leases.holder(release)

    async def find(self, release: str) -> State:
        """A release, wherever it is told of: read from the journal if need be. Raises UnknownReleaseError."""
        if release not in self._holder.held and not await self._following.find(release):
            raise self._unknown(release)
        return self.state(release)

    def state(self, release: str) -> State:
        """A release now, of those that can be told of at once. Raises UnknownReleaseError."""
        held = self._holder.held.get(release)
        state = held.controller.state if held is not None else self._following.state(release)
        if state is None:
            raise self._unknown(release)
        return state

    async def history(self, release: str, after: int) -> list[Said]:
        """All recorded events later than number `after`, those that still wait beside the journal included."""
        await self.find(release)
        held = self._holder.held.get(release)
        known = held.controller.recent if held is not None else self._following.recent(release)
        recent = [said for said in known if said.seq > after]
        if recent and recent[0].seq == after + 1:
            return recent
        stored = events_of(await self._pool.ask(lambda: self.journal.read(release, after)))
        last = stored[-1].seq if stored else after
        return [*stored, *(said for said in known if said.seq > last)]

    def listen(self, release: str, listener: Callable[[Sequence[Said]], None]) -> Callable[[], None]:
        """Call `listener` with everything recorded from now on; returns what ends that."""
        self.state(release)
        self._listeners[release].add(listener)

        def unlisten() -> None:
            self._listeners[release].discard(listener)
            if not self._listeners[release]:
                del self._listeners[release]

        return unlisten

    def _publish(self, release: str, news: Sequence[Said]) -> None:
        for listener in tuple(self._listeners.get(release, ())):
            listener(news)

    def _unknown(self, release: str) -> UnknownReleaseError:
        known = ", ".join(self.ids()[-5:]) or "none"
        return UnknownReleaseError(f"there is no release {release!r}; the latest are: {known}")

    # --- orders

    async def order(self, release: str, order: Order) -> list[ev.Event]:
        """Hand an order to its release, at whichever engine it is; returns what followed.

        Raises UnknownReleaseError, and RefusedError while the journal takes nothing: an order that can't be recorded
        would take effect whenever it can.
        """
        held = self._holder.held.get(release)
        if held is None:
            await self.find(release)
        if held is not None or (self._following.has_ended(release) and not self._leases.holder(release)):
            try:
                return await self._order_here(release, order)
            except (LostError, JournalFenced):
                log.info("%s went to another engine while it was ordered %s", release, order.verb)
        return await self._there.order(release, order)

    async def _order_here(self, release: str, order: Order) -> list[ev.Event]:
        held = self._holder.held.get(release)
        if held is not None:
            return await _ordered(held, order)
        async with self._waking:  # it has ended: its lists can be ticked still
            try:
                held = await self._tenure.wake(release)
            except Exception as error:
                log.exception("%s can't be taken up", release)
                raise RefusedError(f"{release} has ended, and can't be taken up any more: {error}") from error
            if held is None:
                raise LostError(release)
            try:
                return await _ordered(held, order)
            finally:
                await held.controller.settle()
                if held.running is None:
                    self._tenure.end(release)

    async def _execute(self, release: str, order: Order) -> list[ev.Event]:
        """An order that came through the store."""
        held = self._holder.held.get(release)
        if held is None:
            raise RefusedError(f"{release} went to another engine: give the order again")
        asked = order.asked_at if order.asked_at is not None else order.at
        return await _ordered(held, replace(order, at=self._time.now(), asked_at=asked))

    async def start(self, order: StartOrder) -> str:
        """Start a release and return its id; a start repeated with the same key returns the first one's.

        Raises PlanError, RefusedError.
        """
        starter = Starter(self._home, self.identity, self._time, self.states, self.supervised, self._tenure.look_at)
        plan = starter.plan_of(order)
        async with self._starting:
            for _ in range(NAMES):
                repeated = await self._started_before(plan.service, order.key)
                if repeated:
                    return repeated
                release = await self._pool.ask(lambda: self.journal.next_id(plan.service))
                begun = await starter.prepare(plan, order, release)
                asked_at = self._leases.asking()
                try:
                    epoch = await self._tenure.create(begun, order.key)
                except JournalConflict:  # another engine was quicker, with the same id, key or target
                    await asyncio.gather(begun.parts.router.close(), begun.parts.source.close())
                    continue
                except JournalError as error:
                    await asyncio.gather(begun.parts.router.close(), begun.parts.source.close())
                    raise RefusedError(f"the journal takes no new release: {error}") from error
                lease = self._leases.begin(release, epoch, asked_at)
                held = self._holder.hold(release, Read(begun.first, {}), begun.parts, lease)
                self._following.began(release)
                if not order.observe:
                    self._supersede(begun.created)
                self._holder.run(held)
                return release
        raise RefusedError(f"no id for a release of {plan.service} could be had: try again")

    async def _started_before(self, service: str, key: str) -> str:
        if not key:
            return ""
        rows = await self._pool.ask(self.journal.releases)
        found = next((row.id for row in rows if (row.service, row.key) == (service, key)), "")
        if found:
            await self.find(found)
        return found

    def _supersede(self, created: ev.Created) -> None:
        """Earlier releases on this target keep, guard and give back nothing there any more."""
        for held in self._holder.held.values():
            if held.controller.state.target == created.target and not held.controller.over:
                held.controller.tell(SupersedeOld(at=self._time.now(), by=created.release))


async def _ordered(held: Held, order: Order) -> list[ev.Event]:
    behind = held.controller.behind_s
    if order.verb not in NEVER_HELD_BACK and behind > BEHIND_S:
        raise RefusedError(f"the journal has taken nothing for {behind:.0f} s: only a roll back or a pause goes now")
    return await held.controller.order(order)
