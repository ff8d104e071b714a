"""A copy of the journal is whole, whoever writes meanwhile."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from cli.backup import copy
from engine.journal.store import Journal
from tests.engine.journal_builders import RELEASE, event, history, started, tick, write_history


def test_a_copy_holds_all_that_was_acknowledged_before_it_and_opens(laneshift, home: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with started(home / "journal.db") as journal:
        write_history(journal, 30)
        ended = laneshift("backup", str(target))
        assert ended.code == 0
        assert ended.out.startswith(str(target))
        journal.append(RELEASE, [event(31)])
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]
    (home / "journal.db").unlink()
    target.rename(home / "journal.db")
    with Journal.open(home / "journal.db") as journal:
        assert journal.recovered is None
        assert journal.read(RELEASE) == history(30)
        journal.append(RELEASE, [event(31)])


@pytest.mark.real
def test_a_copy_made_while_records_are_appended_is_one_moment_of_the_journal(tmp_path: Path) -> None:
    path, stop = tmp_path / "journal.db", threading.Event()
    with started(path) as journal:
        for first in range(1, 2000, 100):
            journal.append(RELEASE, [tick(seq) for seq in range(first, first + 100)])
        acknowledged = [journal.last_seq(RELEASE)]

        def go_on() -> None:
            while not stop.is_set():
                journal.append(RELEASE, [tick(acknowledged[-1] + 1)], keep={"counters": acknowledged[-1] + 1})
                acknowledged.append(acknowledged[-1] + 1)

        writing = threading.Thread(target=go_on)
        writing.start()
        try:
            spans = []
            for number in range(3):
                before = acknowledged[-1]
                copy(path, tmp_path / f"copy{number}.db")
                spans.append((before, acknowledged[-1] + 1))
        finally:
            stop.set()
            writing.join()
    assert acknowledged[-1] > 2000
    for number, (before, after) in enumerate(spans):
        with Journal.open(tmp_path / f"copy{number}.db") as copied:
            assert copied.recovered is None
            last = copied.last_seq(RELEASE)
            assert before <= last <= after
            assert copied.read(RELEASE) == [tick(seq) for seq in range(1, last + 1)]
            assert copied.kept(RELEASE) in ({}, {"counters": last})


def test_nothing_is_overwritten(laneshift, home: Path, tmp_path: Path) -> None:
    started(home / "journal.db").close()
    target = tmp_path / "mine"
    target.write_text("precious")
    ended = laneshift("backup", str(target))
    assert ended.code == 2
    assert "not overwritten" in ended.err
    assert target.read_text() == "precious"


def test_a_copy_that_fails_leaves_nothing(laneshift, home: Path, tmp_path: Path) -> None:
    (home / "journal.db").write_bytes(b"no database at all" * 100)
    assert laneshift("backup", str(tmp_path / "copy")).code == 3
    assert not list(tmp_path.glob("copy*"))


def test_without_a_journal_it_says_so(laneshift, home: Path, tmp_path: Path) -> None:
    ended = laneshift("backup", str(tmp_path / "copy"))
    assert ended.code == 2
    assert "no journal" in ended.err


def test_for_postgresql_it_says_the_command(laneshift, home: Path, tmp_path: Path) -> None:
    (home / "engine.yaml").write_text("store: postgresql://laneshift@db/laneshift\n")
    ended = laneshift("backup", str(tmp_path / "copy"))
    assert ended.code == 2
    assert "pg_dump" in ended.err
    assert "pg_restore" in ended.err


def test_an_engine_that_was_started_with_another_store_is_believed(
    laneshift, engine, home: Path, tmp_path: Path
) -> None:
    started(home / "journal.db").close()
    engine.answers["GET", "/v1/engine"] = (200, {"store": "postgresql"})
    ended = laneshift("backup", str(tmp_path / "copy"))
    assert (ended.code, "pg_dump" in ended.err) == (2, True)
    assert not (tmp_path / "copy").exists()


def test_the_journal_of_another_engine_is_not_taken_for_ones_own(
    laneshift, monkeypatch, home: Path, tmp_path: Path
) -> None:
    started(home / "journal.db").close()
    monkeypatch.setenv("XDG_STATE_HOME", str(home.parent))
    monkeypatch.delenv("LANESHIFT_HOME")
    monkeypatch.setenv("LANESHIFT_ENGINE", str(tmp_path / "theirs.sock"))
    ended = laneshift("backup", str(tmp_path / "copy"))
    assert (ended.code, "LANESHIFT_HOME" in ended.err) == (2, True)
    assert not (tmp_path / "copy").exists()
