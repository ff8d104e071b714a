"""Who holds which release: a lease with a fencing epoch, by the database's clock.

An append locks the lease's row as a key (`FOR KEY SHARE`), a take locks it whole (`FOR UPDATE`): one of the two comes
first, so no record told under an old epoch can follow a take. Renewing changes no key, so it waits for no append.
Nobody waits for a lease: who finds its row locked acts as if the other had just had it.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, insert, literal, select, update

from engine.journal.backend import Backend
from engine.journal.records import LeaseRow, Taken, sealed
from engine.journal.tables import checked, facts, leases, releases


def next_epoch(connection: Connection) -> int:
    """Count up, within the caller's transaction: greater than any epoch the store ever gave."""
    mine = facts.c.name == "epoch"
    row = connection.execute(select(facts).where(mine).with_for_update()).mappings().one()
    epoch = int(checked(row)["value"]) + 1
    connection.execute(update(facts).where(mine).values(sealed({"name": "epoch", "value": epoch})))
    return epoch


def family(connection: Connection) -> int:
    """The number that all engines of this store have in common, made up for the first of them that asks."""
    turn = select(facts).where(facts.c.name == "epoch").with_for_update()  # one at a time
    connection.execute(turn).one()
    row = connection.execute(select(facts).where(facts.c.name == "family")).mappings().one_or_none()
    if row is not None:
        return int(checked(row)["value"])
    made = secrets.randbits(32)
    connection.execute(insert(facts).values(sealed({"name": "family", "value": made})))
    return made


def grant(connection: Connection, backend: Backend, release: str, engine: str, lease_s: float) -> int:
    """The first lease of a new release; its epoch. Without an engine it is free."""
    epoch = next_epoch(connection) if engine else 0
    until = _until(backend, lease_s) if engine else literal(0.0)
    connection.execute(insert(leases).values(release=release, engine=engine, epoch=epoch, until=until))
    return epoch


def granted(connection: Connection, release: str, engine: str) -> int:
    """The epoch under which this engine holds the release, 0 when it does not."""
    mine = select(leases.c.epoch).where(leases.c.release == release, leases.c.engine == engine)
    return connection.execute(mine).scalar() or 0


def take(connection: Connection, backend: Backend, release: str, engine: str, lease_s: float) -> Taken | None:
    """A new epoch for this engine; None while another's lease runs, or there is no such release."""
    query = select(leases, backend.clock().label("now")).where(leases.c.release == release)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None or (row.engine not in {"", engine} and row.until > row.now):
        return None
    epoch = next_epoch(connection)
    taken = update(leases).where(leases.c.release == release)
    connection.execute(taken.values(engine=engine, epoch=epoch, until=_until(backend, lease_s)))
    is_anothers = row.until > 0.0 and row.engine != engine
    return Taken(epoch, time.time() - (row.now - row.until) if is_anothers else None)


def renew(connection: Connection, backend: Backend, engine: str, lease_s: float) -> dict[str, int]:
    """Prolong all that is this engine's still, what ran out without being taken included; their epochs."""
    mine = update(leases).where(leases.c.engine == engine).values(until=_until(backend, lease_s))
    return {row.release: row.epoch for row in connection.execute(mine.returning(leases.c.release, leases.c.epoch))}


def let_go(connection: Connection, backend: Backend, engine: str, release: str | None) -> None:
    """Anybody may take it at once; the epoch stays until somebody does."""
    mine = update(leases).where(leases.c.engine == engine)
    mine = mine if release is None else mine.where(leases.c.release == release)
    connection.execute(mine.values(engine="", until=backend.clock()))


def rows(connection: Connection, backend: Backend) -> list[LeaseRow]:
    """One for each release, oldest first."""
    query = select(leases, backend.clock().label("now")).join(releases, releases.c.id == leases.c.release)
    found = connection.execute(query.order_by(releases.c.created_at, releases.c.id))
    return [LeaseRow(row.release, row.engine, row.epoch, row.until - row.now if row.engine else 0.0) for row in found]


def locked_epochs(connection: Connection, of: Collection[str]) -> Mapping[str, int]:
    """The epochs of these releases, which can't change before the transaction ends; one being taken now is left out."""
    if not of:
        return {}
    query = select(leases.c.release, leases.c.epoch).where(leases.c.release.in_(of))
    found = connection.execute(query.with_for_update(read=True, key_share=True, skip_locked=True))
    return {row.release: row.epoch for row in found}


def free_all(connection: Connection) -> None:
    """Whoever held them is gone: the file's lock says so."""
    connection.execute(update(leases).values(engine="", until=0.0))


def _until(backend: Backend, lease_s: float) -> ColumnElement[float]:
    """Where only one engine can have the journal open, that is the lease."""
    return backend.clock() + lease_s if backend.shared else literal(math.inf)
