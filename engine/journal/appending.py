"""Records into the tables: several releases' appends in one transaction, each with an answer of its own."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, tuple_

from engine.journal import leases
from engine.journal import minutes as journal_minutes
from engine.journal.records import (
    TICK,
    JournalBusy,
    JournalConflict,
    JournalError,
    JournalFenced,
    Record,
    is_same,
)
from engine.journal.spool import Spooled
from engine.journal.tables import events, kept, kept_rows, record_rows, releases, ticks, to_record


@dataclass(frozen=True, slots=True)
class _Fresh:
    """What is new of an append: `last_event` is the seq of the event before its first record."""

    release: str
    records: Sequence[Record]
    last_event: int
    keep: Mapping[str, Any]


def append_each(connection: Connection, appends: Sequence[Spooled]) -> list[JournalError | None]:
    """Add appends to different releases; for each the reason why it was refused, None when it is there.

    The leases are locked before anything is read: what is seen then is all that was ever stored under their epochs.
    """
    epochs = leases.locked_epochs(connection, {one.release for one in appends if one.epoch is not None})
    last_seqs = _last_seqs(connection, {one.release for one in appends})
    answers: list[JournalError | None] = []
    fresh: list[_Fresh] = []
    for one in appends:
        try:
            fresh += _fresh(connection, one, last_seqs.get(one.release), epochs)
            answers.append(None)
        except JournalError as error:
            answers.append(error)
    _store(connection, fresh)
    return answers


def last_seq(connection: Connection, release: str) -> int:
    """The number of the release's last record, 0 when there is none."""
    return max(_last_seqs(connection, {release}).get(release, (0, 0)))


def _fresh(
    connection: Connection, one: Spooled, last_seqs: tuple[int, int] | None, epochs: Mapping[str, int]
) -> list[_Fresh]:
    """What of an append is not there yet, nothing when all is. What is there already is nobody's late word, so it is
    done whatever the epoch."""
    _check_numbers(one.release, one.records)
    if last_seqs is None:
        raise JournalConflict(f"there is no release {one.release} in the journal")
    last = max(last_seqs)
    if one.records[-1].seq > last:
        _check_epoch(one, epochs)
    if one.records[0].seq > last + 1:
        raise JournalConflict(f"{one.release}: record {one.records[0].seq} can't follow record {last}")
    try:
        _check_same(connection, one.release, [record for record in one.records if record.seq <= last])
    except JournalConflict:
        _check_epoch(one, epochs)  # the better reason, if it is one
        raise
    records = [record for record in one.records if record.seq > last]
    return [_Fresh(one.release, records, last_seqs[0], one.keep)] if records else []


def _check_epoch(one: Spooled, epochs: Mapping[str, int]) -> None:
    if one.epoch is None:
        return
    if one.release not in epochs:
        raise JournalBusy(f"the lease of {one.release} is being taken just now")
    if epochs[one.release] != one.epoch:
        raise JournalFenced(one.release, one.epoch, epochs[one.release])


def _store(connection: Connection, fresh: Sequence[_Fresh]) -> None:
    rows = [row for one in fresh for row in record_rows(one.release, one.records, one.last_event)]
    for table, is_tick in ((events, False), (ticks, True)):
        if chosen := [row for row in rows if (row["type"] == TICK) is is_tick]:
            connection.execute(insert(table), chosen)
    journal_minutes.add(
        connection, {one.release: [record for record in one.records if record.type == TICK] for one in fresh}
    )
    keeping = [row for one in fresh for row in kept_rows(one.release, one.records[-1].seq, one.keep)]
    if keeping:
        names = {(row["release"], row["name"]) for row in keeping}
        connection.execute(delete(kept).where(tuple_(kept.c.release, kept.c.name).in_(names)))
        connection.execute(insert(kept), keeping)


def _check_numbers(release: str, records: Sequence[Record]) -> None:
    if not records:
        raise JournalConflict(f"{release}: an append needs a record")
    for before, record in itertools.pairwise(records):
        if record.seq != before.seq + 1:
            raise JournalConflict(f"{release}: record {record.seq} can't follow record {before.seq}")


def _last_seqs(connection: Connection, of: Collection[str]) -> dict[str, tuple[int, int]]:
    """The seq of the last event and of the last tick of each of these releases that is there, 0 for none."""
    newest = [
        func.coalesce(select(func.max(table.c.seq)).where(table.c.release == releases.c.id).scalar_subquery(), 0)
        for table in (events, ticks)
    ]
    rows = connection.execute(select(releases.c.id, *newest).where(releases.c.id.in_(of)))
    return {row[0]: (row[1], row[2]) for row in rows}


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
