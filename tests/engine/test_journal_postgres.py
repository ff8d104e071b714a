"""The journal on a real PostgreSQL: engines race for a release, lines are cut, the server goes and comes back."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from engine.journal.opening import open_store
from engine.journal.postgres import LIMIT_S
from engine.journal.records import (
    JournalCorrupt,
    JournalFenced,
    JournalLocked,
    JournalTooNew,
    JournalUnavailable,
    OrderRow,
    Record,
    sealed,
)
from engine.journal.spool import Spooled
from engine.journal.store import Journal
from engine.journal.tables import FORMAT
from tests.engine.journal_builders import RELEASE, Store, event, history, tick, with_release, write_history
from tests.support.postgres_process import PostgresProcess, running_postgres
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    with running_postgres() as process:
        yield process


@pytest.fixture
def store(server: PostgresProcess, tmp_path: Path) -> Store:
    return Store(tmp_path / "one", server.database())


@pytest.fixture
def proxy(server: PostgresProcess) -> Iterator[TcpProxy]:
    with tcp_proxy(server.port) as running:
        yield running


def through(proxy: TcpProxy, server: PostgresProcess, store: Store) -> Store:
    """The same store at the end of the proxy."""
    return Store(store.home, store.where.replace(f":{server.port}/", f":{proxy.port}/"))


def wait_for(holds: object, limit_s: float = 20.0) -> None:
    due = time.monotonic() + limit_s
    while not holds():  # type: ignore[operator]  # a callable
        assert time.monotonic() < due
        time.sleep(0.02)


# --- leases


def test_a_lease_that_ran_out_is_renewed_or_taken_but_not_both(store: Store) -> None:
    with store.open() as one, store.other().open() as two:
        first = one.create_release(RELEASE, "t", "checkout", 1.0, engine="one", lease_s=0.05)
        wait_for(lambda: one.leases()[0].left_s <= 0)
        assert one.renew("one", 0.05) == {RELEASE: first}
        one.append(RELEASE, [event(1)], epoch=first)
        wait_for(lambda: one.leases()[0].left_s <= 0)
        one.append(RELEASE, [event(2)], epoch=first)  # nobody else was asked meanwhile
        taken = two.take(RELEASE, "two", 60.0)
        assert taken is not None
        assert taken.free_since is not None
        assert taken.free_since <= time.time()
        assert one.renew("one", 60.0) == {}
        with pytest.raises(JournalFenced):
            one.append(RELEASE, [event(3)], epoch=first)
        two.append(RELEASE, [event(3)], epoch=taken.epoch)


RACES = """
import sys, time
from pathlib import Path
from engine.journal.opening import open_store
engine, where, home = sys.argv[1:]
with open_store(where, Path(home)) as journal:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(1, 41):
        taken = journal.take(f"shop-{number}", engine, 60.0)
        print(number, taken.epoch if taken else 0, flush=True)
"""


def test_two_processes_that_race_share_the_releases_and_no_epoch(store: Store) -> None:
    with store.open() as journal:
        for number in range(1, 41):
            with_release(journal, f"shop-{number}")
    said = raced(RACES, store)
    one, two = said
    assert all((one[number] > 0) != (two[number] > 0) for number in range(1, 41))
    epochs = [epoch for taken in said for epoch in taken.values() if epoch]
    assert len(set(epochs)) == 40


STARTS = """
import sys, time
from pathlib import Path
from engine.journal.opening import open_store
from engine.journal.records import JournalConflict
engine, where, home = sys.argv[1:]
with open_store(where, Path(home)) as journal:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(1, 41):
        known = {row.id for row in journal.releases()}
        try:
            journal.create_release(f"{engine}-{number}", "route", engine, 1.0, engine=engine, lease_s=9.0, known=known)
        except JournalConflict:
            print(number, 0, flush=True)
            continue
        print(number, len(known) + 1, flush=True)
"""


def test_two_processes_that_start_on_one_target_never_both_begin_after_the_same(store: Store) -> None:
    with store.open():
        pass
    one, two = raced(STARTS, store)
    begun = sorted(place for place in [*one.values(), *two.values()] if place)
    assert begun == list(range(1, len(begun) + 1))  # each knew all that were before it
    assert len(begun) >= 40


def raced(script: str, store: Store) -> list[dict[int, int]]:
    """What two processes said of each number, both let go at once."""
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", script, name, store.where, str(store.other().home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [process.communicate(timeout=30)[0].splitlines() for process in racing]
    return [{int(number): int(said) for number, said in map(str.split, one)} for one in lines]


def test_whatever_the_timing_nothing_follows_a_take_under_the_old_epoch(store: Store) -> None:
    """An engine appends as fast as it can while others take the release from it again and again."""
    with store.open() as one, store.other().open() as two:
        epoch = one.create_release(RELEASE, "t", "checkout", 1.0, engine="one", lease_s=0.0)
        fenced = threading.Event()
        told: list[int] = []

        def go_on() -> None:
            seq = 0
            while True:
                try:
                    one.append(RELEASE, [event(seq + 1, by=epoch)], epoch=epoch)
                except JournalFenced:
                    fenced.set()
                    return
                except JournalUnavailable:
                    continue  # the lease's row was being taken
                seq += 1
                told.append(seq)

        writing = threading.Thread(target=go_on)
        writing.start()
        wait_for(lambda: len(told) > 20)
        taken = None
        while taken is None:  # None: an append has the row just now
            taken = two.take(RELEASE, "two", 60.0)
        there = two.last_seq(RELEASE)
        writing.join(20)
        assert fenced.is_set()
        assert one.last_seq(RELEASE) == there == told[-1]
        two.append(RELEASE, [event(there + 1, by=taken.epoch)], epoch=taken.epoch)


def test_a_frozen_append_keeps_nobody_from_taking_over_for_long(store: Store) -> None:
    with store.open() as one, store.other().open() as two:
        epoch = one.create_release(RELEASE, "t", "checkout", 1.0, engine="one", lease_s=0.0)
        with closing(one._backend.engine.raw_connection()) as frozen, closing(frozen.cursor()) as line:
            line.execute("SELECT epoch FROM leases FOR KEY SHARE")
            assert two.take(RELEASE, "two", 60.0) is None
            wait_for(lambda: two.take(RELEASE, "two", 60.0) is not None)
            frozen.invalidate()
        with pytest.raises(JournalFenced):
            one.append(RELEASE, [event(1)], epoch=epoch)


def test_a_release_being_taken_holds_up_no_other(store: Store) -> None:
    with store.open() as journal:
        epochs = [
            journal.create_release(f"shop-{number}", "t", "shop", 1.0, engine="one", lease_s=60.0) for number in (1, 2)
        ]
        with psycopg.connect(store.where) as taking:
            taking.execute("SELECT 1 FROM leases WHERE release = 'shop-1' FOR UPDATE")
            appends = [
                Spooled(f"shop-{number}", (event(1),), {}, epoch) for number, epoch in zip((1, 2), epochs, strict=True)
            ]
            busy, stored = journal.append_each(appends)
            assert isinstance(busy, JournalUnavailable)
            assert stored is None
        journal.append("shop-1", [event(1)], epoch=epochs[0])


# --- the line and the server


def test_a_cut_line_is_an_error_and_the_next_call_has_a_new_line(
    server: PostgresProcess, store: Store, proxy: TcpProxy
) -> None:
    with through(proxy, server, store).open() as journal:
        write_history(with_release(journal, RELEASE), 3)
        proxy.cut()
        with pytest.raises(JournalUnavailable):
            journal.append(RELEASE, [event(4)])
        proxy.mend()
        journal.append(RELEASE, history(5)[3:])
        assert journal.read(RELEASE) == history(5)


def test_a_line_cut_behind_a_commit_leaves_a_record_that_is_there_once(
    server: PostgresProcess, store: Store, proxy: TcpProxy
) -> None:
    with through(proxy, server, store).open() as journal:
        epoch = journal.create_release(RELEASE, "t", "checkout", 1.0, engine="one", lease_s=60.0)
        journal.append(RELEASE, [tick(1)], epoch=epoch)
        minutes = journal.minutes(RELEASE)
        proxy.mute_when = lambda piece: b"COMMIT\x00" in piece
        with pytest.raises(JournalUnavailable):
            journal.append(RELEASE, [tick(2), event(3)], keep={"state": 3}, epoch=epoch)
        proxy.mute_when = lambda _: False
        assert proxy.muted == 1
        assert journal.last_seq(RELEASE) == 3, "the server had it"
        journal.append(RELEASE, [tick(2), event(3)], keep={"state": 3}, epoch=epoch)
        assert journal.read(RELEASE) == [tick(1), tick(2), event(3)]
        assert sum(one.seconds for one in journal.minutes(RELEASE)) == 2 * sum(one.seconds for one in minutes)


def test_a_creation_whose_answer_was_lost_can_be_repeated(
    server: PostgresProcess, store: Store, proxy: TcpProxy
) -> None:
    with through(proxy, server, store).open() as journal:
        proxy.mute_when = lambda piece: b"COMMIT\x00" in piece
        with pytest.raises(JournalUnavailable):
            journal.create_release(RELEASE, "t", "checkout", 1.0, records=[event(1)], engine="one", lease_s=60.0)
        proxy.mute_when = lambda _: False
        again = journal.create_release(RELEASE, "t", "checkout", 1.0, records=[event(1)], engine="one", lease_s=60.0)
        assert journal.renew("one", 60.0) == {RELEASE: again}
        assert journal.read(RELEASE) == [event(1)]


def test_a_frozen_server_is_noticed_in_seconds(server: PostgresProcess, store: Store) -> None:
    with store.open() as journal:
        with_release(journal, RELEASE)
        server.freeze()
        try:
            begun = time.monotonic()
            with pytest.raises(JournalUnavailable):
                journal.append(RELEASE, [event(1)])
            assert time.monotonic() - begun < 5 * LIMIT_S  # not never
        finally:
            server.thaw()
        journal.append(RELEASE, [event(1)])
        assert journal.read(RELEASE) == [event(1)]


def test_a_stopped_and_a_killed_server_come_back_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    with running_postgres(()) as server, Store(tmp_path, server.database()).open() as journal:
        with_release(journal, RELEASE)
        for number, end in enumerate((server.stop, server.kill)):
            journal.append(RELEASE, [event(2 * number + 1)])
            end()
            with pytest.raises(JournalUnavailable):
                journal.append(RELEASE, [event(2 * number + 2)])
            server.start()
            journal.append(RELEASE, [event(2 * number + 2)])
        assert journal.read(RELEASE) == [event(seq) for seq in range(1, 5)]


def test_a_server_that_only_reads_takes_nothing_and_says_so(store: Store) -> None:
    with store.open() as journal:
        with_release(journal, RELEASE)
        database = store.where.rpartition("/")[2]
        with psycopg.connect(store.where, autocommit=True) as line:
            line.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        journal._backend.engine.dispose()
        with pytest.raises(JournalUnavailable, match="read-only"):
            journal.append(RELEASE, [event(1)])
        with psycopg.connect(store.where, autocommit=True) as line:
            line.execute("SET default_transaction_read_only = off")
            line.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        journal.append(RELEASE, [event(1)])


# --- news


def test_news_is_heard_also_after_the_line_was_cut(server: PostgresProcess, store: Store, proxy: TcpProxy) -> None:
    heard: list[str] = []
    with store.open() as one, through(proxy, server, store.other()).open() as two:
        with_release(one, RELEASE)
        stop = two.listen(heard.append)

        def is_heard(tell: object) -> bool:
            heard.clear()
            tell()  # type: ignore[operator]  # a callable
            time.sleep(0.05)
            return RELEASE in heard

        seqs = iter(range(1, 1000))
        wait_for(lambda: is_heard(lambda: one.append(RELEASE, [event(next(seqs))])))
        assert is_heard(lambda: one.send_order(OrderRow("o1", RELEASE, {}, 1.0)))
        assert is_heard(lambda: one.answer_order("o1", ""))
        proxy.cut()
        proxy.mend()
        wait_for(lambda: is_heard(lambda: one.append(RELEASE, [event(next(seqs))])))
        stop()


# --- opening


def test_engines_that_start_together_make_the_tables_once(store: Store) -> None:
    homes = [store.other().home for _ in range(4)]
    opened: list[Journal] = []
    threads = [
        threading.Thread(target=lambda home=home: opened.append(open_store(store.where, home))) for home in homes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert sorted(journal.engine_epoch() for journal in opened) == [1, 2, 3, 4]
    for journal in opened:
        journal.close()


def test_a_state_folder_is_one_engines(store: Store) -> None:
    with store.open():
        with pytest.raises(JournalLocked):
            store.open()
        with pytest.raises(JournalLocked):
            Store(store.home).open()
    store.open().close()


def test_a_newer_format_is_refused(store: Store) -> None:
    store.open().close()
    newer = sealed({"name": "format", "value": FORMAT + 1})
    with psycopg.connect(store.where) as line:
        line.execute("UPDATE journal SET value = %(value)s, checksum = %(checksum)s WHERE name = 'format'", newer)
    with pytest.raises(JournalTooNew, match="newer"):
        store.open()


def test_tables_of_somebody_else_are_left_alone(store: Store) -> None:
    with psycopg.connect(store.where) as line:
        line.execute("CREATE TABLE events (id int)")
    with pytest.raises(JournalCorrupt, match="no laneshift journal"):
        store.open()
    with psycopg.connect(store.where) as line:
        assert line.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_no_password_is_ever_said(server: PostgresProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for where in (
        f"postgresql://nobody:hunter2@127.0.0.1:{server.port}/postgres",
        f"postgresql://nobody@127.0.0.1:{server.port}/hunter2?password=hunter2",
        "postgresql://nobody:hunter2@127.0.0.1:1/postgres",
        "postgresql://nobody:hunter2@127.0.0.1:port/postgres",
    ):
        with pytest.raises(JournalUnavailable) as refused:
            open_store(where, tmp_path)
        said.append(str(refused.value))
    assert all(said)
    assert "hunter2" not in "".join(said) + caplog.text


# --- the spool


def test_what_was_spooled_is_drained_unless_another_engine_took_over(store: Store) -> None:
    with store.open() as one:
        held = one.create_release(RELEASE, "t", "checkout", 1.0, engine="one", lease_s=0.0)
        lost = one.create_release("shop-1", "t", "shop", 1.0, engine="one", lease_s=0.0)
        one.spool.write(Spooled(RELEASE, (event(1), event(2)), {"state": 2}, held))
        one.spool.write(Spooled("shop-1", (event(1, text="late"),), {"state": "late"}, lost))
    with store.other().open() as two:
        taken = two.take("shop-1", "two", 60.0)
        assert taken is not None
        with store.open() as one:
            assert one.drained is not None
            assert one.drained.records == 2
            assert len(one.drained.refused) == 1
            assert "taken over" in one.drained.refused[0]
            assert one.drained.kept is not None
            assert "late" in one.drained.kept.read_text()
        assert two.read(RELEASE) == [event(1), event(2)]
        assert two.read("shop-1") == []
        two.append("shop-1", [event(1)], epoch=taken.epoch)


# --- backup


def test_a_dump_is_restored_and_opened(server: PostgresProcess, store: Store, tmp_path: Path) -> None:
    with store.open() as journal:
        write_history(with_release(journal, RELEASE), 30)
        file = tmp_path / "dump"
        subprocess.run(["pg_dump", "--format=custom", f"--file={file}", store.where], check=True, capture_output=True)
        journal.append(RELEASE, [Record(31, 1031.0, "Noted", {})])
    where = server.database()
    subprocess.run(["pg_restore", f"--dbname={where}", str(file)], check=True, capture_output=True)
    with Store(tmp_path / "restored", where).open() as journal:
        assert journal.read(RELEASE) == history(30)
        assert journal.take(RELEASE, "two", 10.0) is not None
