"""The journal, its writer and its spool behave as a list: whatever hangs, fails, is pruned, reopened or killed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import make_url

from engine.journal.postgres import PostgresBackend
from engine.journal.records import TICK, JournalConflict, JournalUnavailable, Record
from engine.journal.writer import JournalWriter
from tests.engine.journal_builders import copy_files, event, tick, with_release
from tests.engine.moody_journal import MoodyJournal, until
from tests.support.postgres_process import PostgresProcess, running_postgres

T = TypeVar("T")

RELEASES = ("checkout-1", "shop-1")


class JournalIsAList(RuleBasedStateMachine):
    """`promised` is what callers were told is stored or will be; the journal must end with just that."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.opened = 0
        self.promised: dict[str, list[Record]] = {release: [] for release in RELEASES}
        self.kept: dict[str, dict[str, int]] = {release: {} for release in RELEASES}
        self.pruned: dict[str, set[int]] = {release: set() for release in RELEASES}

    @initialize()
    def first_opening(self) -> None:
        self.path = self.folder / "journal.db"
        self.open()
        for release in RELEASES:
            with_release(self.journal, release)

    def open(self) -> None:
        self.journal = MoodyJournal.open(self.path)
        self.writer = JournalWriter(self.journal, retry_s=0.02)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def next_records(self, release: str, kinds: list[bool]) -> list[Record]:
        first = len(self.promised[release]) + 1
        return [tick(seq) if is_tick else event(seq) for seq, is_tick in enumerate(kinds, first)]

    def promise(self, release: str, records: list[Record]) -> None:
        self.promised[release] += records
        self.kept[release] = {"last": records[-1].seq}

    @rule(release=st.sampled_from(RELEASES), kinds=st.lists(st.booleans(), min_size=1, max_size=4))
    @precondition(lambda self: self.journal.answers.is_set())
    def append(self, release: str, kinds: list[bool]) -> None:
        records = self.next_records(release, kinds)
        try:
            self.run(self.writer.append(release, records, {"last": records[-1].seq}))
        except JournalUnavailable:
            assert self.journal.is_full
        else:
            self.promise(release, records)

    @rule(release=st.sampled_from(RELEASES), kinds=st.lists(st.booleans(), min_size=1, max_size=4))
    def append_or_spool(self, release: str, kinds: list[bool]) -> None:
        records = self.next_records(release, kinds)
        keep = {"last": records[-1].seq}
        stored = self.run(self.writer.append_or_spool(release, records, keep, patience=0.01))
        assert not (stored and (self.journal.is_full or not self.journal.answers.is_set()))
        self.promise(release, records)

    @rule(release=st.sampled_from(RELEASES), kinds=st.lists(st.booleans(), min_size=1, max_size=4))
    def heal_and_append(self, release: str, kinds: list[bool]) -> None:
        """An append that may come before anything spooled was tried again."""
        self.heal()
        records = self.next_records(release, kinds)
        self.run(self.writer.append(release, records, {"last": records[-1].seq}))
        self.promise(release, records)

    @rule(release=st.sampled_from(RELEASES), back=st.integers(1, 5))
    @precondition(lambda self: self.is_well())
    def append_again(self, release: str, back: int) -> None:
        if records := self.promised[release][-back:]:
            self.run(self.writer.append(release, records, {"last": -1}))

    @rule(release=st.sampled_from(RELEASES))
    @precondition(lambda self: self.is_well())
    def append_wrong(self, release: str) -> None:
        with pytest.raises(JournalConflict):
            self.run(self.writer.append(release, [event(len(self.promised[release]) + 2)]))

    @rule(release=st.sampled_from(RELEASES), keep_seconds=st.integers(0, 10))
    @precondition(lambda self: self.is_well())
    def prune(self, release: str, keep_seconds: int) -> None:
        self.settle()
        self.writer.call(lambda journal: journal.prune_ticks(release, keep_seconds)).result()
        ticks = [record for record in self.promised[release] if record.type == TICK]
        self.pruned[release] |= {record.seq for record in ticks if record.at < ticks[-1].at - keep_seconds}

    @rule()
    def hang(self) -> None:
        self.journal.answers.clear()

    @rule()
    def fill_disk(self) -> None:
        self.journal.is_full = True

    @rule()
    def heal(self) -> None:
        self.journal.is_full = False
        self.journal.answers.set()

    @rule()
    def close_and_open(self) -> None:
        self.heal()
        assert self.writer.close()
        self.journal.close()
        self.open()

    @rule()
    def kill_and_open(self) -> None:
        """Another engine goes on with the files as they are; what is in memory only dies, and is said to."""
        self.run(until(lambda: not self.writer.backlog.in_memory))
        old_journal, old_writer = self.journal, self.writer
        self.opened += 1
        self.path = copy_files(self.path, self.folder / str(self.opened))
        self.open()
        old_journal.is_full = True
        old_journal.answers.set()
        old_writer.close()
        old_journal.close()

    def is_well(self) -> bool:
        return self.journal.answers.is_set() and not self.journal.is_full

    def settle(self) -> None:
        self.run(until(lambda: not (self.writer.backlog.spooled or self.writer.backlog.in_memory)))

    @invariant()
    def the_journal_is_the_list(self) -> None:
        if not self.is_well():
            return
        self.settle()
        assert self.writer.backlog.refused == 0
        for release in RELEASES:
            expected = [record for record in self.promised[release] if record.seq not in self.pruned[release]]
            assert self.journal.read(release) == expected
            assert self.journal.kept(release) == self.kept[release]
            assert self.journal.last_seq(release) == len(self.promised[release])

    def teardown(self) -> None:
        self.heal()
        self.writer.close()
        self.journal.close()
        self.loop.close()
        shutil.rmtree(self.folder)


TestJournalIsAList = JournalIsAList.TestCase
TestJournalIsAList.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


class JournalOnPostgresIsAList(JournalIsAList):
    """The same on a database. An engine that is killed leaves its spool and what it has committed."""

    server: ClassVar[PostgresProcess]

    def __init__(self) -> None:
        super().__init__()
        self.where = self.server.database()

    def open(self) -> None:
        backend = PostgresBackend(make_url(self.where).set(drivername="postgresql+psycopg"))
        backend.prepare()
        self.journal = MoodyJournal.over(self.path, backend)
        self.writer = JournalWriter(self.journal, retry_s=0.02)


@pytest.mark.real
def test_journal_on_postgres_is_a_list() -> None:
    with running_postgres() as server:
        few = settings(max_examples=12, stateful_step_count=20, deadline=None)
        JournalOnPostgresIsAList.server = server
        run_state_machine_as_test(JournalOnPostgresIsAList, settings=few)
