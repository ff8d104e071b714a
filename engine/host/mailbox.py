"""Orders between engines, through the store: to the one that holds the release, and from the others for one's own.

An order is executed once, for its id is the machine's; it is answered once, for the first answer in the store stays.
Those that could not be put into the store wait in a file, and are put there when it answers again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from engine import events as ev
from engine.events import Event
from engine.host.threads import Threads
from engine.host.words import RefusedError
from engine.inputs import Order
from engine.journal.records import OrderRow
from engine.journal.store import Journal

log = logging.getLogger(__name__)

POLL_S = 0.2
FILE = "orders.waiting"
FIELDS = {one.name for one in fields(Order)}

Execute = Callable[[str, Order], Awaitable[list[Event]]]


class Mailbox:
    """The orders of one store, as one engine sends and takes them."""

    def __init__(self, journal: Journal, threads: Threads, home: Path) -> None:
        """Orders that wait from an earlier run are read from `home`."""
        self._journal = journal
        self._threads = threads
        self._waiting = Waiting(home / FILE)
        self._news: dict[str, asyncio.Event] = {}
        self._busy: set[str] = set()

    # --- to another engine

    async def send(self, release: str, order: Order) -> str:
        """Put it where the release's holder finds it; returns its name there. Raises the journal's errors."""
        row = row_of(release, order)
        await self._threads.ask(lambda: self._journal.send_order(row))
        return row.id

    async def answer(self, name: str, release: str) -> list[Event]:
        """Wait for the holder's answer. Raises RefusedError with its reason, the journal's errors."""
        news = self._news.setdefault(release, asyncio.Event())
        while True:
            news.clear()
            said = await self._threads.ask(lambda: self._journal.answer_of(name))
            if said is not None:
                return answered(said)
            try:
                async with asyncio.timeout(POLL_S):
                    await news.wait()
            except TimeoutError:
                pass

    async def withdraw(self, name: str) -> None:
        """Nobody waits for it any more: whoever holds the release next is not to execute it."""
        gone = json.dumps({"error": "withdrawn: nobody answered in time"})
        await self._threads.ask(lambda: self._journal.answer_order(name, gone))

    def heard(self, release: str) -> None:
        """Something happened there."""
        if release in self._news:
            self._news[release].set()

    def keep(self, release: str, order: Order) -> None:
        """The store can't be reached: send it when it can."""
        self._waiting.add(row_of(release, order))

    async def send_waiting(self) -> None:
        """Send what could not be sent before. Raises the journal's errors."""
        for row in self._waiting.rows():
            await self._threads.ask(partial(self._journal.send_order, row))
            self._waiting.sent(row.id)

    # --- from other engines

    async def serve(self, releases: Collection[str], execute: Execute) -> None:
        """Execute and answer what others ordered for `releases`, in the order in which they did. Raises the journal's
        errors: what was executed and not answered is answered next time, and not executed again."""
        if not releases:
            return
        rows = await self._threads.ask(lambda: self._journal.orders_for(releases))
        for row in sorted(rows, key=lambda row: row.asked_at):
            if row.id in self._busy:
                continue
            self._busy.add(row.id)
            try:
                said = await _executed(row, execute)
                await self._threads.ask(partial(self._journal.answer_order, row.id, said))
            finally:
                self._busy.discard(row.id)


async def _executed(row: OrderRow, execute: Execute) -> str:
    order = Order(**{name: value for name, value in row.data.items() if name in FIELDS})
    try:
        events = await execute(row.release, order)
    except RefusedError as error:
        return json.dumps({"error": str(error)})
    return json.dumps({"events": [ev.to_data(event) for event in events or [accepted(order)]]})


def accepted(order: Order) -> ev.OrderAccepted:
    """What is said of an order that was executed before."""
    return ev.OrderAccepted(
        at=order.at, order=order.id, verb=order.verb, who=order.who, reason=order.reason, where=order.where
    )


def row_of(release: str, order: Order) -> OrderRow:
    """An order as the store keeps it for the release's holder."""
    data: dict[str, Any] = asdict(order)
    return OrderRow(f"{release}/{order.id}", release, data, order.at)


def answered(said: str) -> list[Event]:
    """The events of an answer. Raises RefusedError."""
    answer = json.loads(said)
    if "error" in answer:
        raise RefusedError(answer["error"])
    return [ev.from_data(kind, at, data) for kind, at, data in answer["events"]]


class Waiting:
    """Orders that wait for the store, in a file that is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = {row.id: row for row in _read(path)}

    def rows(self) -> Sequence[OrderRow]:
        """All of them, oldest first."""
        return list(self._rows.values())

    def add(self, row: OrderRow) -> None:
        """One more. A disk that refuses is said in the log: it waits in memory then."""
        self._rows[row.id] = row
        self._write()

    def sent(self, name: str) -> None:
        """It is in the store."""
        self._rows.pop(name, None)
        self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        try:
            if not self._rows:
                self._path.unlink(missing_ok=True)
                return
            with draft.open("w") as file:
                json.dump([asdict(row) for row in self._rows.values()], file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError:
            log.exception("orders that wait for the journal can't be kept in %s", self._path)


def _read(path: Path) -> list[OrderRow]:
    try:
        return [OrderRow(**row) for row in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, TypeError, ValueError):
        log.exception("orders that wait for the journal can't be read from %s", path)
        return []
