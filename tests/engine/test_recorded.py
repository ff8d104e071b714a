"""What is recorded of stable: out of the journal, and out of a source that keeps a history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.codec import encode
from engine.journal.records import Record
from engine.journal.store import Journal
from engine.judge import Counts, Metric, Sample, Threshold
from engine.past.recorded import Recorded, RecordsError, from_journal, shown, usual_shares

ERRORS = Metric("errors", "bad", (Threshold(0.02),), baseline=0.001)
SLOW = Metric("slow", "latency", (Threshold(0.25),), baseline=0.15, quantile=0.95)
POOL = Metric("pool", "gauge", (Threshold(80),))
PLANNED = (ERRORS, SLOW, POOL)


def scrape(stable: float = 100, canary: float = 20) -> list[Sample]:
    sides = [None if total is None else Counts(total, total / 10, total / 10) for total in (stable, canary)]
    events = [Sample(name, 5.0, *sides) for name in ("errors", "slow")]
    return [*events, Sample("pool", 5.0, Counts(1, 0, 0, 50.0), Counts(1, 0, 0, 51.0))]


def write(path: Path, **ticks: list[list[Sample]]) -> Path:
    """A journal with a release of each name, a tick every 5 s from its place in the list times 1000 s on."""
    with Journal.open(path) as journal:
        for number, (release, scrapes) in enumerate(ticks.items(), start=1):
            begun = 1000.0 * number
            journal.create_release(release, f"target {release}", release.partition("_")[0], begun)
            created = Record(1, begun, "Created", {"rules": {"metrics": encode(PLANNED)}})
            looks = [
                Record(seq, begun + 5 * seq, "Ticked", {"samples": encode(samples)})
                for seq, samples in enumerate(scrapes, start=2)
            ]
            journal.append(release, [created, *looks])
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write(
        tmp_path / "journal.db",
        shop_1=[scrape(100), scrape(110), scrape(0, 120)],
        bank_1=[scrape(1)],
        shop_2=[scrape(200, 0)],
    )


def totals(recorded: Recorded) -> list[float]:
    return [sample.stable.total for one in recorded.scrapes for sample in one if sample.metric == "errors"]


def test_stables_side_of_this_services_releases_in_the_order_of_time(journal: Path) -> None:
    found = from_journal(journal, "shop", PLANNED)
    assert totals(found) == [100, 110, 200]
    assert {sample.canary for one in found.scrapes for sample in one} == {None}
    assert (found.origin, found.seconds, found.metrics) == ("the journal: 2 releases of shop", 15.0, PLANNED)
    assert found.remarks == ()


def test_what_is_older_than_asked_for_is_left_out(journal: Path) -> None:
    assert totals(from_journal(journal, "shop", PLANNED, since=2000)) == [200]
    assert from_journal(journal, "shop", PLANNED, since=9000).scrapes == ()


def test_no_more_releases_are_read_than_it_takes(journal: Path) -> None:
    assert totals(from_journal(journal, "shop", PLANNED, most=1)) == [200]


def test_the_traffic_of_a_service_is_that_of_both_versions(journal: Path) -> None:
    found = from_journal(journal, "shop", PLANNED, whole=True)
    assert totals(found) == [120, 130, 200]
    assert found.rate("errors") == 26.0
    assert found.counts("errors") == (450, 45)
    assert usual_shares(found) == {"errors": 0.1, "slow": 0.1}


def test_a_canarys_part_of_the_traffic_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "journal.db", shop_1=[scrape(60, 40)])
    [remark] = from_journal(path, "shop", PLANNED).remarks
    assert remark.startswith("40% of the requests were a canary's")


def test_slow_requests_that_were_counted_at_another_line_are_left_out(journal: Path) -> None:
    stricter = replace(SLOW, thresholds=(Threshold(0.2),))
    found = from_journal(journal, "shop", (ERRORS, stricter))
    assert found.metrics == (ERRORS,)
    assert found.remarks == ("slow is left out: 0 of 3 scrapes show it as the plan counts it",)
    wider = replace(ERRORS, thresholds=(Threshold(0.5),))
    assert from_journal(journal, "shop", (wider,)).metrics == (wider,)


def test_a_metric_that_most_scrapes_lack_is_left_out() -> None:
    rare = [scrape()[: 1 + (number == 0)] for number in range(5)]
    assert shown((ERRORS, SLOW), rare, "here").metrics == (ERRORS,)


def test_no_journal_and_a_broken_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="there is no journal at"):
        from_journal(tmp_path / "none.db", "shop", PLANNED)
    (tmp_path / "journal.db").write_text("this is no journal " * 99)
    with pytest.raises(RecordsError):
        from_journal(tmp_path / "journal.db", "shop", PLANNED)
