"""What engines on one store leave for each other: orders for who holds the release, and who is attached where."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from engine.journal.backend import Backend
from engine.journal.records import HereRow, OrderRow, encode
from engine.journal.tables import engines, orders

KEPT_S = 3600.0  # an order, and its answer
LOST_AFTER = 3.0  # leases without a sign of life
_FIRST_LEASE_S = 10.0  # of an engine that says who is there before it holds anything


def send(connection: Connection, backend: Backend, order: OrderRow) -> None:
    """Leave an order for the holder; one that is there already is left as it is."""
    connection.execute(delete(orders).where(orders.c.sent_at < backend.clock() - KEPT_S))
    if connection.execute(select(orders.c.id).where(orders.c.id == order.id)).one_or_none() is not None:
        return
    row = {**asdict(order), "data": encode(order.data), "sent_at": backend.clock()}
    connection.execute(insert(orders).values(row))
    backend.notify(connection, [order.release])


def unanswered(connection: Connection, of: Collection[str]) -> list[OrderRow]:
    """The orders for these releases that nobody answered, in the order they came."""
    query = select(orders).where(orders.c.release.in_(of), orders.c.answer.is_(None))
    found = connection.execute(query.order_by(orders.c.sent_at, orders.c.id))
    return [OrderRow(row.id, row.release, json.loads(row.data), row.asked_at) for row in found]


def answer(connection: Connection, backend: Backend, order: str, said: str) -> None:
    """Answer an order; the first answer stays."""
    mine = (orders.c.id == order, orders.c.answer.is_(None))
    told = connection.execute(update(orders).where(*mine).values(answer=encode(said)).returning(orders.c.release))
    backend.notify(connection, list(told.scalars()))


def answered(connection: Connection, order: str) -> str | None:
    """What was answered; None while nothing was."""
    said = connection.execute(select(orders.c.answer).where(orders.c.id == order)).scalar_one_or_none()
    return None if said is None else str(json.loads(said))


def seen(connection: Connection, backend: Backend, engine: str, lease_s: float | None, here: str | None) -> None:
    """A sign of life of an engine, and what of it is new."""
    news = {"lease_s": lease_s, "here": here}
    values = {"seen_at": backend.clock(), **{name: value for name, value in news.items() if value is not None}}
    if connection.execute(update(engines).where(engines.c.name == engine).values(values)).rowcount:
        return
    first = {"name": engine, "lease_s": _FIRST_LEASE_S, "here": "[]", **values}
    connection.execute(insert(engines).values(first))


def as_text(rows: Sequence[HereRow]) -> str:
    """What `seen` takes as `here`."""
    return encode([asdict(row) for row in rows])


def everyone(connection: Connection, backend: Backend) -> list[HereRow]:
    """Who is attached to any release, at the engines that showed a sign of life in the last three leases."""
    query = select(engines).where(engines.c.seen_at > backend.clock() - engines.c.lease_s * LOST_AFTER)
    found = connection.execute(query.order_by(engines.c.name))
    return [HereRow(**row) for engine in found for row in json.loads(engine.here)]
