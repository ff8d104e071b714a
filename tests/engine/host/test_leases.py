"""How long an engine is sure to hold a release, by its own clock and in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from engine.controller.lease import UNLIMITED, limit_of_raise
from engine.host.leases import RENEWALS, SOON_S, Leases
from engine.journal.records import JournalUnavailable, LeaseRow, Taken
from engine.journal.store import Journal
from tests.support.virtual_time import run

T = TypeVar("T")
LEASE_S = 9.0


class Slow:
    """Runs a question after `delay` seconds, as a network does, and answers after `back` more."""

    def __init__(self) -> None:
        self.delay = self.back = 0.0

    async def ask(self, question: Callable[[], T]) -> T:
        await asyncio.sleep(self.delay)
        try:
            return question()
        finally:
            await asyncio.sleep(self.back)

    def close(self) -> None:
        """Nothing runs."""


class Store:
    """The leases of a store, by the clock of the running loop."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, int, float]] = {}
        self.epoch = 0
        self.away = False

    def _now(self) -> float:
        if self.away:
            raise JournalUnavailable("no route to host")
        return asyncio.get_running_loop().time()

    def take(self, release: str, engine: str, lease_s: float) -> Taken | None:
        now = self._now()
        holder, _, until = self.rows.get(release, ("", 0, 0.0))
        if holder not in ("", engine) and until > now:
            return None
        self.epoch += 1
        self.rows[release] = (engine, self.epoch, now + lease_s)
        return Taken(self.epoch, None)

    def renew(self, engine: str, lease_s: float) -> dict[str, int]:
        until = self._now() + lease_s
        mine = {release: epoch for release, (holder, epoch, _) in self.rows.items() if holder == engine}
        self.rows |= {release: (engine, epoch, until) for release, epoch in mine.items()}
        return mine

    def let_go(self, engine: str, release: str | None = None) -> None:
        now = self._now()
        for name, (holder, epoch, _) in list(self.rows.items()):
            if holder == engine and release in (None, name):
                self.rows[name] = ("", epoch, now)

    def leases(self) -> list[LeaseRow]:
        now = self._now()
        return [LeaseRow(name, holder, epoch, until - now) for name, (holder, epoch, until) in self.rows.items()]


def leases(store: Store, engine: str, threads: Slow | None = None) -> Leases:
    clock = asyncio.get_running_loop().time
    return Leases(cast("Journal", store), engine, LEASE_S, threads or Slow(), clock)


def test_a_lease_is_counted_from_before_it_was_asked_for() -> None:
    async def story() -> None:
        threads, store = Slow(), Store()
        mine = leases(store, "a", threads)
        threads.delay, threads.back = 1.0, 2.0
        taken = await mine.take("shop-1")
        assert taken is not None
        assert taken[1].left_s() == LEASE_S - 3.0
        assert store.leases()[0].left_s == LEASE_S - 2.0  # the store's clock gives it longer, never shorter

    run(story())


def test_a_renewal_that_takes_long_is_worth_what_is_left_of_it() -> None:
    async def story() -> None:
        threads = Slow()
        mine = leases(Store(), "a", threads)
        taken = await mine.take("shop-1")
        assert taken is not None
        await asyncio.sleep(2)
        threads.back = 4.0
        assert await mine.renew() == []
        assert taken[1].left_s() == LEASE_S - 4.0

    run(story())


def test_a_store_that_does_not_answer_leaves_each_lease_as_short_as_it_is() -> None:
    async def story() -> None:
        store = Store()
        mine = leases(store, "a")
        taken = await mine.take("shop-1")
        assert taken is not None
        store.away = True
        await asyncio.sleep(4)
        assert await mine.renew() == []
        assert mine.away == "no route to host"
        assert taken[1].left_s() == LEASE_S - 4
        await asyncio.sleep(LEASE_S)
        assert taken[1].left_s() == 0.0

    run(story())


def test_a_release_that_another_engine_took_is_lost_at_the_next_renewal_and_one_begun_meanwhile_is_not() -> None:
    async def story() -> None:
        store, threads = Store(), Slow()
        mine, other = leases(store, "a", threads), leases(store, "b")
        await mine.take("shop-1")
        await asyncio.sleep(LEASE_S + 1)
        assert [row.release for row in await other.look()] == ["shop-1"]
        await other.take("shop-1")
        threads.back = 1.0
        renewing = asyncio.create_task(mine.renew())
        await asyncio.sleep(0.5)
        mine.begin("shop-2", 7, mine.asking())
        assert await renewing == ["shop-1"]

    run(story())


def test_a_lease_that_ran_out_and_that_nobody_took_is_renewed() -> None:
    async def story() -> None:
        store = Store()
        mine = leases(store, "a")
        taken = await mine.take("shop-1")
        assert taken is not None
        await asyncio.sleep(5 * LEASE_S)
        assert taken[1].left_s() == 0.0
        assert await mine.renew() == []
        assert taken[1].left_s() == LEASE_S

    run(story())


def test_a_free_release_is_looked_for_as_soon_as_it_can_be_free() -> None:
    async def story() -> None:
        store = Store()
        other, mine = leases(store, "a"), leases(store, "b")
        await other.take("shop-1")
        await asyncio.sleep(LEASE_S - 1)
        assert await mine.look() == []
        assert mine.pause_s == pytest.approx(1 + SOON_S)
        await asyncio.sleep(mine.pause_s)
        assert [row.release for row in await mine.look()] == ["shop-1"]
        assert mine.holder("shop-1") == ""

    run(story())


def test_after_the_store_was_away_its_holders_renew_before_anything_is_taken() -> None:
    async def story() -> None:
        store = Store()
        other, mine = leases(store, "a"), leases(store, "b")
        await other.take("shop-1")
        store.away = True
        await asyncio.sleep(2 * LEASE_S)
        assert await mine.look() == []
        store.away = False
        assert await mine.look() == []  # free, but its holder is about to renew it
        assert await other.renew() == []
        await asyncio.sleep(LEASE_S / RENEWALS)
        assert await mine.look() == []
        assert mine.holder("shop-1") == "a"

    run(story())


def test_what_was_let_go_can_be_taken_at_once() -> None:
    async def story() -> None:
        store = Store()
        other, mine = leases(store, "a"), leases(store, "b")
        await other.take("shop-1")
        assert await mine.take("shop-1") is None
        await other.let_go()
        assert other.held == {}
        [free] = await mine.look()
        assert (free.engine, free.release) == ("", "shop-1")
        assert await mine.take("shop-1") is not None

    run(story())


@pytest.mark.parametrize(
    ("left", "wanted", "limit"),
    [(9.0, 5.0, 5.0), (5.0, 5.0, 5.0), (4.6, 5.0, 4.6), (4.4, 5.0, 0.0), (3.0, 2.0, 2.0), (8.0, 60.0, 8.0), (0, 1, 0)],
)
def test_a_raise_needs_more_of_the_lease_than_it_may_take_and_ends_with_it(
    left: float, wanted: float, limit: float
) -> None:
    class Left:
        whole_s = LEASE_S

        def left_s(self) -> float:
            return left

    assert limit_of_raise(Left(), wanted) == limit


def test_who_has_the_journal_for_itself_waits_for_no_lease() -> None:
    assert limit_of_raise(UNLIMITED, 60.0) == 60.0
    assert UNLIMITED.left_s() == math.inf
