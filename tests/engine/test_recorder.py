"""Records reach the journal in their order, and a way back waits for none of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.journal import recorder as module
from engine.journal.recorder import Recorder
from engine.journal.records import JournalFenced, Record
from engine.journal.store import Journal
from engine.journal.writer import JournalWriter
from tests.engine.moody_journal import MoodyJournal, until

RELEASE = "shop-1"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[MoodyJournal]:
    with MoodyJournal.open(tmp_path / "journal.db") as opened:
        opened.create_release(RELEASE, "route", "shop", 1.0)
        yield opened
        opened.answers.set()


@dataclass
class Desk:
    """A recorder, what it said, and which records were acted on."""

    recorder: Recorder
    troubles: list[str] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    last: int = 0

    def put(self, count: int = 1, *, urgent: bool = False, **data: Any) -> asyncio.Future[None]:
        """The next `count` records in one batch."""
        seqs = range(self.last + 1, self.last + 1 + count)
        self.last += count
        records = [Record(seq, float(seq), "Noted", data) for seq in seqs]
        return self.recorder.put(records, {"last": self.last}, then=lambda: self.done.extend(seqs), urgent=urgent)


@pytest.fixture
async def desk(journal: MoodyJournal, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    monkeypatch.setattr(module, "CLOSE_S", 0.2)
    writer = JournalWriter(journal, retry_s=0.01)
    troubles: list[str] = []
    made = Desk(Recorder(RELEASE, writer, troubles.append), troubles)
    yield made
    journal.is_full = False
    journal.answers.set()
    await made.recorder.close()
    await asyncio.to_thread(writer.close)


def stored(journal: Journal) -> list[int]:
    return [record.seq for record in journal.read(RELEASE)]


async def test_records_are_stored_in_order_before_anything_is_done_about_them(
    desk: Desk, journal: MoodyJournal
) -> None:
    seen: list[tuple[int, list[int]]] = []
    for count in (1, 3, 2):
        recorded = desk.put(count)
        recorded.add_done_callback(lambda _: seen.append((len(stored(journal)), list(desk.done))))
    await recorded
    await asyncio.sleep(0)
    assert desk.done == stored(journal) == [1, 2, 3, 4, 5, 6]
    assert all(len(done) <= count for count, done in seen)
    assert journal.kept(RELEASE) == {"last": 6}


async def test_nothing_is_done_about_what_is_not_stored(desk: Desk, journal: MoodyJournal) -> None:
    journal.answers.clear()
    desk.put()
    await until(lambda: journal.asked)
    assert desk.done == []
    journal.answers.set()
    await until(lambda: desk.done == [1])


async def test_a_way_back_goes_ahead_while_the_append_hangs(desk: Desk, journal: MoodyJournal) -> None:
    journal.answers.clear()
    await desk.put(urgent=True)
    assert not journal.answers.is_set()  # it hangs still
    assert desk.done == [1]
    assert desk.troubles == ["the journal does not answer: records are kept aside"]


async def test_a_way_back_overtakes_what_hangs_before_it_in_one_step_and_in_order(
    desk: Desk, journal: MoodyJournal
) -> None:
    journal.answers.clear()
    desk.put()
    await until(lambda: journal.asked)
    for _ in range(30):
        desk.put()
    await desk.put(urgent=True)
    assert not journal.answers.is_set()
    assert desk.done == list(range(1, 33))
    journal.answers.set()
    await until(lambda: stored(journal) == list(range(1, 33)))
    await until(lambda: not journal.spool.path.exists())


async def test_what_was_kept_aside_survives_the_engine(desk: Desk, journal: MoodyJournal, tmp_path: Path) -> None:
    journal.answers.clear()
    desk.put(2)
    await desk.put(urgent=True)
    await until(lambda: journal.spool.read()[0])
    spooled = {record.seq for entry in journal.spool.read()[0] for record in entry.records}
    assert spooled == {1, 2, 3}


async def test_later_records_get_there_in_order_once_the_journal_answers(desk: Desk, journal: MoodyJournal) -> None:
    journal.answers.clear()
    await desk.put(urgent=True)
    last = desk.put(2)
    journal.answers.set()
    await last
    assert stored(journal) == desk.done == [1, 2, 3]
    await until(lambda: desk.troubles[-1] == "")


async def test_a_full_disk_is_said_and_holds_back_what_goes_forward(desk: Desk, journal: MoodyJournal) -> None:
    journal.is_full = True
    desk.put()
    second = desk.put()
    await until(lambda: "the disk is full" in desk.troubles)
    assert desk.done == []
    journal.is_full = False
    await second
    assert stored(journal) == desk.done == [1, 2]
    assert desk.troubles[-1] == ""


async def test_a_way_back_goes_ahead_on_a_full_disk(desk: Desk, journal: MoodyJournal) -> None:
    journal.is_full = True
    desk.put()
    await until(lambda: "the disk is full" in desk.troubles)
    await desk.put(urgent=True)
    assert desk.done == [1, 2]
    journal.is_full = False
    await until(lambda: stored(journal) == [1, 2])


async def test_a_way_back_goes_ahead_when_the_spool_hangs_as_well(
    desk: Desk, journal: MoodyJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal.spool, "write", lambda _entry: journal.answers.wait())
    journal.answers.clear()
    for _ in range(50):
        desk.put()
    await desk.put(urgent=True)
    assert not journal.answers.is_set()
    assert desk.done == list(range(1, 52))


async def test_a_record_that_the_journal_refuses_is_said_and_nothing_is_done_about_it(
    desk: Desk, journal: MoodyJournal
) -> None:
    desk.put(what=object())  # no JSON
    desk.put()
    await until(lambda: any("refuses" in said for said in desk.troubles))
    assert desk.done == []


async def test_a_way_back_goes_ahead_over_a_record_that_the_journal_refuses(desk: Desk, journal: MoodyJournal) -> None:
    desk.put(what=object())
    await until(lambda: any("refuses" in said for said in desk.troubles))
    await desk.put(urgent=True)
    assert desk.done == [1, 2]


async def test_a_journal_that_has_gone_on_without_us_is_said(desk: Desk, journal: MoodyJournal) -> None:
    desk.last = 7
    desk.put()
    await until(lambda: any("record 8 can't follow record 0" in said for said in desk.troubles))
    await desk.put(urgent=True)
    assert desk.done == [8, 9]


async def test_a_listener_that_fails_does_not_stop_the_records(desk: Desk, journal: MoodyJournal) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    desk.last = 1
    await desk.recorder.put([Record(1, 1.0, "Noted", {})], None, then=broken)
    await desk.put()
    assert stored(journal) == [1, 2]
    assert desk.done == [2]


async def test_closing_does_not_wait_for_a_journal_that_hangs(
    journal: MoodyJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    writer = JournalWriter(journal)
    recorder = Recorder(RELEASE, writer, lambda _: None)
    recorder.put([Record(1, 1.0, "Noted", {})], None, then=lambda: None)
    await until(lambda: journal.asked)
    journal.answers.clear()
    recorder.put([Record(2, 1.0, "Noted", {})], None, then=lambda: None)
    await recorder.close()
    assert not journal.answers.is_set()
    journal.answers.set()
    await asyncio.to_thread(writer.close)


async def fenced_desk(journal: MoodyJournal) -> tuple[Desk, list[JournalFenced], JournalWriter]:
    """A recorder whose lease another engine took: epoch 1 is over."""
    taken = journal.take(RELEASE, "other", 10.0)
    assert taken is not None
    told: list[JournalFenced] = []
    troubles: list[str] = []
    writer = JournalWriter(journal, retry_s=0.01)
    recorder = Recorder(RELEASE, writer, troubles.append, epoch=taken.epoch - 1, on_fenced=told.append)
    return Desk(recorder, troubles), told, writer


async def test_when_another_engine_took_the_release_nothing_is_recorded_or_done_and_it_is_told_once(
    journal: MoodyJournal,
) -> None:
    desk, told, writer = await fenced_desk(journal)
    for _ in range(2):
        with pytest.raises(JournalFenced):
            await desk.put()
    assert desk.done == stored(journal) == []
    assert len(told) == 1
    await desk.recorder.close()
    assert writer.close()


async def test_a_way_back_goes_ahead_when_another_engine_took_the_release_and_is_kept_aside(
    journal: MoodyJournal,
) -> None:
    desk, told, writer = await fenced_desk(journal)
    await desk.put(urgent=True, text="the way back")
    assert desk.done == [1]
    assert len(told) == 1
    await desk.recorder.close()
    assert writer.close()
    assert stored(journal) == []
    (kept,) = journal.path.parent.glob("*.kept-*")
    assert "the way back" in kept.read_text()
    assert writer.backlog.refused == 1
    assert not journal.spool.path.exists()


async def test_records_are_told_under_the_epoch_of_their_time(journal: MoodyJournal) -> None:
    desk, told, writer = await fenced_desk(journal)
    assert desk.recorder.epoch is not None
    desk.recorder.epoch += 1  # the release is this engine's again
    await desk.put()
    assert stored(journal) == [1]
    assert told == []
    await desk.recorder.close()
    assert writer.close()
