"""The durable record of all releases: append-only, in one SQLite file, readable while it is written.

It stores records and knows nothing of what they mean. What it holds to:

- One transaction an append: records, the sums per minute and what is kept beside them are there together or not at all;
  when `append` has returned they survive kill -9 and a power cut (WAL, synchronous FULL).
- A release's records are numbered 1, 2, 3, ...; a record that does not follow is refused, one that is already there is
  taken as done, so anything may be sent twice.
- One engine writes: a file lock. Readers in other processes need none.
- A damaged file is set aside and never deleted; what is intact of it goes on in a new one (`recovered` says so).
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from engine.journal import check as journal_check
from engine.journal import minutes as journal_minutes
from engine.journal import recovery as journal_recovery
from engine.journal import sqlite as journal_sqlite
from engine.journal.records import (
    TICK,
    Drained,
    JournalConflict,
    JournalUnavailable,
    Minute,
    Record,
    Recovery,
    ReleaseRow,
    is_same,
    sealed,
)
from engine.journal.spool import Spool
from engine.journal.tables import checked, events, facts, kept, kept_rows, record_rows, releases, ticks, to_record

_RELEASE_NAMES = tuple(field.name for field in fields(ReleaseRow))


class Journal:
    """An open journal. One thread appends (`journal_writer`); any thread may read.

    recovered: set when opening found the file damaged
    drained:   set when opening found records that waited in the spool
    """

    def __init__(self, path: Path, engine: Engine, lock: int | None) -> None:
        self.path = path
        self.spool = Spool(path.with_name(path.name + ".spool"))
        self.recovered: Recovery | None = None
        self.drained: Drained | None = None
        self._engine = engine
        self._lock = lock
        self._epoch: int | None = None

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """Open the journal; for writing, make it if it is not there.

        Raises JournalLocked (another engine writes it), JournalTooNew, JournalCorrupt (read-only and damaged, or the
        file is something else), JournalUnavailable (not there for reading, or the disk refuses).
        """
        try:
            return cls._open_to_read(path) if readonly else cls._open_to_write(path)
        except OSError as error:
            raise JournalUnavailable(f"the journal {path} can't be opened: {error}") from error

    @classmethod
    def _open_to_read(cls, path: Path) -> Self:
        if not path.exists():
            raise JournalUnavailable(f"there is no journal at {path}")
        journal_check.check_readable(path)
        return cls(path, journal_sqlite.connect(path, readonly=True), None)

    @classmethod
    def _open_to_write(cls, path: Path) -> Self:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = journal_sqlite.take_lock(path)
        try:
            recovered = journal_recovery.make_sound(path)
            journal = cls(path, journal_sqlite.connect(path, readonly=False), lock)
        except BaseException:
            os.close(lock)
            raise
        journal.recovered = recovered
        with journal._closed_on_error():
            journal.drained = journal._drain()
        return journal

    def close(self) -> None:
        """Close the file and let the lock go. Closing twice is fine."""
        self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_release(
        self,
        release: str,
        target: str,
        service: str,
        created_at: float,
        key: str | None = None,
        *,
        records: Sequence[Record] = (),
        keep: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a release and its first records in one transaction; `created_at` in seconds since 1970.

        Raises JournalConflict when the id, or the key for this service, is taken; JournalUnavailable as `append` does.
        """
        row = ReleaseRow(release, target, service, float(created_at), key)
        with self._writing() as connection:
            connection.execute(insert(releases), sealed({**asdict(row), "pruned_through": 0}))
            if records:
                _append(connection, release, records, keep or {})

    def append(self, release: str, records: Sequence[Record], *, keep: Mapping[str, Any] | None = None) -> None:
        """Add records, which continue the release's numbers, and replace what is kept under the names in `keep`.

        One transaction; when this returns it is on the disk. Records that are already there with the same content are
        skipped; if all are, `keep` is too, for it came with them. Raises JournalConflict (a gap, another content, no
        such release), JournalUnavailable (full disk, I/O error: nothing was stored, the same call may be made again).
        """
        with self._writing() as connection:
            _append(connection, release, records, keep or {})

    def read(
        self, release: str, after: int = 0, types: Collection[str] | None = None, limit: int | None = None
    ) -> list[Record]:
        """The release's records later than seq `after`, in order; only of these `types`, the first `limit`."""
        selects = [
            select(table).where(table.c.release == release, table.c.seq > after, *wanted)
            for table, wanted in _tables_with(types)
        ]
        if not selects:
            return []
        with self._reading() as connection:
            rows = union_all(*selects).subquery()
            found = connection.execute(select(rows).order_by(rows.c.seq).limit(limit)).mappings()
            return [to_record(row) for row in found]

    def releases(self) -> list[ReleaseRow]:
        """All releases, oldest first."""
        with self._reading() as connection:
            query = select(releases).order_by(releases.c.created_at, releases.c.id)
            rows = connection.execute(query).mappings()
            return [ReleaseRow(**{name: row[name] for name in _RELEASE_NAMES}) for row in map(checked, rows)]

    def next_id(self, service: str) -> str:
        """An id for the service's next release, such as `checkout-7`."""
        with self._reading() as connection:
            ids = connection.execute(select(releases.c.id).where(releases.c.service == service)).scalars()
            numbers = [tail for name in ids if (tail := name.removeprefix(f"{service}-")).isdecimal()]
        return f"{service}-{max(map(int, numbers), default=0) + 1}"

    def kept(self, release: str) -> dict[str, Any]:
        """The latest of all that was given to `keep`, by name."""
        with self._reading() as connection:
            rows = connection.execute(select(kept).where(kept.c.release == release)).mappings()
            return {row["name"]: json.loads(checked(row)["data"]) for row in rows}

    def minutes(self, release: str, after: int = -1) -> list[Minute]:
        """Summaries of the minutes that begin later than `after` (seconds since 1970), pruned ticks included."""
        with self._reading() as connection:
            return journal_minutes.read(connection, release, after)

    def last_seq(self, release: str) -> int:
        """The number of the release's last record, 0 when there is none."""
        with self._reading() as connection:
            return max(_last_seqs(connection, release) or (0, 0))

    def engine_epoch(self) -> int:
        """The number of this engine's turn with this journal, greater than that of every engine before it. The first
        call counts it up durably; JournalUnavailable when the disk refuses."""
        if self._epoch is None:
            with self._writing() as connection:
                row = connection.execute(select(facts).where(facts.c.name == "epoch")).mappings().one()
                epoch = int(checked(row)["value"]) + 1
                values = sealed({"name": "epoch", "value": epoch})
                connection.execute(update(facts).where(facts.c.name == "epoch").values(values))
            self._epoch = epoch
        return self._epoch

    def prune_ticks(self, release: str, keep_seconds: float) -> int:
        """Delete the ticks that are more than `keep_seconds` older than the release's last one; returns how many.

        Events and minutes stay. The last tick stays too, for numbers go on from it.
        """
        mine = ticks.c.release == release
        with self._writing() as connection:
            last = connection.execute(select(func.max(ticks.c.at), func.max(ticks.c.seq)).where(mine)).one()
            if last[0] is None:
                return 0
            old = and_(mine, ticks.c.at < last[0] - keep_seconds, ticks.c.seq < last[1])
            through = connection.execute(select(func.max(ticks.c.seq)).where(old)).scalar()
            if through is None:
                return 0
            _mark_pruned(connection, release, through)
            return connection.execute(delete(ticks).where(old)).rowcount

    def _drain(self) -> Drained | None:
        entries, torn = self.spool.read()
        drained, refused = 0, []
        for entry in sorted(entries, key=lambda entry: (entry.release, entry.records[0].seq)):
            try:
                self.append(entry.release, entry.records, keep=entry.keep)
                drained += len(entry.records)
            except JournalConflict as error:
                refused.append(str(error))
        if not (entries or torn):
            return None
        aside = self.spool.set_aside() if torn or refused else None
        self.spool.remove()
        return Drained(drained, torn, tuple(refused), aside)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with journal_sqlite.answering(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        options = {journal_sqlite.WRITES: True}
        with journal_sqlite.answering(), self._engine.execution_options(**options).begin() as connection:
            yield connection

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


def _append(connection: Connection, release: str, records: Sequence[Record], keep: Mapping[str, Any]) -> None:
    _check_numbers(release, records)
    last_seqs = _last_seqs(connection, release)
    if last_seqs is None:
        raise JournalConflict(f"there is no release {release} in the journal")
    last_event, last = last_seqs[0], max(last_seqs)
    if records[0].seq > last + 1:
        raise JournalConflict(f"{release}: record {records[0].seq} can't follow record {last}")
    _check_same(connection, release, [record for record in records if record.seq <= last])
    fresh = [record for record in records if record.seq > last]
    if not fresh:
        return
    rows = record_rows(release, fresh, last_event)
    for table, is_tick in ((events, False), (ticks, True)):
        if chosen := [row for row in rows if (row["type"] == TICK) is is_tick]:
            connection.execute(insert(table), chosen)
    journal_minutes.add(connection, release, (record for record in fresh if record.type == TICK))
    _replace_kept(connection, release, fresh[-1].seq, keep)


def _check_numbers(release: str, records: Sequence[Record]) -> None:
    if not records:
        raise JournalConflict(f"{release}: an append needs a record")
    for before, record in itertools.pairwise(records):
        if record.seq != before.seq + 1:
            raise JournalConflict(f"{release}: record {record.seq} can't follow record {before.seq}")


def _last_seqs(connection: Connection, release: str) -> tuple[int, int] | None:
    """The seq of the last event and of the last tick, 0 for none; None when there is no such release."""
    newest = [
        func.coalesce(select(func.max(table.c.seq)).where(table.c.release == release).scalar_subquery(), 0)
        for table in (events, ticks)
    ]
    row = connection.execute(select(*newest).select_from(releases).where(releases.c.id == release)).one_or_none()
    return None if row is None else (row[0], row[1])


def _check_same(connection: Connection, release: str, records: Sequence[Record]) -> None:
    """That these records are in the journal as they are; a tick that was pruned counts as the same."""
    if not records:
        return
    first, last = records[0].seq, records[-1].seq
    stored: dict[int, Record] = {}
    for table in (events, ticks):
        mine = select(table).where(table.c.release == release, table.c.seq.between(first, last))
        stored |= {row["seq"]: to_record(row) for row in connection.execute(mine).mappings()}
    for record in records:
        there = stored.get(record.seq)
        if record.type == TICK if there is None else is_same(record, there):
            continue
        raise JournalConflict(f"{release}: record {record.seq} is there already, with another content")


def _replace_kept(connection: Connection, release: str, seq: int, keep: Mapping[str, Any]) -> None:
    if not keep:
        return
    connection.execute(delete(kept).where(kept.c.release == release, kept.c.name.in_(keep)))
    connection.execute(insert(kept), kept_rows(release, seq, keep))


def _mark_pruned(connection: Connection, release: str, through: int) -> None:
    mine = releases.c.id == release
    row = checked(connection.execute(select(releases).where(mine)).mappings().one())
    marked = {**row, "pruned_through": max(row["pruned_through"], through)}
    connection.execute(update(releases).where(mine).values(sealed(marked)))


def _tables_with(types: Collection[str] | None) -> list[tuple[Table, list[ColumnElement[bool]]]]:
    """The tables where records of these types are, each with its condition."""
    if types is None:
        return [(events, []), (ticks, [])]
    wanted: list[tuple[Table, list[ColumnElement[bool]]]] = []
    if names := set(types) - {TICK}:
        wanted.append((events, [events.c.type.in_(names)]))
    if TICK in types:
        wanted.append((ticks, []))
    return wanted
