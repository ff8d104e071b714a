"""Releases replayed over recorded scrapes of a stable that serves 400 requests/s, 0.2% of them bad."""

from __future__ import annotations

import random

import pytest

from engine.judge import Counts, Metric, Rules, Sample, Threshold
from engine.judge.backtest import Backtest, StagePlan, backtest
from engine.past import replays
from engine.past.recorded import Recorded, RecordsError
from engine.past.replays import Course, Replays, at_most, injections, quantile

ERRORS = Metric("errors", "bad", (Threshold(0.02),), baseline=0.002)
STAGES = (StagePlan(25, 60, 100), StagePlan(50, 60, 100))
COURSE = Course(Rules((ERRORS,)), STAGES, warmup_s=0.0, past_s=300.0)


def recorded(scrapes: int = 260, share: float = 0.002) -> Recorded:
    rng = random.Random(5)
    bad = [float(sum(rng.random() < share for _ in range(2000))) for _ in range(scrapes)]
    samples = [(Sample("errors", 5.0, Counts(2000, count, count, count / 2000), None),) for count in bad]
    return Recorded(tuple(samples), (ERRORS,), "here")


def run(records: Recorded, releases: int = 10, left: float = 1.0):
    return Replays(COURSE, records).run(releases, lambda: left, lambda _said: None)


def test_healthy_releases_are_promoted_and_grave_faults_are_not() -> None:
    results = run(recorded())
    assert (results.healthy.releases, results.healthy.passed, results.healthy.failed) == (10, 10, {})
    assert len(results.healthy.first_stage_s) == 10
    grave = results.faults[-1]
    assert grave.fault.times == 20
    assert grave.found.failed == {"errors": 1}
    assert all(one.found.passed == 0 or one.share < 0.02 for one in results.faults)


def test_the_same_records_give_the_same_results() -> None:
    assert run(recorded(120), 3) == run(recorded(120), 3)


def test_however_few_replays_there_is_time_for_they_begin_all_over_the_records(monkeypatch) -> None:
    begun: list[int] = []
    scrapes = recorded(1000)
    places = {id(scrape): index for index, scrape in enumerate(scrapes.scrapes)}

    def seen(*given, **more) -> Backtest:
        begun.append(places[id(given[2][0])])
        return backtest(*given, **more)

    monkeypatch.setattr(replays, "backtest", seen)
    time_left = iter([1.0] * 7 + [0.0] * 9)
    told: list[str] = []
    results = Replays(COURSE, scrapes).run(200, lambda: next(time_left), told.append)
    assert results.healthy.releases == len(begun) == 8
    in_quarters = [sum(quarter * 223 <= one < (quarter + 1) * 223 for one in begun) for quarter in range(4)]
    assert min(in_quarters) >= 1
    assert max(in_quarters) <= 3
    assert told[-1] == "8 of 200 healthy releases"


def test_when_the_time_is_over_there_is_one_healthy_release_at_least() -> None:
    results = run(recorded(120), left=0.0)
    assert results.healthy.releases == 1
    assert all(one.found.releases == 0 for one in results.faults)


def test_too_little_recorded_says_how_much_there_is_and_is_needed() -> None:
    with pytest.raises(RecordsError, match=r"^2m of stable are recorded, and replaying this plan takes 2m40s or more"):
        Replays(COURSE, recorded(24))
    with pytest.raises(RecordsError, match="0s of stable are recorded"):
        Replays(COURSE, Recorded((), (), "nowhere"))
    assert Replays(COURSE, recorded(33)).past_s == pytest.approx(33 * 5 / 4)


def test_no_multiple_of_nothing_is_tried() -> None:
    results = run(recorded(120, share=0.0), 1)
    assert results.faults == []
    [remark] = results.remarks
    assert remark.startswith("no fault of errors is tried")


@pytest.mark.parametrize(
    ("usual", "times", "at_line"),
    [
        (0.001, [2, 5, 20], [20]),
        (0.01, [2, 5, 20], [2]),
        (0.004, [2, 5, 20], [5]),
        (0.03, [2, 5, 20], []),
        (0.3, [2], []),
    ],
)
def test_faults_are_multiples_below_all_and_the_line_itself(usual, times, at_line) -> None:
    found = injections(ERRORS, usual)
    assert [one.fault.times for one in found] == times
    assert [one.fault.times for one in found if one.at_line] == at_line
    assert all(one.share == pytest.approx(one.fault.times * usual) for one in found)
    assert 8.0 in [one.fault.times for one in injections(ERRORS, 0.0025)]


def test_what_is_said_of_chance() -> None:
    assert at_most(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert at_most(3, 200) == pytest.approx(0.0383, abs=1e-4)  # as tables of the exact binomial bound have it
    assert at_most(7, 7) == 1.0
    assert quantile([], 0.95) is None
    assert quantile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert quantile([float(number) for number in range(1, 101)], 0.95) == 95.0
