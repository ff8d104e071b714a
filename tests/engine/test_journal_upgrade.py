"""A journal that the release before wrote goes on without loss."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.journal import check as journal_check
from engine.journal.records import TICK, Record, sealed
from engine.journal.sqlite import SCHEMA, schema_checksum
from engine.journal.store import Journal
from engine.journal.tables import FORMAT, kept_rows, record_rows
from tests.engine.journal_builders import RELEASE, event, history

RECORD_COLUMNS = """
    release VARCHAR(255) NOT NULL, seq INTEGER NOT NULL, previous_event INTEGER NOT NULL, at DOUBLE NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL, checksum BIGINT NOT NULL,
    PRIMARY KEY (release, seq), FOREIGN KEY(release) REFERENCES releases (id)"""
FORMAT_1 = f"""
CREATE TABLE journal (name VARCHAR(32) NOT NULL, value BIGINT NOT NULL, checksum BIGINT NOT NULL, PRIMARY KEY (name));
CREATE TABLE releases (id VARCHAR(255) NOT NULL, target TEXT NOT NULL, service TEXT NOT NULL,
    created_at DOUBLE NOT NULL,
    "key" TEXT, pruned_through INTEGER NOT NULL, checksum BIGINT NOT NULL, PRIMARY KEY (id), UNIQUE (service, "key"));
CREATE TABLE events ({RECORD_COLUMNS});
CREATE TABLE ticks ({RECORD_COLUMNS});
CREATE TABLE kept (release VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, seq INTEGER NOT NULL, data TEXT NOT NULL,
    checksum BIGINT NOT NULL, PRIMARY KEY (release, name), FOREIGN KEY(release) REFERENCES releases (id));
CREATE TABLE minutes (release VARCHAR(255) NOT NULL, minute BIGINT NOT NULL, metric VARCHAR(255) NOT NULL,
    side VARCHAR(16) NOT NULL, seconds DOUBLE NOT NULL, total DOUBLE NOT NULL, bad DOUBLE NOT NULL,
    bad_low DOUBLE NOT NULL, readings INTEGER NOT NULL, value_sum DOUBLE NOT NULL, value_low DOUBLE, value_high DOUBLE,
    checksum BIGINT NOT NULL, PRIMARY KEY (release, minute, metric, side),
    FOREIGN KEY(release) REFERENCES releases (id));
"""


def put(database: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f":{name}" for name in row)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)  # noqa: S608 (its own names)


def write_format_1(path: Path, records: list[Record]) -> None:
    """As the release before wrote it, in WAL mode."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(FORMAT_1)
    definitions = [row[0] for row in database.execute(SCHEMA)]
    for name, value in {"format": 1, "schema": schema_checksum(definitions), "epoch": 41}.items():
        put(database, "journal", sealed({"name": name, "value": value}))
    release = {"id": RELEASE, "target": "t", "service": "checkout", "created_at": 1.0, "key": "build 7"}
    put(database, "releases", sealed({**release, "pruned_through": 0}))
    for row in record_rows(RELEASE, records, 0):
        put(database, "ticks" if row["type"] == TICK else "events", row)
    for row in kept_rows(RELEASE, records[-1].seq, {"state": "of then"}):
        put(database, "kept", row)
    database.commit()
    database.close()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    write_format_1(path, history(20))
    return path


def test_it_is_upgraded_when_it_is_opened_and_nothing_is_lost(old: Path) -> None:
    assert journal_check.damage(old) == ""
    with Journal.open(old) as journal:
        assert journal.recovered is None
        assert journal.read(RELEASE) == history(20)
        assert journal.kept(RELEASE) == {"state": "of then"}
        assert [asdict(row)["key"] for row in journal.releases()] == ["build 7"]
        assert journal.engine_epoch() == 42
        taken = journal.take(RELEASE, "one", 10.0)
        assert taken is not None
        assert taken.epoch == 43
        journal.append(RELEASE, [event(21)], epoch=43)
    with Journal.open(old) as journal:
        assert journal.recovered is None
        assert journal.last_seq(RELEASE) == 21
    with sqlite3.connect(old) as database:
        assert database.execute("SELECT value FROM journal WHERE name = 'format'").fetchone() == (FORMAT,)
    database.close()


def test_it_is_read_as_it_is_and_not_touched(old: Path) -> None:
    before = old.read_bytes()
    with Journal.open(old, readonly=True) as journal:
        assert journal.read(RELEASE) == history(20)
    assert old.read_bytes() == before


def test_a_damaged_one_is_recovered(old: Path) -> None:
    with sqlite3.connect(old) as database:
        database.execute("UPDATE events SET data = '{}' WHERE seq = 13")
    database.close()
    with Journal.open(old) as journal:
        assert journal.recovered is not None
        assert journal.read(RELEASE) == history(12)
        assert journal.take(RELEASE, "one", 10.0) is not None
