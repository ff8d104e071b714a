"""Who holds a release may write it, nobody else; what engines leave for each other gets there. On both stores."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from engine.journal.records import HereRow, JournalConflict, JournalFenced, LeaseRow, OrderRow, Retention
from engine.journal.store import Journal
from tests.engine.journal_builders import RELEASE, Store, event, history, tick, with_release, write_history
from tests.support.postgres_process import PostgresProcess, running_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    with running_postgres() as process:
        yield process


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real)])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    where = request.getfixturevalue("server").database() if request.param == "postgres" else ""
    with Store(tmp_path / "home", where).open() as opened:
        yield opened


def created(journal: Journal, release: str = RELEASE, engine: str = "one") -> int:
    service = release.rpartition("-")[0]
    return journal.create_release(release, "t", service, 1.0, records=[event(1)], engine=engine, lease_s=60.0)


def test_who_creates_a_release_holds_it(journal: Journal) -> None:
    epoch = created(journal)
    (lease,) = journal.leases()
    assert (lease.release, lease.engine, lease.epoch) == (RELEASE, "one", epoch)
    assert 0 < lease.left_s <= (60.0 if journal.shared else math.inf)
    assert math.isinf(lease.left_s) is not journal.shared
    assert journal.take(RELEASE, "two", 60.0) is None
    assert journal.renew("one", 60.0) == {RELEASE: epoch}
    assert journal.renew("two", 60.0) == {}


def test_what_was_let_go_is_taken_under_a_greater_epoch_and_the_old_one_writes_no_more(journal: Journal) -> None:
    first = created(journal)
    journal.append(RELEASE, [event(2)], epoch=first)
    journal.let_go("one")
    assert journal.leases()[0].left_s <= 0
    taken = journal.take(RELEASE, "two", 60.0)
    assert taken is not None
    assert taken.epoch > first
    assert taken.free_since is not None
    assert abs(taken.free_since - time.time()) < 60.0
    with pytest.raises(JournalFenced):
        journal.append(RELEASE, [event(3)], epoch=first, keep={"state": "late"})
    with pytest.raises(JournalFenced):
        journal.append(RELEASE, [event(2, text="another")], epoch=first)
    journal.append(RELEASE, [event(2)], epoch=first)  # it is there: nothing is late about it
    journal.append(RELEASE, [event(3)], epoch=taken.epoch)
    assert journal.read(RELEASE) == [event(1), event(2), event(3)]
    assert journal.kept(RELEASE) == {}
    assert journal.renew("one", 60.0) == {}


def test_an_engine_takes_its_own_lease_anew(journal: Journal) -> None:
    first = created(journal)
    taken = journal.take(RELEASE, "one", 60.0)
    assert taken is not None
    assert taken.epoch > first
    assert taken.free_since is None
    with pytest.raises(JournalFenced):
        journal.append(RELEASE, [event(2)], epoch=first)


def test_epochs_grow_over_all_releases(journal: Journal) -> None:
    epochs = [created(journal), journal.engine_epoch(), created(journal, "shop-1")]
    journal.let_go("one", RELEASE)
    taken = journal.take(RELEASE, "two", 60.0)
    assert taken is not None
    epochs.append(taken.epoch)
    assert epochs == sorted(set(epochs))
    assert {lease.engine for lease in journal.leases()} == {"one", "two"}


def test_of_many_who_knew_the_same_releases_on_a_target_one_begins_the_next(journal: Journal) -> None:
    def begins(number: int, racer: str, known: frozenset[str], start: threading.Barrier) -> bool:
        start.wait(10)
        try:
            journal.create_release(f"{racer}-{number}", "t", racer, 1.0, engine=racer, lease_s=60.0, known=known)
        except JournalConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        for number in range(1, 16):
            known, start = frozenset(row.id for row in journal.releases()), threading.Barrier(4)
            racing = [pool.submit(begins, number, racer, known, start) for racer in "abcd"]
            assert sum(one.result() for one in racing) == 1
    assert len(journal.releases()) == 15


def test_a_start_that_knew_all_on_its_target_is_repeated_and_is_one(journal: Journal) -> None:
    first = created(journal)
    again = partial(journal.create_release, "a-1", "t", "a", 2.0, engine="one", lease_s=60.0, known={RELEASE})
    epoch = again(records=[event(1)])
    assert again(records=[event(1)]) == epoch > first
    journal.create_release("b-1", "another", "b", 2.0, known=set())
    with pytest.raises(JournalConflict, match="a-1 was begun on t meanwhile"):
        journal.create_release("c-1", "t", "c", 2.0, known={RELEASE})
    assert journal.leases()[1].epoch == epoch


def test_a_release_without_an_engine_is_free(journal: Journal) -> None:
    with_release(journal, RELEASE)
    assert journal.leases() == [LeaseRow(RELEASE, "", 0, 0.0)]
    taken = journal.take(RELEASE, "one", 60.0)
    assert taken is not None
    assert taken.free_since is None
    assert journal.take("shop-9", "one", 60.0) is None


def test_one_release_refused_in_a_group_stops_no_other(journal: Journal) -> None:
    from engine.journal.spool import Spooled

    epochs = {release: created(journal, release) for release in ("a-1", "b-1", "c-1", "d-1")}
    appends = [
        Spooled("a-1", (tick(2), event(3)), {"state": "a"}, epochs["a-1"]),
        Spooled("b-1", (event(2),), {}, epochs["b-1"] + 100),
        Spooled("c-1", (event(9),), {}, epochs["c-1"]),
        Spooled("d-1", (event(1, text="another"),), {}, epochs["d-1"]),
        Spooled("e-1", (event(1),), {}, None),
    ]
    answers = journal.append_each(appends)
    assert [type(answer).__name__ for answer in answers] == [
        "NoneType",
        "JournalFenced",
        "JournalConflict",
        "JournalConflict",
        "JournalConflict",
    ]
    assert journal.read("a-1") == [event(1), tick(2), event(3)]
    assert journal.kept("a-1") == {"state": "a"}
    assert journal.minutes("a-1")
    assert all(journal.last_seq(release) == 1 for release in ("b-1", "c-1", "d-1"))


def test_an_order_gets_to_the_holder_and_its_answer_back(journal: Journal) -> None:
    order = OrderRow("o1", RELEASE, {"verb": "pause", "who": "\x1b[2J\x00"}, 5.0)
    journal.send_order(order)
    journal.send_order(order)
    journal.send_order(OrderRow("o2", "shop-1", {}, 6.0))
    assert journal.orders_for([RELEASE]) == [order]
    assert journal.orders_for([]) == []
    assert journal.answer_of("o1") is None
    journal.answer_order("o1", "done")
    journal.answer_order("o1", "done twice")
    assert journal.orders_for([RELEASE]) == []
    assert journal.answer_of("o1") == "done"
    assert journal.answer_of("o9") is None


def test_everyone_sees_who_is_here(journal: Journal) -> None:
    ada = HereRow("one", RELEASE, "ada", "pts/1", 5.0, driving=True)
    bob = HereRow("two", RELEASE, "bob", "\x00\udc80", 6.0, driving=False)
    journal.here("one", [ada])
    journal.renew("two", 10.0)
    journal.here("two", [bob])
    assert journal.everyone_here() == [ada, bob]
    journal.here("one", [])
    assert journal.everyone_here() == [bob]
    journal.renew("two", -1.0)  # an engine whose three leases are over
    assert journal.everyone_here() == []


def test_old_ticks_go_first_then_old_releases(journal: Journal) -> None:
    for release in ("shop-1", "shop-2", "shop-3"):
        with_release(journal, release)
        write_history(journal, 30, release)
    ended, minutes = ["shop-1", "shop-2"], journal.minutes("shop-1")
    before = journal.size()
    dry = journal.prune(Retention(ticks_s=0.0), 1e9, ended, dry_run=True)
    assert journal.read("shop-1") == history(30)
    done = journal.prune(Retention(ticks_s=0.0), 1e9, ended)
    assert done == dry
    assert done.releases == ()
    assert 0 < done.freed == before - journal.size()
    assert len(journal.read("shop-1", types=["Ticked"])) == 1  # from which numbers go on
    assert journal.minutes("shop-1") == minutes
    assert journal.read("shop-3") == history(30)
    gone = journal.prune(Retention(releases_s=0.0), 1e9, ended)
    assert gone.releases == ("shop-1", "shop-2")
    assert [row.id for row in journal.releases()] == ["shop-3"]
    assert journal.minutes("shop-1") == []
    assert journal.next_id("shop") == "shop-4"


def test_a_size_takes_no_more_than_it_needs(journal: Journal) -> None:
    for release in ("shop-1", "shop-2", "shop-3"):
        with_release(journal, release)
        write_history(journal, 30, release)
    ended = ["shop-1", "shop-2", "shop-3"]
    assert journal.prune(Retention(size_bytes=journal.size()), 1e9, ended).freed == 0
    done = journal.prune(Retention(size_bytes=journal.size() - 1), 1e9, ended)
    assert done.releases == ()
    assert journal.read("shop-2") == history(30)
    done = journal.prune(Retention(size_bytes=0), 1e9, ended)
    assert done.releases == ("shop-1", "shop-2")
    assert [row.id for row in journal.releases()] == ["shop-3"]


def test_the_newest_release_of_a_service_stays_without_its_ticks(journal: Journal) -> None:
    for release in ("shop-9", "shop-10"):
        with_release(journal, release)
        write_history(journal, 9, release)
    done = journal.prune(Retention(ticks_s=0.0, releases_s=0.0), 1e9, ["shop-9", "shop-10"])
    assert done.releases == ("shop-9",)
    assert journal.next_id("shop") == "shop-11"
