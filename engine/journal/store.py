"""The durable record of all releases: append-only, in a SQLite file or a PostgreSQL, readable while it is written.

It stores records and knows nothing of what they mean. What it holds to:

- One transaction an append: records, the sums per minute and what is kept beside them are there together or not at all;
  when `append` has returned they survive kill -9 and a power cut (WAL, synchronous FULL).
- A release's records are numbered 1, 2, 3, ...; a record that does not follow is refused, one that is already there is
  taken as done, so anything may be sent twice.
- One engine writes a release. A SQLite file is one engine's, by a lock; on PostgreSQL a release is one engine's, by a
  lease whose epoch is checked in the transaction of each append. Readers need neither.
- A damaged SQLite file is set aside and never deleted; what is intact of it goes on in a new one (`recovered` says so).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Table, insert, select, union_all

from engine.journal import check as journal_check
from engine.journal import leases, mailbox
from engine.journal import minutes as journal_minutes
from engine.journal import recovery as journal_recovery
from engine.journal import retention as journal_retention
from engine.journal.appending import append_each, last_seq
from engine.journal.backend import Backend
from engine.journal.files import take_lock
from engine.journal.records import (
    TICK,
    Drained,
    HereRow,
    JournalBusy,
    JournalConflict,
    JournalError,
    JournalFenced,
    JournalUnavailable,
    LeaseRow,
    Minute,
    OrderRow,
    Pruned,
    Record,
    Recovery,
    ReleaseRow,
    Retention,
    Taken,
    sealed,
)
from engine.journal.spool import Spool, Spooled
from engine.journal.sqlite import SqliteBackend
from engine.journal.tables import checked, events, kept, releases, ticks, to_record

_RELEASE_NAMES = tuple(field.name for field in fields(ReleaseRow))


class Journal:
    """An open journal. One thread appends (`JournalWriter`); any thread may do everything else.

    recovered: set when opening found the file damaged
    drained:   set when opening found records that waited in the spool
    """

    def __init__(self, path: Path, backend: Backend) -> None:
        """`path` names the file, or for another database what lies beside it: the spool is `path`.spool."""
        self.path = path
        self.spool = Spool(path.with_name(path.name + ".spool"))
        self.recovered: Recovery | None = None
        self.drained: Drained | None = None
        self._backend = backend
        self._epoch: int | None = None

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """Open the journal in this file; for writing, make it if it is not there, or bring it to this format.

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
        return cls(path, SqliteBackend(path, readonly=True))

    @classmethod
    def _open_to_write(cls, path: Path) -> Self:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(path)
        try:
            recovered = journal_recovery.make_sound(path)
            backend = SqliteBackend(path, readonly=False, lock=lock)
        except BaseException:
            os.close(lock)
            raise
        journal = cls.over(path, backend)
        journal.recovered = recovered
        return journal

    @classmethod
    def over(cls, path: Path, backend: Backend) -> Self:
        """The journal in a database that is open for writing, with what waited in the spool."""
        journal = cls(path, backend)
        try:
            journal.drained = journal._drain()
            if not backend.shared:
                with backend.writing() as connection:
                    leases.free_all(connection)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def shared(self) -> bool:
        """Whether several engines may have it open."""
        return self._backend.shared

    def close(self) -> None:
        """Close the database and let the lock go. Closing twice is fine."""
        self._backend.close()

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
        engine: str = "",
        lease_s: float = 0.0,
        known: Collection[str] | None = None,
    ) -> int:
        """Add a release and its first records in one transaction; `created_at` in seconds since 1970. Returns the epoch
        of the lease that `engine` has on it for `lease_s` seconds; without an engine nobody holds it, epoch 0.

        `known` are the releases on this target that the starter looked at: with one more there it looks again. They are
        told apart by id, for the clocks of two engines differ. Of those who knew the same, one begins a release.

        Raises JournalConflict when the id, or the key for this service, is taken, or `known` is not all;
        JournalUnavailable as `append` does: the same call may be made again, and if the first was done all the same it
        is this engine's.
        """
        row = ReleaseRow(release, target, service, float(created_at), key)
        with self._backend.writing() as connection:
            self._backend.one_by_one(connection, target)
            if engine and (there := leases.granted(connection, release, engine)):
                before = connection.execute(select(releases).where(releases.c.id == release)).mappings().one()
                if sealed({**asdict(row), "pruned_through": 0}) == dict(before):
                    return there
            if known is not None:
                _refuse_unknown(connection, target, known)
            connection.execute(insert(releases), sealed({**asdict(row), "pruned_through": 0}))
            epoch = leases.grant(connection, self._backend, release, engine, lease_s)
            if records:
                raise_first(append_each(connection, [Spooled(release, tuple(records), keep or {})]))
            self._backend.notify(connection, [release])
        return epoch

    def append(
        self,
        release: str,
        records: Sequence[Record],
        *,
        keep: Mapping[str, Any] | None = None,
        epoch: int | None = None,
    ) -> None:
        """Add records, which continue the release's numbers, and replace what is kept under the names in `keep`.

        One transaction; when this returns it is on the disk. Records that are already there with the same content are
        skipped; if all are, `keep` is too, for it came with them. Raises JournalConflict (a gap, another content, no
        such release), JournalFenced (the release's lease has another epoch), JournalUnavailable (full disk, I/O error,
        no connection: the same call may be made again, whether or not it was stored).
        """
        raise_first(self.append_each([Spooled(release, tuple(records), keep or {}, epoch)]))

    def append_each(self, appends: Sequence[Spooled]) -> list[JournalError | None]:
        """Append to several releases, each once, in one transaction: for each None, or why it was refused. Each is
        stored whole or not at all, and none is refused for another's fault."""
        try:
            return self._appended(appends)
        except (JournalConflict, JournalBusy) as error:  # found by the database itself, which doesn't say in which
            if len(appends) > 1:
                return [self.append_each([one])[0] for one in appends]
            return [self._appended_after_all(appends[0], error)]
        except JournalUnavailable as error:
            return [error] * len(appends)

    def _appended(self, appends: Sequence[Spooled]) -> list[JournalError | None]:
        with self._backend.writing() as connection:
            answers = append_each(connection, appends)
            stored = [one.release for one, answer in zip(appends, answers, strict=True) if answer is None]
            self._backend.notify(connection, stored)
        return answers

    def _appended_after_all(self, one: Spooled, error: JournalError) -> JournalError | None:
        """The same append, sent on a line that was cut, may have come between looking and storing: look again."""
        try:
            return error if isinstance(error, JournalBusy) else self._appended([one])[0]
        except JournalError as again:
            return again

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
        with self._backend.reading() as connection:
            rows = union_all(*selects).subquery()
            found = connection.execute(select(rows).order_by(rows.c.seq).limit(limit)).mappings()
            return [to_record(row) for row in found]

    def releases(self) -> list[ReleaseRow]:
        """All releases, oldest first."""
        with self._backend.reading() as connection:
            query = select(releases).order_by(releases.c.created_at, releases.c.id)
            rows = connection.execute(query).mappings()
            return [ReleaseRow(**{name: row[name] for name in _RELEASE_NAMES}) for row in map(checked, rows)]

    def next_id(self, service: str) -> str:
        """An id for the service's next release, such as `checkout-7`."""
        with self._backend.reading() as connection:
            ids = connection.execute(select(releases.c.id).where(releases.c.service == service)).scalars()
            numbers = [tail for name in ids if (tail := name.removeprefix(f"{service}-")).isdecimal()]
        return f"{service}-{max(map(int, numbers), default=0) + 1}"

    def kept(self, release: str) -> dict[str, Any]:
        """The latest of all that was given to `keep`, by name."""
        with self._backend.reading() as connection:
            rows = connection.execute(select(kept).where(kept.c.release == release)).mappings()
            return {row["name"]: json.loads(checked(row)["data"]) for row in rows}

    def minutes(self, release: str, after: int = -1) -> list[Minute]:
        """Summaries of the minutes that begin later than `after` (seconds since 1970), pruned ticks included."""
        with self._backend.reading() as connection:
            return journal_minutes.read(connection, release, after)

    def last_seq(self, release: str) -> int:
        """The number of the release's last record, 0 when there is none."""
        with self._backend.reading() as connection:
            return last_seq(connection, release)

    def engine_epoch(self) -> int:
        """The number of this engine's turn with this journal, greater than that of every engine before it. The first
        call counts it up durably; JournalUnavailable when the disk refuses."""
        if self._epoch is None:
            with self._backend.writing() as connection:
                epoch = leases.next_epoch(connection)
            self._epoch = epoch
        return self._epoch

    # --- leases

    def family(self) -> int:
        """A number that all engines on this store have in common, and no other store's."""
        with self._backend.writing() as connection:
            return leases.family(connection)

    def take(self, release: str, engine: str, lease_s: float) -> Taken | None:
        """Hold a release that nobody else holds, under a new epoch; None while another engine's lease runs."""
        with self._backend.writing() as connection:
            return leases.take(connection, self._backend, release, engine, lease_s)

    def renew(self, engine: str, lease_s: float) -> dict[str, int]:
        """Prolong this engine's leases, those that ran out and that nobody took included: its releases' epochs."""
        with self._backend.writing() as connection:
            mailbox.seen(connection, self._backend, engine, lease_s, None)
            return leases.renew(connection, self._backend, engine, lease_s)

    def let_go(self, engine: str, release: str | None = None) -> None:
        """Others may take this release, or all that the engine holds, at once."""
        with self._backend.writing() as connection:
            leases.let_go(connection, self._backend, engine, release)
            self._backend.notify(connection, [release] if release else [])

    def leases(self) -> list[LeaseRow]:
        """Who holds each release, oldest first."""
        with self._backend.reading() as connection:
            return leases.rows(connection, self._backend)

    # --- what engines leave for each other

    def send_order(self, order: OrderRow) -> None:
        """Leave an order for the engine that holds its release. Sent twice is sent once; it is kept for an hour."""
        with self._backend.writing() as connection:
            mailbox.send(connection, self._backend, order)

    def orders_for(self, releases: Collection[str]) -> list[OrderRow]:
        """The orders for these releases that wait for an answer, oldest first."""
        with self._backend.reading() as connection:
            return mailbox.unanswered(connection, releases)

    def answer_order(self, order: str, answer: str) -> None:
        """Say what came of an order; the first answer stays."""
        with self._backend.writing() as connection:
            mailbox.answer(connection, self._backend, order, answer)

    def answer_of(self, order: str) -> str | None:
        """What came of an order; None while nobody answered."""
        with self._backend.reading() as connection:
            return mailbox.answered(connection, order)

    def here(self, engine: str, rows: Sequence[HereRow]) -> None:
        """Say who is attached to this engine now, in place of what was said before."""
        with self._backend.writing() as connection:
            mailbox.seen(connection, self._backend, engine, None, mailbox.as_text(rows))

    def everyone_here(self) -> list[HereRow]:
        """Who is attached at any engine that showed a sign of life (`renew`, `here`) in its last three leases."""
        with self._backend.reading() as connection:
            return mailbox.everyone(connection, self._backend)

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Call `hear`, in another thread, with each release that has news: records, an order, an answer, a lease let
        go; returns what ends that. Only a hint: one may be missed, or heard twice. SQLite never calls."""
        return self._backend.listen(hear)

    # --- what is forgotten

    def prune(self, retention: Retention, now: float, ended: Collection[str], *, dry_run: bool = False) -> Pruned:
        """Forget what `retention` no longer keeps of the releases that have `ended`, at `now` (seconds since 1970).

        Many short transactions: any thread may do it while another appends. The newest release of each service stays,
        without its ticks, so that no id is given twice.
        """
        return journal_retention.prune(self._backend, retention, now, ended, dry_run=dry_run)

    def prune_ticks(self, release: str, keep_seconds: float) -> int:
        """Delete the ticks that are more than `keep_seconds` older than the release's last one; returns how many.

        Events and minutes stay. The last tick stays too, for numbers go on from it.
        """
        with self._backend.reading() as connection:
            last = journal_retention.last_tick_at(connection, release)
        return 0 if last is None else journal_retention.drop_ticks(self._backend, release, last - keep_seconds)

    def size(self) -> int:
        """How many bytes the rows take, roughly; what was pruned is out of it at once, though the file is as large."""
        return journal_retention.size(self._backend)

    def _drain(self) -> Drained | None:
        entries, torn = self.spool.read()
        drained, refused = 0, []
        for entry in sorted(entries, key=lambda entry: (entry.release, entry.records[0].seq)):
            try:
                epoch = entry.epoch if self.shared else None  # where the file's lock is the lease, nobody came between
                self.append(entry.release, entry.records, keep=entry.keep, epoch=epoch)
                drained += len(entry.records)
            except (JournalConflict, JournalFenced) as error:
                refused.append(str(error))
        if not (entries or torn):
            return None
        aside = self.spool.set_aside() if torn or refused else None
        self.spool.remove()
        return Drained(drained, torn, tuple(refused), aside)


def _refuse_unknown(connection: Connection, target: str, known: Collection[str]) -> None:
    there = connection.execute(select(releases.c.id).where(releases.c.target == target)).scalars()
    if unknown := sorted(set(there) - set(known)):
        raise JournalConflict(f"{unknown[-1]} was begun on {target} meanwhile")


def raise_first(answers: Sequence[JournalError | None]) -> None:
    """Raise what an append was refused with."""
    for error in answers:
        if error is not None:
            raise error


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
