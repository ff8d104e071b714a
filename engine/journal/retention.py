"""What the journal forgets: old ticks, and whole releases that have ended.

Everything here is many short transactions, so that a release that goes on waits for none of it. Sizes are those of the
rows: a database keeps freed room for what comes, so its files say nothing about what is still worth forgetting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, literal, select, update

from engine.journal.backend import Backend
from engine.journal.records import Pruned, Retention, sealed
from engine.journal.tables import checked, events, kept, leases, minutes, orders, releases, ticks

_ROW_BYTES = 120  # numbers, checksum, index entry: about what SQLite and PostgreSQL take beside a row's text
_AT_ONCE = 2_000  # ticks deleted in one transaction


@dataclass(slots=True)
class _Work:
    """Doing it, or only counting what it would come to."""

    backend: Backend
    dry_run: bool
    gone: list[str] = field(default_factory=list)
    ticks: int = 0
    freed: int = 0

    def drop_ticks(self, release: str, before: float | None) -> None:
        """Ticks earlier than `before`, all for None."""
        with self.backend.reading() as connection:
            count, size = _measured(connection, ticks, _old(connection, release, before))
        if count and not self.dry_run:
            drop_ticks(self.backend, release, before)
        self.ticks += count
        self.freed += size

    def drop(self, release: str) -> None:
        """The whole release."""
        self.freed += _release_size(self.backend, release)
        self.gone.append(release)
        if self.dry_run:
            return
        drop_ticks(self.backend, release, None)
        with self.backend.writing() as connection:
            for table in (orders, leases, minutes, kept, ticks, events):
                connection.execute(delete(table).where(table.c.release == release))
            connection.execute(delete(releases).where(releases.c.id == release))


def prune(
    backend: Backend, retention: Retention, now: float, ended: Collection[str], *, dry_run: bool = False
) -> Pruned:
    """Forget what `retention` no longer keeps of the releases that have ended; `now` in seconds since 1970."""
    work = _Work(backend, dry_run)
    oldest_first = _by_age(backend, ended)
    newest = _newest(backend)
    if retention.releases_s is not None:
        for release, last_at in oldest_first.items():
            if last_at < now - retention.releases_s and release not in newest:
                work.drop(release)
    left = [release for release in oldest_first if release not in work.gone]
    if retention.ticks_s is not None:
        for release in left:
            work.drop_ticks(release, now - retention.ticks_s)
    if retention.size_bytes is not None:
        _shrink(work, retention.size_bytes, left, [release for release in left if release not in newest])
    return Pruned(tuple(work.gone), work.ticks, work.freed)


def _shrink(work: _Work, limit: int, with_ticks: Iterable[str], whole: Iterable[str]) -> None:
    held = size(work.backend) - (work.freed if work.dry_run else 0)
    goal = work.freed + held - limit
    for release in with_ticks:
        if work.freed >= goal:
            return
        work.drop_ticks(release, None)
    for release in whole:
        if work.freed >= goal:
            return
        work.drop(release)


def last_tick_at(connection: Connection, release: str) -> float | None:
    """When the release's last tick was, None without any."""
    last: float | None = connection.execute(select(func.max(ticks.c.at)).where(ticks.c.release == release)).scalar_one()
    return last


def drop_ticks(backend: Backend, release: str, before: float | None) -> int:
    """Delete the release's ticks earlier than `before`, all for None, but for its last, from which numbers go on."""
    count = 0
    while True:
        with backend.writing() as connection:
            old = _old(connection, release, before)
            first = select(ticks.c.seq).where(old).order_by(ticks.c.seq).limit(_AT_ONCE).subquery()
            through = connection.execute(select(func.max(first.c.seq))).scalar()
            if through is None:
                return count
            _mark_pruned(connection, release, through)
            count += connection.execute(delete(ticks).where(old, ticks.c.seq <= through)).rowcount


def size(backend: Backend) -> int:
    """Roughly how many bytes all releases take."""
    with backend.reading() as connection:
        known = list(connection.execute(select(releases.c.id)).scalars())
    return sum(_release_size(backend, release) for release in known)


def _release_size(backend: Backend, release: str) -> int:
    with backend.reading() as connection:
        return _ROW_BYTES + sum(
            _measured(connection, table, table.c.release == release)[1] for table in (events, ticks, kept, minutes)
        )


def _measured(connection: Connection, table: Table, which: ColumnElement[bool]) -> tuple[int, int]:
    """How many rows, and how many bytes they take."""
    text = func.coalesce(func.sum(func.length(table.c.data)), 0) if "data" in table.c else literal(0)
    count, length = connection.execute(select(func.count(), text).select_from(table).where(which)).one()
    return count, int(length) + count * _ROW_BYTES


def _old(connection: Connection, release: str, before: float | None) -> ColumnElement[bool]:
    mine = ticks.c.release == release
    last = connection.execute(select(func.max(ticks.c.seq)).where(mine)).scalar()
    earlier = and_(mine, ticks.c.seq < (last or 0))
    return earlier if before is None else and_(earlier, ticks.c.at < before)


def _mark_pruned(connection: Connection, release: str, through: int) -> None:
    mine = releases.c.id == release
    row = checked(connection.execute(select(releases).where(mine)).mappings().one())
    marked = {**row, "pruned_through": max(row["pruned_through"], through)}
    connection.execute(update(releases).where(mine).values(sealed(marked)))


def _by_age(backend: Backend, ended: Collection[str]) -> dict[str, float]:
    """The ended releases with the time of their last event, oldest first."""
    last = select(func.max(events.c.at)).where(events.c.release == releases.c.id).scalar_subquery()
    with backend.reading() as connection:
        rows = connection.execute(select(releases.c.id, func.coalesce(last, releases.c.created_at))).all()
    return {row[0]: row[1] for row in sorted(rows, key=lambda row: (row[1], row[0])) if row[0] in set(ended)}


def _newest(backend: Backend) -> set[str]:
    """The release of each service with the highest number: the next one's is counted from it."""
    with backend.reading() as connection:
        rows = connection.execute(select(releases.c.service, releases.c.id)).all()
    newest: dict[str, tuple[int, str]] = {}
    for service, release in rows:
        tail = release.rpartition("-")[2]
        number = int(tail) if tail.isdecimal() else 0
        newest[service] = max(newest.get(service, (0, "")), (number, release))
    return {release for _, release in newest.values()}
