"""Is the journal's file sound?

SQLite's own check sees broken pages; the rows' checksums see changed values; the numbers of a release's records see
missing ones; `journal_wal` sees a broken write-ahead log, which SQLite would cut off without a word. What no check can
see is a file put back to an earlier sound state, its write-ahead log cut off between two transactions included.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import select, union_all

from engine.journal import sqlite as journal_sqlite
from engine.journal import wal as journal_wal
from engine.journal.records import TICK, JournalCorrupt, JournalTooNew, is_intact
from engine.journal.tables import FORMAT, RECORDED, events, facts, metadata, releases, ticks

_LINKS = ("release", "seq", "previous_event", "type")
_SEQUENCE = union_all(*(select(*(table.c[name] for name in _LINKS)) for table in (events, ticks))).order_by(
    "release", "seq"
)


def damage(path: Path) -> str:
    """What is wrong with the file, in words; nothing when it is sound. It is not changed."""
    if path.stat().st_size == 0:
        return "the file is empty"
    try:
        with journal_sqlite.answering(), closing(opened(path)) as connection:
            found = _integrity(connection)
            check_format(connection, path, sound=not found)
            return found or _altered(connection) or journal_wal.lost(path)
    except UnicodeDecodeError:
        return "its tables have names that are no text"
    except JournalCorrupt as error:
        if isinstance(error.__cause__, sqlite3.Error):
            return str(error.__cause__)
        raise


def check_format(connection: sqlite3.Connection, path: Path, *, sound: bool = True) -> None:
    """JournalTooNew for a format from the future; JournalCorrupt for a sound database that is no journal."""
    names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if sound and names and names.isdisjoint(metadata.tables):
        raise JournalCorrupt(f"{path} is a database, but no laneshift journal; it was not touched")
    found = _facts(connection).get("format", 0) if facts.name in names else 0
    if found > FORMAT:
        raise JournalTooNew(path, found, FORMAT)


def check_readable(path: Path) -> None:
    """`check_format` for a file that will only be read."""
    with journal_sqlite.answering(), closing(opened(path)) as connection:
        check_format(connection, path)


def opened(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, the write-ahead log included, and gives broken text as it is."""
    connection = sqlite3.connect(journal_sqlite.uri(path, "ro"), uri=True, timeout=5.0, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = journal_sqlite.as_text
    return connection


def intact_prefix(rows: Iterable[Mapping[str, Any]], pruned_through: int) -> int:
    """How many of a release's records, given in order, follow each other without a gap.

    Seqs up to `pruned_through` may be missing where they were ticks; an event may not, and the next record names it.
    """
    count = last = last_event = 0
    for row in rows:
        follows = row["seq"] == last + 1 or last < row["seq"] <= pruned_through + 1
        if not follows or row["previous_event"] != last_event:
            break
        count, last = count + 1, row["seq"]
        last_event = last if row["type"] != TICK else last_event
    return count


def _integrity(connection: sqlite3.Connection) -> str:
    """Indexes are checked too: a record that the index does not know would not be found again."""
    message = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return "" if message == "ok" else message


def _altered(connection: sqlite3.Connection) -> str:
    """Whether any table, row or sequence of records is not as it was written."""
    definitions = [row["sql"] for row in connection.execute(journal_sqlite.SCHEMA)]
    expected = _facts(connection).get("schema")
    if expected is None:
        return f"a row of its table {facts.name} changed"
    if expected != journal_sqlite.schema_checksum(definitions):
        return "the definitions of its tables changed"
    for table in RECORDED:
        if not all(is_intact(dict(row)) for row in connection.execute(str(select(table)))):
            return f"a row of its table {table.name} changed"
    pruned = {row["id"]: row["pruned_through"] for row in connection.execute(str(select(releases)))}
    for release, rows in groupby(connection.execute(str(_SEQUENCE)), key=itemgetter("release")):
        whole = list(rows)
        if intact_prefix(whole, pruned.get(release, 0)) < len(whole):
            return f"records of {release} are missing"
    return ""


def _facts(connection: sqlite3.Connection) -> dict[str, int]:
    rows = [dict(row) for row in connection.execute(str(select(facts)))]
    return {row["name"]: row["value"] for row in rows if is_intact(row)}
