"""The journal's tables, the same on SQLite and PostgreSQL, and the rows that go into them.

Every row of the record carries a checksum; what engines only tell each other (leases, orders under way, who is here)
does not, for it is gone with them. A record carries the seq of the event before it: ticks are pruned, so a gap in seq
alone would not tell a pruned tick from a lost event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from engine.journal.records import TICK, JournalCorrupt, Record, encode, is_intact, sealed

FORMAT = 2
"""The number of this layout. A journal with a greater one is refused. 2 has what several engines need: `SHARED`."""

metadata = MetaData()


def _release_column() -> Column[str]:
    return Column("release", String(255), ForeignKey("releases.id"), primary_key=True)


def _checksum_column() -> Column[int]:
    return Column("checksum", BigInteger, nullable=False)


def _record_columns() -> list[Column[Any]]:
    return [
        _release_column(),
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("previous_event", Integer, nullable=False),
        Column("at", Double, nullable=False),
        Column("type", Text, nullable=False),
        Column("data", Text, nullable=False),
        _checksum_column(),
    ]


facts = Table(  # "format" and "epoch"
    "journal",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
    _checksum_column(),
)
releases = Table(
    "releases",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("target", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("key", Text),
    Column("pruned_through", Integer, nullable=False),  # the seq of the last tick that was pruned, 0 for none
    _checksum_column(),
    UniqueConstraint("service", "key"),
)
events = Table("events", metadata, *_record_columns())
ticks = Table("ticks", metadata, *_record_columns())
kept = Table(  # only the latest of each name; `seq` is the record it was written with
    "kept",
    metadata,
    _release_column(),
    Column("name", String(255), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("data", Text, nullable=False),
    _checksum_column(),
)
minutes = Table(
    "minutes",
    metadata,
    _release_column(),
    Column("minute", BigInteger, primary_key=True),
    Column("metric", String(255), primary_key=True),
    Column("side", String(16), primary_key=True),
    Column("seconds", Double, nullable=False),
    Column("total", Double, nullable=False),
    Column("bad", Double, nullable=False),
    Column("bad_low", Double, nullable=False),
    Column("readings", Integer, nullable=False),
    Column("value_sum", Double, nullable=False),
    Column("value_low", Double),
    Column("value_high", Double),
    _checksum_column(),
)
leases = Table(  # one for each release
    "leases",
    metadata,
    _release_column(),
    Column("engine", String(255), nullable=False),  # "" when it was let go
    Column("epoch", BigInteger, nullable=False),
    Column("until", Double, nullable=False),  # by the database's clock; 0 when no engine ever had it
)
engines = Table(
    "engines",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("seen_at", Double, nullable=False),  # by the database's clock
    Column("lease_s", Double, nullable=False),
    Column("here", Text, nullable=False),  # who is attached to it
)
orders = Table(
    "orders",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("release", String(255), nullable=False, index=True),
    Column("data", Text, nullable=False),
    Column("asked_at", Double, nullable=False),  # by the asker's clock
    Column("sent_at", Double, nullable=False),  # by the database's
    Column("answer", Text),
)
SHARED = (leases, engines, orders)
RECORDED = tuple(table for table in metadata.sorted_tables if table not in SHARED)


def record_rows(release: str, records: Iterable[Record], last_event: int) -> list[dict[str, object]]:
    """Sealed rows of `events` and `ticks`, in order; `last_event` is the seq of the event before the first."""
    rows = []
    for record in records:
        row = {
            "release": release,
            "seq": record.seq,
            "previous_event": last_event,
            "at": float(record.at),
            "type": record.type,
            "data": encode(record.data),
        }
        rows.append(sealed(row))
        if record.type != TICK:
            last_event = record.seq
    return rows


def kept_rows(release: str, seq: int, keep: Mapping[str, Any]) -> list[dict[str, object]]:
    """Sealed rows of `kept`."""
    return [
        sealed({"release": release, "name": name, "seq": seq, "data": encode(value)}) for name, value in keep.items()
    ]


def to_record(row: Mapping[Any, Any]) -> Record:
    """The record of a row; JournalCorrupt when its checksum says that it changed."""
    row = checked(row)
    return Record(seq=row["seq"], at=row["at"], type=row["type"], data=json.loads(row["data"]))


def checked(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The row as a plain dict; JournalCorrupt when its checksum says that it changed."""
    plain = {str(name): value for name, value in row.items()}
    if not is_intact(plain):
        where = ", ".join(f"{name} {plain[name]!r}" for name in ("release", "id", "seq", "name") if name in plain)
        raise JournalCorrupt(f"a row of the journal is damaged ({where})")
    return plain
