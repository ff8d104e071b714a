"""The spool gives back the whole lines it has, and says how many it has not."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from engine.journal.spool import Spool, Spooled
from engine.journal.store import Journal
from tests.engine.journal_builders import RELEASE, event, history, started, tick

FIRST, SECOND = Spooled(RELEASE, (event(1), tick(2)), {"state": 2}), Spooled(RELEASE, (event(3),))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "journal.db.spool")


def test_lines_come_back(spool: Spool) -> None:
    assert spool.read() == ([], 0)
    spool.write(FIRST)
    spool.write(SECOND)
    assert spool.read() == ([FIRST, SECOND], 0)
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    spool.remove()
    spool.remove()
    assert spool.read() == ([], 0)


def test_any_cut_leaves_the_lines_before_it_and_those_written_later(spool: Spool) -> None:
    spool.write(FIRST)
    whole = spool.path.stat().st_size
    spool.write(SECOND)
    content = spool.path.read_bytes()
    for length in range(whole + 1, len(content) - 1, 7):
        spool.path.write_bytes(content[:length])
        assert spool.read() == ([FIRST], 1)
        spool.write(SECOND)
        assert spool.read() == ([FIRST, SECOND], 1)


def test_a_flipped_bit_is_noticed(spool: Spool) -> None:
    spool.write(FIRST)
    content = spool.path.read_bytes()
    for position in range(0, len(content) - 1, 5):
        flipped = bytearray(content)
        flipped[position] ^= 1
        spool.path.write_bytes(bytes(flipped))
        entries, torn = spool.read()
        assert (entries, torn) == ([], 1) or (entries, torn) == ([], 2)


@pytest.mark.parametrize("line", [b"null", b"[]", b"{}", b'{"release": 1}', b"\xff\xfe", b"1" * 10000])
def test_a_line_of_something_else_is_no_record(spool: Spool, line: bytes) -> None:
    spool.path.write_bytes(line + b"\n")
    assert spool.read() == ([], 1)


def test_a_write_that_fails_leaves_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.write(FIRST)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            spool.write(SECOND)
    assert spool.read() == ([FIRST], 0)


def test_opening_the_journal_drains_it_in_order_whatever_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with started(path) as journal:
        journal.append(RELEASE, [event(1)])
        for records in (history(9)[6:9], history(9)[1:4], history(9)[4:6]):
            journal.spool.write(Spooled(RELEASE, tuple(records), {"state": records[-1].seq}))
    with Journal.open(path) as journal:
        assert journal.read(RELEASE) == history(9)
        assert journal.kept(RELEASE) == {"state": 9}
        assert journal.drained is not None
        assert journal.drained.records == 8
    with Journal.open(path) as journal:
        assert journal.drained is None


def test_what_cannot_be_drained_is_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with started(path) as journal:
        journal.spool.write(Spooled(RELEASE, (event(1),)))
        journal.spool.write(Spooled(RELEASE, (event(3),)))
        with journal.spool.path.open("ab") as file:
            file.write(b'{"release": "checkout-1", "rec')
        content = journal.spool.path.read_bytes()
    with Journal.open(path) as journal:
        assert journal.read(RELEASE) == [event(1)]
        assert journal.drained is not None
        assert (journal.drained.records, journal.drained.torn, len(journal.drained.refused)) == (1, 1, 1)
        assert "record 3" in journal.drained.refused[0]
        assert journal.drained.kept is not None
        assert journal.drained.kept.read_bytes() == content
        assert not journal.spool.path.exists()
