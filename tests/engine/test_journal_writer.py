"""A journal that hangs or fails holds nobody up, and gets every record once and in order when it answers again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.journal.records import JournalConflict, JournalError, JournalFenced, JournalUnavailable
from engine.journal.spool import Spooled
from engine.journal.store import Journal
from engine.journal.writer import Backlog, JournalWriter
from tests.engine.journal_builders import RELEASE, event, history, tick, with_release
from tests.engine.moody_journal import MoodyJournal, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[MoodyJournal]:
    with MoodyJournal.open(path) as journal:
        yield with_release(with_release(journal, RELEASE), "shop-1")


@pytest.fixture
def writer(journal: MoodyJournal) -> Iterator[JournalWriter]:
    writer = JournalWriter(journal, retry_s=0.01)
    yield writer
    journal.answers.set()
    journal.is_full = False
    writer.close()


def is_stored(writer: JournalWriter) -> bool:
    return writer.backlog == Backlog() and not writer._journal.spool.path.exists()


def reopened(path: Path) -> Journal:
    """The journal as another engine finds it after this one was killed."""
    copy = path.parent / "after"
    copy.mkdir()
    for file in path.parent.glob("journal.db*"):
        if not file.name.endswith((".lock", "-shm")):
            (copy / file.name).write_bytes(file.read_bytes())
    return Journal.open(copy / path.name)


async def test_appends_are_stored_in_their_order(journal: MoodyJournal, writer: JournalWriter) -> None:
    records = history(12)
    await asyncio.gather(*(writer.append(RELEASE, [record], {"state": record.seq}) for record in records))
    assert journal.read(RELEASE) == records
    assert journal.kept(RELEASE) == {"state": 12}
    assert await writer.append_or_spool(RELEASE, [event(13)]) is True
    assert is_stored(writer)


async def test_other_work_takes_its_turn(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    append = writer.submit(RELEASE, [event(1)])
    last_seq = writer.call(lambda journal: journal.last_seq(RELEASE))
    assert not last_seq.done()
    journal.answers.set()
    assert await asyncio.wrap_future(last_seq) == 1
    append.result()
    with pytest.raises(JournalConflict):
        writer.call(lambda journal: journal.create_release(RELEASE, "t", "checkout", 1.0)).result()


async def test_a_hanging_append_is_spooled_and_stored_later_once(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    for seq in (1, 2, 3):
        assert await writer.append_or_spool(RELEASE, [event(seq)], {"state": seq}, patience=0.01) is False
    assert writer.backlog == Backlog(spooled=3, reason="the journal has not answered in time")
    assert [entry.records for entry in journal.spool.read()[0]] == [(event(1),), (event(2),), (event(3),)]
    journal.answers.set()
    await writer.append(RELEASE, [event(4)], {"state": 4})
    await until(lambda: is_stored(writer))
    assert journal.read(RELEASE) == [event(seq) for seq in (1, 2, 3, 4)]
    assert journal.kept(RELEASE) == {"state": 4}


async def test_what_was_spooled_survives_a_kill(path: Path, journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    assert await writer.append_or_spool(RELEASE, [event(1), tick(2)], {"state": 2}, patience=0.01) is False
    with reopened(path) as after:
        assert after.drained is not None
        assert (after.drained.records, after.drained.torn, after.drained.kept) == (2, 0, None)
        assert after.read(RELEASE) == [event(1), tick(2)]
        assert after.kept(RELEASE) == {"state": 2}
        assert not after.spool.path.exists()


async def test_what_waits_before_a_spooled_record_is_spooled_with_it(
    path: Path, journal: MoodyJournal, writer: JournalWriter
) -> None:
    journal.answers.clear()
    waiting = [writer.submit(RELEASE, [tick(1)]), writer.submit("shop-1", [tick(1)]), writer.submit(RELEASE, [tick(2)])]
    assert await writer.append_or_spool(RELEASE, [event(3)], patience=0.01) is False
    with reopened(path) as after:
        assert after.read(RELEASE) == [tick(1), tick(2), event(3)]
        assert after.read("shop-1") == []
    journal.answers.set()
    for future in waiting:
        await asyncio.wrap_future(future)
    await until(lambda: is_stored(writer))
    assert journal.read(RELEASE) == [tick(1), tick(2), event(3)]
    assert journal.read("shop-1") == [tick(1)]


async def test_a_full_disk_is_told_to_those_who_wait(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.is_full = True
    with pytest.raises(JournalUnavailable, match="full"):
        await writer.append(RELEASE, [event(1)])
    assert is_stored(writer)
    journal.is_full = False
    await writer.append(RELEASE, [event(1, text="anew")])
    assert journal.read(RELEASE) == [event(1, text="anew")]


async def test_on_a_full_disk_others_go_ahead_at_once(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.is_full = True
    assert await writer.append_or_spool(RELEASE, [event(1)], patience=60.0) is False
    assert writer.backlog == Backlog(spooled=1, reason="the disk is full")
    with pytest.raises(JournalUnavailable):
        await writer.append(RELEASE, [event(2)])
    assert await writer.append_or_spool(RELEASE, [event(2)], patience=60.0) is False
    journal.is_full = False
    await until(lambda: is_stored(writer))
    assert journal.read(RELEASE) == [event(1), event(2)]


async def test_an_append_takes_what_is_spooled_before_it_along(journal: MoodyJournal) -> None:
    writer = JournalWriter(journal, retry_s=60.0)  # so it is not the retry that stores it
    journal.is_full = True
    assert await writer.append_or_spool(RELEASE, [event(1)]) is False
    journal.is_full = False
    await writer.append(RELEASE, [event(2)])
    assert journal.read(RELEASE) == [event(1), event(2)]
    assert writer.close() is True


async def test_the_reason_is_said_as_long_as_anything_waits(
    journal: MoodyJournal, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.is_full = True
    for release in (RELEASE, "shop-1"):
        assert await writer.append_or_spool(release, [event(1)]) is False
    append, answers = journal.append_each, threading.Event()

    def hanging_for_the_shop(appends: Sequence[Spooled]) -> list[JournalError | None]:
        if appends[0].release == "shop-1":
            answers.wait()
        return append(appends)

    monkeypatch.setattr(journal, "append_each", hanging_for_the_shop)
    journal.is_full = False
    await until(lambda: journal.last_seq(RELEASE) == 1 and writer.backlog.spooled == 1)
    assert writer.backlog == Backlog(spooled=1, reason="the disk is full")
    answers.set()
    await until(lambda: is_stored(writer))
    assert journal.read("shop-1") == [event(1)]


async def test_a_record_that_later_ones_count_on_is_not_given_up(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    journal.is_full = True
    before = writer.submit(RELEASE, [tick(1)])
    later = asyncio.create_task(writer.append_or_spool(RELEASE, [event(2)], patience=60.0))
    await until(lambda: len(writer._waiting) == 2)
    journal.answers.set()
    assert await later is False
    assert not before.done()
    journal.is_full = False
    await asyncio.wrap_future(before)
    await until(lambda: is_stored(writer))
    assert journal.read(RELEASE) == [tick(1), event(2)]


async def test_without_a_spool_records_wait_in_memory_and_it_is_said(
    path: Path, journal: MoodyJournal, writer: JournalWriter
) -> None:
    journal.spool.path.mkdir()  # nobody can write a file of that name now
    journal.is_full = True
    assert await writer.append_or_spool(RELEASE, [event(1)]) is False
    assert writer.backlog == Backlog(in_memory=1, reason="the disk is full")
    journal.spool.path.rmdir()
    await until(lambda: writer.backlog.spooled == 1)
    with reopened(path) as after:
        assert after.read(RELEASE) == [event(1)]
    journal.is_full = False
    await until(lambda: is_stored(writer))
    assert journal.read(RELEASE) == [event(1)]


async def test_a_spool_that_hangs_holds_nobody_up(
    journal: MoodyJournal, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, answers = journal.spool.write, threading.Event()

    def hanging(entry: Spooled) -> None:
        answers.wait()
        write(entry)

    monkeypatch.setattr(journal.spool, "write", hanging)
    journal.answers.clear()
    assert await writer.append_or_spool(RELEASE, [event(1)], patience=0.01) is False
    assert writer.backlog.in_memory == 1
    answers.set()
    await until(lambda: writer.backlog.spooled == 1)


async def test_what_the_journal_refuses_is_kept_aside(path: Path, journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    assert await writer.append_or_spool(RELEASE, [event(5)], patience=0.01) is False
    assert await writer.append_or_spool("shop-1", [event(1)], patience=0.01) is False
    journal.answers.set()
    await until(lambda: writer.backlog == Backlog(refused=1) and list(path.parent.glob("*.spool.kept-*")))
    assert journal.read("shop-1") == [event(1)]
    assert b"note 5" in next(path.parent.glob("*.spool.kept-*")).read_bytes()
    with pytest.raises(JournalConflict):
        await writer.append_or_spool(RELEASE, [event(5)])


async def test_a_caller_who_gives_up_leaves_the_record_there(journal: MoodyJournal, writer: JournalWriter) -> None:
    journal.answers.clear()
    task = asyncio.create_task(writer.append(RELEASE, [event(1)]))
    await until(lambda: journal.asked)
    task.cancel()
    journal.answers.set()
    await writer.append(RELEASE, [event(2)])
    assert journal.read(RELEASE) == [event(1), event(2)]


async def test_a_record_that_is_no_json_is_an_error_of_its_caller(journal: MoodyJournal, writer: JournalWriter) -> None:
    with pytest.raises(TypeError):
        await writer.append(RELEASE, [event(1, text=object())])
    await writer.append(RELEASE, [event(1)])
    assert journal.read(RELEASE) == [event(1)]


async def test_closing_stores_what_is_queued_and_spooled(journal: MoodyJournal) -> None:
    writer = JournalWriter(journal, retry_s=60.0)
    journal.is_full = True
    assert await writer.append_or_spool(RELEASE, [event(1)]) is False
    journal.is_full = False
    queued = writer.submit("shop-1", [event(1)])
    assert writer.close() is True
    queued.result()
    assert journal.read(RELEASE) == [event(1)]
    assert not journal.spool.path.exists()
    with pytest.raises(RuntimeError, match="closed"):
        writer.submit(RELEASE, [event(2)])


async def test_closing_does_not_wait_for_a_journal_that_hangs(path: Path, journal: MoodyJournal) -> None:
    writer = JournalWriter(journal, retry_s=0.01)
    journal.answers.clear()
    assert await writer.append_or_spool(RELEASE, [event(1)], patience=0.01) is False
    queued = writer.submit("shop-1", [event(1)])
    assert writer.close(timeout=0.01) is False
    with pytest.raises(JournalUnavailable, match="closed"):
        queued.result()
    assert journal.spool.path.exists()
    journal.answers.set()
    for thread in writer._threads:
        thread.join()


async def test_what_waits_of_several_releases_is_one_transaction_and_each_has_its_own_answer(
    journal: MoodyJournal, writer: JournalWriter
) -> None:
    names = [f"many-{number}" for number in range(1, 31)]
    for name in names:
        with_release(journal, name)
    old, new = (journal.take("many-7", "another", 10.0) for _ in range(2))
    assert old is not None
    assert new is not None
    journal.answers.clear()
    first = writer.submit(RELEASE, [event(1)])
    await until(lambda: journal.asked == 1)
    futures = {name: writer.submit(name, [event(1)], epoch=old.epoch if name == "many-7" else None) for name in names}
    wrong = writer.submit("nowhere-1", [event(1)])
    called = writer.call(lambda one: one.last_seq("many-30"))
    later = writer.submit("many-1", [event(2)])
    journal.answers.set()
    assert await asyncio.wrap_future(called) == 1  # in its turn
    await asyncio.wrap_future(later)
    assert first.exception() is None
    assert isinstance(wrong.exception(), JournalConflict)
    assert isinstance(futures.pop("many-7").exception(), JournalFenced)
    assert all(future.exception() is None for future in futures.values())
    assert journal.asked == 3
    assert journal.last_seq("many-1") == 2


async def test_what_is_no_json_fails_its_own_release_only(journal: MoodyJournal, writer: JournalWriter) -> None:
    with_release(journal, "many-1")
    journal.answers.clear()
    writer.submit(RELEASE, [event(1)])
    await until(lambda: journal.asked == 1)
    good, bad = writer.submit("many-1", [event(1)]), writer.submit("shop-1", [event(1, what=object())])
    journal.answers.set()
    await asyncio.wrap_future(good)
    assert isinstance(bad.exception(), TypeError)
