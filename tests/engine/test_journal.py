"""What the journal stores is what it gives back, in order, once."""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journal.records import (
    TICK,
    JournalConflict,
    JournalCorrupt,
    JournalLocked,
    JournalTooNew,
    JournalUnavailable,
    Record,
    ReleaseRow,
    sealed,
)
from engine.journal.store import Journal
from engine.journal.tables import FORMAT
from tests.engine.journal_builders import METRICS, RELEASE, Store, event, history, started, tick, write_history
from tests.support.postgres_process import PostgresProcess, running_postgres

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    with running_postgres() as process:
        yield process


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """What holds for both kinds of journal is asked of both."""
    home = tmp_path / "state"
    return Store(home, request.getfixturevalue("server").database() if request.param == "postgres" else "")


def test_records_come_back_in_order_events_and_ticks_merged(store: Store) -> None:
    with store.started() as journal:
        records = write_history(journal, 20)
        assert journal.read(RELEASE) == records
        assert journal.last_seq(RELEASE) == 20
    with store.open() as journal:
        assert journal.read(RELEASE) == records
        assert journal.recovered is None
        assert journal.drained is None


def test_a_part_of_the_history_can_be_read(store: Store) -> None:
    with store.started() as journal:
        records = write_history(journal, 20)
        assert journal.read(RELEASE, after=17) == records[17:]
        assert journal.read(RELEASE, after=4, limit=3) == records[4:7]
        assert journal.read(RELEASE, types=[TICK]) == [record for record in records if record.type == TICK]
        assert journal.read(RELEASE, types=["Noted"], limit=2) == [records[0], records[3]]
        assert journal.read(RELEASE, types=["Noted", TICK]) == records
        assert journal.read(RELEASE, types=[]) == []
        assert journal.read("checkout-2") == []


@given(data=st.dictionaries(st.text(), json_values, max_size=4), at=st.floats(0, 4e9))
def test_any_json_survives(any_json_journal: Journal, data: dict[str, Any], at: float) -> None:
    journal = any_json_journal
    release = journal.next_id("any")
    records = [Record(1, at, "Noted", data), Record(2, at, TICK, {"raw": data})]
    journal.create_release(release, "sandbox/any", "any", at, records=records, keep={"state": data})
    assert journal.read(release) == [replace(record, data=_as_json(record.data)) for record in records]
    assert journal.kept(release) == {"state": _as_json(data)}
    journal.append(release, records)
    assert journal.last_seq(release) == 2


@pytest.fixture(scope="module")
def any_json_journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    with Journal.open(tmp_path_factory.mktemp("any") / "journal.db") as journal:
        yield journal


def _as_json(value: Any) -> Any:
    """JSON has no infinities."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@pytest.mark.parametrize("text", ["'; DROP TABLE events; --", "\x1b[2J[red]", "\x00", "\udc80", "%s {} :seq"])
def test_text_from_outside_is_only_stored(store: Store, text: str) -> None:
    records = [event(1, text=text, **{text: 1}), event(2)]
    with store.started() as journal:
        journal.append(RELEASE, records, keep={"state": text})
        assert journal.read(RELEASE) == records
        assert journal.kept(RELEASE) == {"state": text}


def test_a_record_must_follow_the_last_one(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, history(3))
        for wrong in ([event(5)], [event(4), event(6)], [event(2), event(4)], []):
            with pytest.raises(JournalConflict):
                journal.append(RELEASE, wrong, keep={"state": "wrong"})
        with pytest.raises(JournalConflict, match="checkout-9"):
            journal.append("checkout-9", [event(1)])
        assert journal.read(RELEASE) == history(3)
        assert journal.kept(RELEASE) == {}


def test_the_same_records_again_change_nothing(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, history(6), keep={"state": "of record 6"})
        journal.append(RELEASE, [event(7)], keep={"state": "of record 7"})
        before = journal.minutes(RELEASE)
        journal.append(RELEASE, history(6), keep={"state": "of record 6"})
        assert journal.read(RELEASE) == [*history(6), event(7)]
        assert journal.kept(RELEASE) == {"state": "of record 7"}
        assert journal.minutes(RELEASE) == before


def test_records_partly_there_are_completed(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, history(4))
        journal.append(RELEASE, history(9), keep={"state": 9})
        assert journal.read(RELEASE) == history(9)
        assert journal.kept(RELEASE) == {"state": 9}


@pytest.mark.parametrize("other", [event(2, text="another"), tick(2, canary=7.0), Record(2, 1.0, "Noted", {})])
def test_another_content_at_the_same_number_is_refused(store: Store, other: Record) -> None:
    with store.started() as journal:
        journal.append(RELEASE, [event(1), event(2), tick(3)])
        with pytest.raises(JournalConflict, match="record 2"):
            journal.append(RELEASE, [other])


def test_kept_holds_the_latest_of_each_name(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, [tick(1)], keep={"counters": {"a": 1}, "judge": [1]})
        journal.append(RELEASE, [tick(2)], keep={"counters": {"a": 2}})
        journal.append(RELEASE, [tick(3)])
        assert journal.kept(RELEASE) == {"counters": {"a": 2}, "judge": [1]}


def test_releases_are_listed_as_they_were_created(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.create_release("shop-1", "sandbox/shop", "shop", 2.0, "build 7", records=[event(1)], keep={"a": 1})
        journal.create_release("checkout-1", "sandbox/checkout", "checkout", 1.0)
        assert journal.releases() == [
            ReleaseRow("checkout-1", "sandbox/checkout", "checkout", 1.0, None),
            ReleaseRow("shop-1", "sandbox/shop", "shop", 2.0, "build 7"),
        ]
        assert journal.read("shop-1") == [event(1)]
        assert journal.kept("shop-1") == {"a": 1}


def test_a_release_and_its_first_records_are_one_transaction(store: Store) -> None:
    with store.open() as journal:
        with pytest.raises(JournalConflict):
            journal.create_release("shop-1", "sandbox/shop", "shop", 1.0, records=[event(2)])
        assert journal.releases() == []


def test_an_id_and_a_key_are_given_once(store: Store) -> None:
    with store.open() as journal:
        journal.create_release("shop-1", "sandbox/shop", "shop", 1.0, "build 7")
        for again in (("shop-1", "shop", "build 8"), ("shop-2", "shop", "build 7")):
            with pytest.raises(JournalConflict):
                journal.create_release(again[0], "sandbox/shop", again[1], 1.0, again[2])
        journal.create_release("checkout-1", "sandbox/checkout", "checkout", 1.0, "build 7")
        assert len(journal.releases()) == 2


def test_next_id_counts_per_service(store: Store) -> None:
    with store.open() as journal:
        assert journal.next_id("shop") == "shop-1"
        for number in (1, 2, 10):
            journal.create_release(f"shop-{number}", "sandbox/shop", "shop", 1.0)
        journal.create_release("shop-eu-40", "sandbox/shop-eu", "shop-eu", 1.0)
        assert journal.next_id("shop") == "shop-11"
        assert journal.next_id("shop-eu") == "shop-eu-41"


def test_each_engine_has_a_greater_epoch(store: Store) -> None:
    seen = []
    for _ in range(3):
        with store.open() as journal:
            seen.append(journal.engine_epoch())
            assert journal.engine_epoch() == seen[-1]
    assert seen == [1, 2, 3]


def test_minutes_sum_the_ticks(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, [tick(1, at=61.0, value=0.5), tick(2, at=119.9, value=None)])
        journal.append(RELEASE, [tick(3, at=66.0, value=0.25), tick(4, at=120.0)])
        found = journal.minutes(RELEASE)
    assert {(minute.metric, minute.side, minute.minute) for minute in found} == {
        (metric, side, start) for metric in METRICS for side in ("canary", "stable") for start in (60, 120)
    }
    canary = next(minute for minute in found if minute.side == "canary" and minute.minute == 60)
    assert (canary.seconds, canary.total, canary.bad, canary.bad_low) == (15.0, 300.0, 3.0, 6.0)
    assert (canary.readings, canary.value_sum, canary.value_low, canary.value_high) == (2, 0.75, 0.25, 0.5)


def test_minutes_take_what_is_no_number_for_nothing(store: Store) -> None:
    samples = [
        {
            "metric": "errors",
            "seconds": 5,
            "stable": None,
            "canary": {"total": math.nan, "bad": None, "value": math.inf},
        }
    ]
    with store.started() as journal:
        journal.append(RELEASE, [Record(1, 60.0, TICK, {"samples": samples}), Record(2, 61.0, TICK, {})])
        (minute,) = journal.minutes(RELEASE)
    assert (minute.side, minute.total, minute.bad, minute.readings, minute.value_high) == ("canary", 0.0, 0.0, 0, None)


def test_pruning_takes_old_ticks_only(store: Store) -> None:
    with store.started() as journal:
        records = write_history(journal, 30)
        before, kept = journal.minutes(RELEASE), journal.kept(RELEASE)
        pruned = [record for record in records if record.type == TICK and record.at < 1030.0 - 10.0]
        assert journal.prune_ticks(RELEASE, keep_seconds=10.0) == len(pruned) > 0
        left = [record for record in records if record not in pruned]
        assert journal.read(RELEASE) == left
        assert journal.minutes(RELEASE) == before
        assert journal.kept(RELEASE) == kept
        assert journal.prune_ticks(RELEASE, keep_seconds=10.0) == 0
    with store.open() as journal:
        assert journal.recovered is None
        assert journal.read(RELEASE) == left


def test_numbers_go_on_after_all_that_can_be_pruned_is(store: Store) -> None:
    with store.started() as journal:
        journal.append(RELEASE, [tick(1), tick(2), tick(3)])
        journal.prune_ticks(RELEASE, keep_seconds=0.0)
        assert journal.last_seq(RELEASE) == 3
        journal.append(RELEASE, [tick(1), tick(2), tick(3), event(4)])
        assert journal.read(RELEASE) == [tick(3), event(4)]
        with pytest.raises(JournalConflict):
            journal.append(RELEASE, [event(1)])
        assert journal.prune_ticks("checkout-9", keep_seconds=0.0) == 0


def test_another_process_reads_while_this_one_writes(path: Path) -> None:
    with started(path) as journal:
        journal.append(RELEASE, history(5))
        assert _read_elsewhere(path) == 5
        with Journal.open(path, readonly=True) as reader:
            journal.append(RELEASE, [event(6)])
            assert reader.read(RELEASE, after=5) == [event(6)]
            with pytest.raises(JournalUnavailable, match="readonly"):
                reader.append(RELEASE, [event(7)])
    assert _read_elsewhere(path) == 6


def _read_elsewhere(path: Path) -> int:
    program = (
        "import sys, pathlib; from engine.journal.store import Journal\n"
        f"print(Journal.open(pathlib.Path(sys.argv[1]), readonly=True).last_seq({RELEASE!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_one_engine_at_a_time(path: Path) -> None:
    with Journal.open(path), pytest.raises(JournalLocked, match="process") as refused:
        Journal.open(path)
    assert refused.value.pid == os.getpid()
    Journal.open(path).close()


def test_only_its_owner_may_read_it(path: Path) -> None:
    with started(path):
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {"journal.db", "journal.db.lock", "journal.db-wal", "journal.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("readonly", [True, False])
def test_a_newer_format_is_refused_and_not_touched(path: Path, *, readonly: bool) -> None:
    started(path).close()
    with sqlite3.connect(path) as database:
        newer = sealed({"name": "format", "value": FORMAT + 1})
        database.execute("UPDATE journal SET value = :value, checksum = :checksum WHERE name = :name", newer)
    database.close()
    before = path.read_bytes()
    with pytest.raises(JournalTooNew, match="newer") as refused:
        Journal.open(path, readonly=readonly)
    assert (refused.value.found, refused.value.known) == (FORMAT + 1, FORMAT)
    assert path.read_bytes() == before


@pytest.mark.parametrize("readonly", [True, False])
def test_a_foreign_database_is_left_alone(tmp_path: Path, *, readonly: bool) -> None:
    path = tmp_path / "bookmarks.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(JournalCorrupt, match="no laneshift journal"):
        Journal.open(path, readonly=readonly)
    assert path.read_bytes() == before


def test_reading_needs_a_journal(path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="no journal"):
        Journal.open(path, readonly=True)
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="can't be opened"):
        Journal.open(tmp_path / "file" / "journal.db")


def test_a_full_disk_is_said_and_passes(path: Path) -> None:
    with started(path) as journal:
        with journal._backend.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(JournalUnavailable, match="full"):
            journal.append(RELEASE, history(60))
        assert journal.read(RELEASE) == []
        with journal._backend.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        journal.append(RELEASE, history(60))
        assert journal.read(RELEASE) == history(60)


def test_a_name_with_marks_of_a_uri_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#%20 b.db"
    with started(path) as journal:
        journal.append(RELEASE, history(2))
    with Journal.open(path, readonly=True) as journal:
        assert journal.read(RELEASE) == history(2)
