"""A new journal with what is intact of a damaged one, which is kept."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from glob import escape
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, Table, bindparam, insert, literal_column, select

from engine.journal import check as journal_check
from engine.journal import minutes as journal_minutes
from engine.journal import sqlite as journal_sqlite
from engine.journal.files import sync_folder
from engine.journal.records import TICK, Recovery, is_intact
from engine.journal.tables import RECORDED, events, facts, kept, leases, minutes, releases, ticks, to_record

Row = dict[str, Any]
Tables = dict[str, list[Row]]

_ROWID = literal_column("rowid", Integer)
_PROBES = 2_000
"""How many rows are tried one by one behind a broken page when nothing can be read from the other end."""


@dataclass(slots=True)
class _Found:
    """What was read of one release, each list in the order of its table's key."""

    records: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    minutes: list[Row] = field(default_factory=list)


def make_sound(path: Path) -> Recovery | None:
    """Leave a sound journal at `path`, new if there was none. Says what it had to do, None when all was well.

    The caller holds the lock. Raises JournalTooNew; JournalCorrupt for a database that is no journal.
    """
    _finish_swap(path)
    if not path.exists():
        fresh = _new_file(path, epoch=0)
        fresh.rename(path)
        sync_folder(path.parent)
        return None
    found = journal_check.damage(path)
    if found:
        return _recover(path, found)
    journal_sqlite.upgrade(path)
    return None


def _recover(path: Path, found: str) -> Recovery:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    tables = _readable(path)
    epochs = [row["value"] for row in tables[facts.name] if row["name"] == "epoch"]
    fresh = _new_file(path, epoch=epochs[0] if epochs else int(time.time()))  # past any epoch that was counted
    releases_back, lost = _fill(fresh, tables)
    aside = _sibling(path, f"corrupt-{stamp}")
    os.link(path, aside)
    fresh.rename(_sibling(path, f"recovered-{stamp}"))
    _finish_swap(path)
    return Recovery(aside, found, releases_back, lost)


def _finish_swap(path: Path) -> None:
    """Put a recovered journal in its place. A step of its own, so that a crash in the middle of it can be made good:
    the damaged file's log must never meet the new file, and there is no moment without a journal."""
    for ready in path.parent.glob(f"{escape(path.name)}.recovered-*"):
        stamp = ready.name.removeprefix(f"{path.name}.recovered-")
        for log in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + log).rename(_sibling(path, f"corrupt-{stamp}{log}"))
        ready.replace(path)
        sync_folder(path.parent)


def _sibling(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}.{name}")


def _new_file(path: Path, epoch: int) -> Path:
    """An empty journal beside `path`, in place of one that was never finished."""
    fresh = _sibling(path, "new")
    for log in ("", "-wal", "-shm"):
        fresh.with_name(fresh.name + log).unlink(missing_ok=True)
    journal_sqlite.create(fresh, epoch=epoch)
    return fresh


def _readable(path: Path) -> Tables:
    """All intact rows that can be read, by table."""
    with closing(journal_check.opened(path)) as connection:
        return {table.name: _readable_rows(connection, table) for table in RECORDED}


def _readable_rows(connection: sqlite3.Connection, table: Table) -> list[Row]:
    """From both ends up to the broken pages, and between those one row after the other."""
    first, is_whole = _scan(connection, str(select(_ROWID, table).order_by(_ROWID)))
    if is_whole:
        return _intact(table, first)
    last, _ = _scan(connection, str(select(_ROWID, table).order_by(_ROWID.desc())))
    low = first[-1]["rowid"] if first else 0
    high = last[-1]["rowid"] if last else low + _PROBES
    one = str(select(_ROWID, table).where(bindparam("wanted") == _ROWID))
    between = (_scan(connection, one, wanted=rowid)[0] for rowid in range(low + 1, high))
    return _intact(table, [*first, *chain.from_iterable(between), *last])


def _scan(connection: sqlite3.Connection, query: str, **values: int) -> tuple[list[Row], bool]:
    """The rows up to the first that can't be read, and whether there was none such."""
    rows: list[Row] = []
    try:
        rows.extend(dict(row) for row in connection.execute(query, values))
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # the latter from a column's name
        return rows, False
    return rows, True


def _intact(table: Table, rows: Iterable[Row]) -> list[Row]:
    """The rows that are as they were written, each once, in the order of the table's key."""
    names = [column.name for column in table.primary_key]
    plain = ({name: value for name, value in row.items() if name != "rowid"} for row in rows)
    by_key = {tuple(row[name] for name in names): row for row in plain if is_intact(row)}
    return [by_key[key] for key in sorted(by_key)]


def _fill(path: Path, tables: Tables) -> tuple[dict[str, int], tuple[str, ...]]:
    """Put what is intact into the new journal: each release's last seq in it, and what is known to be lost."""
    found = _by_release(tables)
    last_seqs: dict[str, int] = {}
    lost: list[str] = []
    engine = journal_sqlite.connect(path, readonly=False)
    with journal_sqlite.answering(), engine.begin() as connection:
        for release in tables[releases.name]:
            mine = found.pop(release["id"], _Found())
            intact = mine.records[: journal_check.intact_prefix(mine.records, release["pruned_through"])]
            last_seqs[release["id"]] = intact[-1]["seq"] if intact else 0
            last_seen = max((row["seq"] for row in mine.records + mine.kept), default=0)
            if last_seen > last_seqs[release["id"]]:
                lost.append(f"{release['id']} after record {last_seqs[release['id']]}, up to {last_seen} at least")
            _restore(connection, release, intact, mine)
    engine.dispose()
    lost += [f"{release}, of which only records could be read" for release in found]
    return last_seqs, tuple(lost)


def _by_release(tables: Tables) -> dict[str, _Found]:
    found: dict[str, _Found] = defaultdict(_Found)
    for row in tables[events.name] + tables[ticks.name]:
        found[row["release"]].records.append(row)
    for row in tables[kept.name]:
        found[row["release"]].kept.append(row)
    for row in tables[minutes.name]:
        found[row["release"]].minutes.append(row)
    for mine in found.values():
        mine.records.sort(key=itemgetter("seq"))
    return found


def _restore(connection: Connection, release: Row, records: list[Row], found: _Found) -> None:
    last_seq = records[-1]["seq"] if records else 0
    ticked = [row for row in records if row["type"] == TICK]
    _insert(connection, releases, [release])
    _insert(connection, leases, [{"release": release["id"], "engine": "", "epoch": 0, "until": 0.0}])
    _insert(connection, events, [row for row in records if row["type"] != TICK])
    _insert(connection, ticks, ticked)
    _insert(connection, kept, [row for row in found.kept if row["seq"] <= last_seq])
    # Minutes of ticks that were pruned are only there as sums; those of the others are summed again, for a sum may
    # hold ticks that are lost.
    summed_until = _minute(ticked[0]) if release["pruned_through"] and ticked else -1
    _insert(connection, minutes, [row for row in found.minutes if row["minute"] <= summed_until])
    later = (row for row in ticked if _minute(row) > summed_until)
    journal_minutes.add(connection, {release["id"]: [to_record(row) for row in later]})


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _minute(row: Row) -> int:
    return journal_minutes.minute_of(row["at"])
