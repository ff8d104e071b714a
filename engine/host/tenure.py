"""Which releases this engine has in its hands, from boot to stop: takes what is free, gives up what another took."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.controller import Time, record_of
from engine.controller.controller import is_over
from engine.host.followed import read_followed
from engine.host.following import Following, ended_long_ago
from engine.host.held import Held, Holder, read_release
from engine.host.leases import RENEWALS, Leases
from engine.host.mailbox import Execute, Mailbox
from engine.host.starting import Beginning
from engine.host.threads import Threads
from engine.host.words import RefusedError
from engine.inputs import Order
from engine.journal.records import JournalError, LeaseRow
from engine.journal.store import Journal
from engine.script import script_path
from engine.state import GOING_BACK

log = logging.getLogger(__name__)

NEWS_S = 1.0  # between two looks at what other engines did, when nothing is heard of them
AGAIN_S = 60.0  # until a release is tried again that this engine could not take up


class Tenure:
    """Leases, and what follows of them."""

    def __init__(
        self,
        home: Path,
        time: Time,
        journal: Journal,
        threads: Threads,
        holder: Holder,
        leases: Leases,
        following: Following,
        mailbox: Mailbox,
    ) -> None:
        self.resumed = False
        self._home = home
        self._time = time
        self._journal = journal
        self._threads = threads
        self._holder = holder
        self._leases = leases
        self._following = following
        self._mailbox = mailbox
        self._said: dict[str, str] = {}
        self._untaken: dict[str, float] = {}  # when it was that a release could not be taken up
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: dict[str, asyncio.Task[None]] = {}  # releases that are being put down
        self._news = News()
        self._mail = News()
        self._unlisten: Callable[[], None] | None = None

    @property
    def notices(self) -> list[str]:
        """What became of leases; loud."""
        away = self._leases.away
        said = [f"the store does not answer: nothing is raised, a roll back works: {away}"] if away else []
        return [*self._said.values(), *said]

    # --- boot and stop

    async def resume(self) -> None:
        """Take all that has not ended and that is free; whatever else lives is followed."""
        now = self._time.now()
        rows = await self._threads.ask(self._journal.releases)
        ended = await self._threads.ask(lambda: {row.id for row in rows if ended_long_ago(self._journal, row.id, now)})
        before = {row.release: row for row in await self._leases.look()}
        for row in rows:
            if row.id in ended:
                self._following.ended(row.id, None)
            else:
                await self._take_up(row.id, before.get(row.id))
        self.resumed = True
        self._start(self._following.list_ended(), "releases that ended")

    def stay(self, execute: Execute, held: Collection[str]) -> None:
        """Keep what is held, look for what is free, follow the rest, and take others' orders."""
        loop = asyncio.get_running_loop()
        self._unlisten = self._journal.listen(lambda release: _soon(loop, lambda: self._hear(release)))
        self._start(self._forever(self._renew, lambda: self._leases.whole_s / RENEWALS), "leases")
        self._start(self._forever(self._look, lambda: self._leases.pause_s), "free leases")
        self._start(self._forever(self._follow, lambda: 0.0), "followed releases")
        self._start(self._forever(lambda: self._mailbox.serve(list(held), execute), self._mail.wait), "mailbox")

    async def leave(self) -> None:
        """Stop looking."""
        if self._unlisten is not None:
            self._unlisten()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self, step: Callable[[], Awaitable[object]], pause: Callable[[], Any]) -> None:
        while True:
            try:
                await step()
            except JournalError as error:
                log.warning("the store does not answer: %s", error)
                await self._time.sleep(NEWS_S)
            except Exception:  # these loops guard releases: a fault in one round must not end them
                log.exception("a round failed")
                await self._time.sleep(NEWS_S)
            waits = pause()
            await (waits if asyncio.iscoroutine(waits) else self._time.sleep(waits))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- leases

    async def look_at(self, target: str) -> frozenset[str]:
        """Know what other engines have on a target, as the store has it now; all releases there. Raises JournalError,
        RefusedError for one that can't be read: it may be under way."""
        rows = await self._threads.ask(self._journal.releases)
        there = [row.id for row in rows if row.target == target]
        if self._journal.shared:
            for release in there:
                try:
                    if not self._following.knows(release):
                        await self._meet(release)
                except (KeyError, ValueError) as error:  # an event of a newer laneshift
                    raise RefusedError(f"{release} on {target} can't be read: {error!r}; ask its engine") from error
            await self._following.catch_up(there)
        return frozenset(there)

    async def _meet(self, release: str) -> None:
        """A release that was not known of so far."""
        await self._following.follow(release)
        if release in self._holder.held:  # it is this engine's own, begun just now
            self._following.began(release)
        elif is_over(self._following.followed[release].state, self._time.now()):
            self._following.ended(release, self._following.followed[release].state)

    async def create(self, begun: Beginning, key: str) -> int:
        """Put a new release into the journal; the epoch of its lease. Raises the journal's errors."""
        created, records = begun.created, [record_of(one) for one in begun.first]
        return await self._threads.ask(
            lambda: self._journal.create_release(
                created.release,
                created.target,
                created.service,
                created.at,
                key or None,
                records=records,
                keep=begun.keep,
                engine=self._leases.engine,
                lease_s=self._leases.whole_s,
                known=begun.known,
            )
        )

    async def wake(self, release: str) -> Held | None:
        """Have a release that ended in hand again; None when another engine has it. Raises what loading it raises."""
        if release in self._ending:  # its last records are told under the old epoch
            await asyncio.wait([self._ending[release]])
        taken = await self._leases.take(release)
        if taken is None:
            return None
        read = await self._threads.ask(lambda: read_release(self._journal, release))
        held = self._holder.load(release, read, taken[1])
        self._following.began(release)
        return held

    def lose(self, release: str) -> None:
        """Another engine has it: stop at once, and follow it."""
        lost = self._holder.lose(release)
        self._leases.lost(release)
        if lost is None:
            return
        held, orders = lost
        log.warning("%s is held by another engine now: this one lets go and follows it", release)
        self._said[release] = f"{release} was taken over by another engine: this one only follows it now"
        self._start(self._step_down(release, held, orders), f"letting go of {release}")

    def end(self, release: str) -> None:
        """Nothing more happens to it: it is put down."""
        held = self._holder.held.pop(release, None)
        if held is not None:
            if held.failure:
                self._said[release] = held.failure
            self._following.ended(release, held.controller.state)
            self._ending[release] = self._start(self._put_down(release, held), f"end of {release}")
            self._ending[release].add_done_callback(lambda _: self._ending.pop(release, None))

    async def _put_down(self, release: str, held: Held) -> None:
        await self._holder.end(held)
        await self._leases.let_go(release)

    async def _step_down(self, release: str, held: Held, orders: list[Order]) -> None:
        for order in orders:
            if order.verb == "rollback":  # its write may have been made; its record is the next holder's to make
                self._mailbox.keep(release, order)
        following = self._following.follow(release, held.controller.state)
        await asyncio.gather(self._stop(held), following, return_exceptions=True)

    async def _stop(self, held: Held) -> None:
        if held.controller.state.phase in GOING_BACK:  # stable's weight is right from any engine: that write is made
            with suppress(TimeoutError):
                async with asyncio.timeout(held.controller.longest_write_s):
                    await held.controller.settle()
        await self._holder.end(held)

    async def _renew(self) -> None:
        for release in await self._leases.renew():
            self.lose(release)

    async def _look(self) -> None:
        free = await self._leases.look()
        for release in self._leases.holders:
            if not self._following.knows(release):
                await self._meet(release)
        now = self._time.now()
        for row in free:
            known = self._following.followed.get(row.release)
            if known is not None and is_over(known.state, now):
                self._following.ended(row.release, known.state)
            elif known is not None and now - self._untaken.get(row.release, 0.0) > AGAIN_S:
                await self._take_up(row.release, row)

    async def _take_up(self, release: str, before: LeaseRow | None) -> None:
        try:
            taken = await self._leases.take(release)
            if taken is None:
                await self._following.follow(release)
                return
            lease = taken[1]
            read = await self._threads.ask(lambda: read_release(self._journal, release))
            held = self._holder.load(release, read, lease)
        except Exception as error:  # whatever is wrong with one release, the others are guarded
            log.exception("%s can't be taken up", release)
            await self._not_taken(release, error)
            return
        self._following.began(release)
        self._untaken.pop(release, None)
        self._said.pop(release, None)
        if held.controller.over:
            self.end(release)
            return
        unclean = self._journal.shared and before is not None and before.engine != ""
        limit = held.controller.longest_write_s if unclean else 0.0
        self._holder.run(held, self._time.now() + limit if limit else 0.0)

    async def _not_taken(self, release: str, error: Exception) -> None:
        self._untaken[release] = self._time.now()
        if release in self._leases.held:
            await self._leases.let_go(release)
        try:
            known = await self._threads.ask(lambda: read_followed(self._journal, release))
            over = is_over(known.state, self._time.now())
        except Exception:
            log.exception("%s can't be read either", release)
            over = await self._threads.ask(lambda: ended_long_ago(self._journal, release, float("inf")))
            known = None
        if over:
            self._following.ended(release, known.state if known is not None else None)
            return
        script = script_path(self._home, release)
        self._said[release] = f"{release} can't be taken up, nothing guards it: {error}; by hand: sh {script}"
        if known is not None and self._journal.shared:
            await self._following.follow(release)

    # --- news

    def _hear(self, release: str) -> None:
        self._mailbox.heard(release)
        self._news.heard(release)
        self._mail.heard(release)

    async def _follow(self) -> None:
        heard = await self._news.wait()
        await self._following.catch_up([one for one in self._following.followed if one in heard or not heard])
        if not heard:
            await self._mailbox.send_waiting()


class News:
    """Releases of which something was heard. At least each second all of them are looked at: news is only a hint."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._of: set[str] = set()
        self._looked_at = -NEWS_S

    def heard(self, release: str) -> None:
        """Something happened there."""
        self._of.add(release)
        self._event.set()

    async def wait(self) -> set[str]:
        """The releases with news; none when it is time to look at all."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._looked_at + NEWS_S):
                await self._event.wait()
        self._event.clear()
        heard, self._of = self._of, set()
        if loop.time() >= self._looked_at + NEWS_S:
            self._looked_at = loop.time()
            return set()
        return heard


def _soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        log.debug("news came after the end")
