"""However the file is damaged: it is noticed, kept, and what is intact of it goes on."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from engine.journal import check as journal_check
from engine.journal import recovery as journal_recovery
from engine.journal.records import TICK, JournalCorrupt, Record
from engine.journal.store import Journal
from tests.engine.journal_builders import RELEASE, copy_files, event, history, started, with_release

LENGTH = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed journal of two releases; don't change it."""
    path = tmp_path_factory.mktemp("whole") / "journal.db"
    with with_release(started(path), "shop-1") as journal:
        for record in history(LENGTH):
            journal.append(RELEASE, [record], keep={"counters": record.seq})
            journal.append("shop-1", [record], keep={"counters": record.seq})
        journal.engine_epoch()
    return path


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal as kill -9 leaves it: all of the history is in the write-ahead log only; don't change it."""
    path = tmp_path_factory.mktemp("crashed") / "journal.db"
    with started(path) as journal:
        for record in history(LENGTH):
            journal.append(RELEASE, [record], keep={"counters": record.seq})
        return copy_files(path, path.parent / "copy")


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return copy_files(whole, tmp_path / "damaged")


def check_recovered(path: Path, releases: tuple[str, ...] = (RELEASE, "shop-1")) -> Journal:
    """Open a journal that may be damaged: all is there, or the loss is reported, the file kept, a prefix recovered."""
    content = path.read_bytes()
    with Journal.open(path) as journal:
        report = journal.recovered
        found = {release.id: journal.read(release.id) for release in journal.releases()}
        if report is None:
            assert found == {release: history(LENGTH) for release in releases}
            assert all(journal.kept(release) for release in releases)
        else:
            assert report.kept.read_bytes() == content
            assert report.found
            assert str(report.kept) in str(report)
            assert report.releases == {release: journal.last_seq(release) for release in found}
            for release, records in found.items():
                assert records == history(LENGTH)[: len(records)]
                assert all(seq <= len(records) for seq in journal.kept(release).values())
                go_on(journal, release)
    with Journal.open(path) as journal:
        assert journal.recovered is None
    return journal


def go_on(journal: Journal, release: str) -> None:
    """A recovered release takes records as any other."""
    journal.append(release, [event(journal.last_seq(release) + 1)])


def flip(path: Path, position: int, bits: int = 0xFF) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ bits]))


def seeds(count: int) -> list[int]:
    return list(range(count))


@pytest.mark.parametrize("seed", seeds(24))
def test_a_flipped_byte(damaged: Path, seed: int) -> None:
    chance = random.Random(seed)
    flip(damaged, chance.randrange(damaged.stat().st_size), 1 << chance.randrange(8))
    check_recovered(damaged)


@pytest.mark.parametrize("seed", seeds(8))
def test_a_page_of_nothing(damaged: Path, seed: int) -> None:
    page = random.Random(seed).randrange(damaged.stat().st_size // 4096)
    with damaged.open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))
    check_recovered(damaged)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.3, 0.5, 0.77, 0.9, 0.999])
def test_a_file_that_was_cut(damaged: Path, part: float) -> None:
    with damaged.open("r+b") as file:
        file.truncate(int(damaged.stat().st_size * part))
    check_recovered(damaged)
    with Journal.open(damaged) as journal:
        assert journal.engine_epoch() > 1


def test_a_file_of_something_else(damaged: Path) -> None:
    damaged.write_bytes(b"service: checkout\n" * 1000)
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        assert journal.recovered.releases == {}
        assert "new and empty" in str(journal.recovered)
        assert journal.recovered.kept.read_bytes() == b"service: checkout\n" * 1000
        assert journal.engine_epoch() > 1_000_000_000, "an epoch must be greater than any that was counted"


def test_most_of_a_journal_is_read_around_a_broken_page(damaged: Path) -> None:
    with sqlite3.connect(damaged) as database:
        query = "SELECT pageno FROM dbstat WHERE name = 'ticks' AND pagetype = 'leaf' ORDER BY pageno DESC LIMIT 1"
        (page,) = database.execute(query).fetchone()
    database.close()
    with damaged.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        assert all(last > LENGTH * 0.8 for last in journal.recovered.releases.values())
        assert len(journal.recovered.lost) == 2
        assert journal.engine_epoch() == 2


@pytest.mark.parametrize(
    ("change", "last"),
    [
        ("UPDATE events SET data = '{}' WHERE seq = 31 AND release = 'checkout-1'", 30),
        ("UPDATE ticks SET at = at + 1 WHERE seq = 32 AND release = 'checkout-1'", 31),
        ("DELETE FROM events WHERE seq = 31 AND release = 'checkout-1'", 30),
        ("DELETE FROM ticks WHERE seq = 32 AND release = 'checkout-1'", 31),
        ("UPDATE ticks SET seq = 99 WHERE seq = 60 AND release = 'checkout-1'", 59),
    ],
)
def test_a_changed_row_is_noticed(damaged: Path, change: str, last: int) -> None:
    with sqlite3.connect(damaged) as database:
        database.execute(change)
    database.close()
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        assert journal.recovered.releases == {RELEASE: last, "shop-1": LENGTH}
        assert journal.read(RELEASE) == history(last)
        assert journal.read("shop-1") == history(LENGTH)
        assert journal.kept(RELEASE) == {}, "what belongs to lost records must not be taken for older ones"
        assert journal.kept("shop-1") == {"counters": LENGTH}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE kept SET data = 7",
        "UPDATE minutes SET total = 7",
        "UPDATE releases SET target = 7",
        "UPDATE journal SET value = 7",
    ],
)
def test_a_changed_value_beside_the_records_is_noticed(damaged: Path, change: str) -> None:
    with sqlite3.connect(damaged) as database:
        database.execute(change)
    database.close()
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        assert change.split()[1] in journal.recovered.found


def test_minutes_are_recovered_with_the_ticks(whole: Path, damaged: Path) -> None:
    with Journal.open(whole, readonly=True) as journal:
        before = journal.minutes("shop-1")
    flip(damaged, damaged.read_bytes().rindex(b'"text":"note 31"'))
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        assert journal.minutes("shop-1") == before
        seen = [record for record in journal.read(RELEASE) if record.type == TICK]
        totals = [
            minute.total
            for minute in journal.minutes(RELEASE)
            if (minute.metric, minute.side) == ("error_rate", "canary")
        ]
        assert sum(totals) == 100.0 * len(seen)


def test_a_pruned_history_is_recovered_whole(damaged: Path) -> None:
    with Journal.open(damaged) as journal:
        journal.prune_ticks("shop-1", keep_seconds=10.0)
        records, minutes = journal.read("shop-1"), journal.minutes("shop-1")
    flip(damaged, damaged.read_bytes().rindex(b'"text":"note 58"'))
    with Journal.open(damaged) as journal:
        assert journal.recovered is not None
        releases = journal.recovered.releases
        damaged_one = min(releases, key=releases.__getitem__)
        assert releases[damaged_one] == 57
        if damaged_one != "shop-1":
            assert journal.read("shop-1") == records
            assert journal.minutes("shop-1") == minutes
        else:
            assert journal.read("shop-1") == [record for record in records if record.seq <= 57]


@pytest.mark.parametrize("seed", seeds(12))
def test_a_flipped_byte_in_the_write_ahead_log(crashed: Path, tmp_path: Path, seed: int) -> None:
    path = copy_files(crashed, tmp_path / "damaged")
    wal = path.with_name("journal.db-wal")
    log = wal.read_bytes()
    flip(wal, random.Random(seed).randrange(int(len(log) * 0.9)), 0x10)
    flipped = wal.read_bytes()
    with Journal.open(path) as journal:
        assert journal.recovered is not None
        aside = journal.recovered.kept
        assert aside.with_name(aside.name + "-wal").read_bytes() == flipped
        records = journal.read(RELEASE)
        assert records == history(LENGTH)[: len(records)]


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.2, 0.4, 0.6, 0.8, 0.9999])
def test_a_write_ahead_log_that_was_cut_gives_what_is_before_the_cut(
    crashed: Path, tmp_path: Path, part: float
) -> None:
    path = copy_files(crashed, tmp_path / "damaged")
    wal = path.with_name("journal.db-wal")
    with wal.open("r+b") as file:
        file.truncate(int(wal.stat().st_size * part))
    with Journal.open(path) as journal:
        records = journal.read(RELEASE) if journal.releases() else []
        assert records == history(LENGTH)[: len(records)]
        assert len(records) >= int(LENGTH * part) - 8


def test_a_crash_in_the_middle_of_a_transaction_is_no_damage(crashed: Path, tmp_path: Path) -> None:
    path = copy_files(crashed, tmp_path / "damaged")
    wal = path.with_name("journal.db-wal")
    flip(wal, wal.stat().st_size - 4096 - 24 + 20)  # the last frame's checksum: its page never came
    with Journal.open(path) as journal:
        assert journal.recovered is None
        assert journal.read(RELEASE) == history(LENGTH - 1)


def test_reading_alone_reports_damage_and_changes_nothing(damaged: Path) -> None:
    flip(damaged, damaged.read_bytes().rindex(b'"text":"note 31"'))
    content = damaged.read_bytes()
    with Journal.open(damaged, readonly=True) as journal, pytest.raises(JournalCorrupt, match="31"):
        journal.read(RELEASE), journal.read("shop-1")
    damaged.write_bytes(content[:5000])
    with pytest.raises(JournalCorrupt):
        Journal.open(damaged, readonly=True).read(RELEASE)
    assert damaged.read_bytes() == content[:5000]


@pytest.mark.parametrize("step", ["rename", "replace"])
def test_a_crash_while_recovering_loses_nothing(damaged: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    flip(damaged, damaged.read_bytes().rindex(b'"text":"note 31"'))
    content = damaged.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, killed)
        with pytest.raises(KeyboardInterrupt):
            Journal.open(damaged)
    with Journal.open(damaged) as journal:
        assert sorted(map(len, (journal.read(RELEASE), journal.read("shop-1")))) == [30, LENGTH]
    assert any(file.read_bytes() == content for file in damaged.parent.glob("journal.db.corrupt-*"))


def test_a_sound_journal_is_left_as_it_is(damaged: Path) -> None:
    content = damaged.read_bytes()
    assert journal_check.damage(damaged) == ""
    assert journal_recovery.make_sound(damaged) is None
    assert damaged.read_bytes() == content
    assert not list(damaged.parent.glob("*.corrupt-*"))


def test_damage_is_set_aside_as_often_as_it_happens(damaged: Path, whole: Path) -> None:
    for _ in range(3):
        shutil.copy(whole, damaged)
        flip(damaged, damaged.read_bytes().rindex(b'"text":"note 31"'))
        Journal.open(damaged).close()
    assert len(list(damaged.parent.glob("journal.db.corrupt-*Z"))) == 3


def test_a_gap_is_only_right_where_ticks_were_pruned() -> None:
    def row(record: Record, previous: int) -> dict[str, object]:
        return {"seq": record.seq, "type": record.type, "previous_event": previous}

    tick_3, event_4 = Record(3, 0.0, TICK, {}), event(4)
    assert journal_check.intact_prefix([row(event(1), 0), row(tick_3, 1), row(event_4, 1)], pruned_through=2) == 3
    assert journal_check.intact_prefix([row(event(1), 0), row(tick_3, 1), row(event_4, 1)], pruned_through=0) == 1
    assert journal_check.intact_prefix([row(event(1), 0), row(tick_3, 2), row(event_4, 2)], pruned_through=2) == 1
