"""The tables as a whole: made, and brought from an earlier format to this one."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, insert, literal, select

from engine.journal.records import sealed
from engine.journal.tables import FORMAT, facts, leases, metadata, releases


def create(connection: Connection, *, epoch: int = 0) -> None:
    """All tables, and the facts of a new journal; `epoch` is the last that was given."""
    metadata.create_all(connection)
    put_fact(connection, "format", FORMAT)
    put_fact(connection, "epoch", epoch)


def upgrade(connection: Connection) -> None:
    """From any earlier format. Format 1 had no leases: its releases are free."""
    metadata.create_all(connection)
    unknown = ~exists().where(leases.c.release == releases.c.id)
    free = select(releases.c.id, literal(""), literal(0), literal(0.0)).where(unknown)
    connection.execute(insert(leases).from_select(["release", "engine", "epoch", "until"], free))
    put_fact(connection, "format", FORMAT)


def put_fact(connection: Connection, name: str, value: int) -> None:
    """Set a fact, whether or not it is there."""
    connection.execute(delete(facts).where(facts.c.name == name))
    connection.execute(insert(facts).values(sealed({"name": name, "value": value})))
