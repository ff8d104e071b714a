"""Engines on one store tell each other who is attached."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

from engine.host import Host
from engine.journal.records import HereRow, JournalUnavailable
from engine.presence import Here, Presence
from engine.serving import duties


class Store:
    """The rows of all engines; it is away once, at first."""

    def __init__(self) -> None:
        self.rows: dict[str, list[HereRow]] = {}
        self.away = True

    def here(self, engine: str, rows: list[HereRow]) -> None:
        if self.away:
            self.away = False
            raise JournalUnavailable("the store is away")
        self.rows[engine] = rows

    def everyone_here(self) -> list[HereRow]:
        return [row for rows in self.rows.values() for row in rows]


async def test_who_is_attached_at_one_engine_is_shown_at_the_other(monkeypatch):
    monkeypatch.setattr(duties, "SHARED_S", 0.001)
    store, desks = Store(), {"one": Presence(), "two": Presence()}
    changed = asyncio.Event()
    desks["one"].attach("shop-1", Here("ann", "tty1", 1.0), lambda: None)
    leave = desks["two"].attach("shop-1", Here("bob", "tty2", 2.0), changed.set)
    changed.clear()
    hosts = {name: cast("Host", cast("Any", SimpleNamespace(process=name, journal=store))) for name in desks}
    sharing = [asyncio.create_task(duties.share(hosts[name], desks[name])) for name in desks]
    async with asyncio.timeout(10):
        await changed.wait()
        assert [one.who for one in desks["two"].here("shop-1")] == ["ann", "bob"]
        gone = asyncio.Event()
        desks["one"].attach("shop-1", Here("cy", "tty3", 3.0), gone.set)
        leave()
        gone.clear()
        while desks["one"].count("shop-1") > 2:
            await gone.wait()
            gone.clear()
    assert sorted(one.who for one in desks["one"].here("shop-1")) == ["ann", "cy"]
    for task in sharing:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
