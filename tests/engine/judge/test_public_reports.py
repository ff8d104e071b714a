"""What users of other judges have reported, as they reported it: none of it may happen here.

Reports name series of one value a minute; request counts are stated here, since without them no judgement is possible.
"""

from __future__ import annotations

import pytest

from engine.judge import Counts, Metric, Outcome, Sample, Threshold
from tests.engine.judge.builders import ERRORS, ERRORS_2X, P95, POOL, Pair, counted, judge_of, last, read


def minute_by_minute(metric: Metric, canary: list[float], stable: list[float], per_minute: Pair) -> list[Outcome]:
    """Outcomes of bad events per minute, twelve scrapes a minute; `per_minute` are requests of canary and stable."""
    judge = judge_of(metric, weight=50)
    seen = []
    for x_c, x_s in zip(canary, stable, strict=True):
        for scrape in range(12):
            pair = [(n / 12, part(x, scrape)) for n, x in zip(per_minute, (x_c, x_s), strict=True)]
            seen.append(last(judge, counted(metric.name, *pair), weight=50).outcome)
    return seen


def part(events: float, scrape: int) -> float:
    """A few events come in one scrape, the worst case; many are spread over the minute."""
    return events / 12 if events > 12 else events * (scrape == 5)


@pytest.mark.parametrize("requests", [1000, 10_000, 100_000])
def test_rare_errors_against_a_stable_without_any(requests: float) -> None:
    """spinnaker/kayenta#426: [0, 1, 2, 1, 0, 0] against zeros was marked a failure whatever the traffic."""
    outcomes = minute_by_minute(ERRORS_2X, [0, 1, 2, 1, 0, 0], [0] * 6, (requests, requests))
    assert Outcome.FAIL not in outcomes


def test_the_same_errors_in_almost_no_requests_are_no_pass_either() -> None:
    outcomes = minute_by_minute(ERRORS_2X, [0, 1, 2, 1, 0, 0], [0] * 6, (24, 24))
    assert Outcome.PASS not in outcomes


def test_seven_minutes_of_ten_at_a_hundred_times() -> None:
    """kayenta#780: 7 of 10 points at 100 times the baseline passed."""
    canary = [100 if minute < 7 else 1 for minute in range(10)]
    outcomes = minute_by_minute(ERRORS, canary, [1] * 10, (1000, 1000))
    assert Outcome.FAIL in outcomes[: 3 * 12]


def test_latency_of_seven_times_the_baseline() -> None:
    """kayenta#633: +650% latency was not seen. Nearly all requests are then beyond the line."""
    slow = counted("latency_p95", canary=(50, 40), stable=(950, 25))
    assert last(judge_of(P95), slow, looks=3).outcome is Outcome.FAIL


def test_one_error_at_almost_no_traffic() -> None:
    judge = judge_of(ERRORS_2X, min_requests=100)
    quiet = counted("errors", canary=(1, 0), stable=(19, 0))
    assert last(judge, quiet, looks=30).outcome is Outcome.INCONCLUSIVE
    assert last(judge, counted("errors", canary=(1, 1), stable=(19, 0))).outcome is not Outcome.FAIL
    assert last(judge, quiet, looks=30).outcome is not Outcome.FAIL


def test_a_metric_that_does_not_exist() -> None:
    """A misspelt name answers nothing for ever: that was a pass elsewhere."""
    judge = judge_of(ERRORS)
    for _ in range(200):
        verdicts = judge.look([counted("eror_rate", canary=(500, 0), stable=(9500, 9))], weight=5, judged=True)
    assert verdicts[0].outcome is Outcome.NO_DATA
    assert len(verdicts) == 2


def test_an_answer_of_nan() -> None:
    nan = float("nan")
    sample = Sample("errors", 5.0, Counts(1000, 1), Counts(nan, nan, nan, nan))
    assert last(judge_of(ERRORS), sample, looks=100).outcome is Outcome.ERROR
    assert last(judge_of(POOL), read("pool", nan, 50), looks=100).outcome is Outcome.ERROR


def test_an_empty_vector() -> None:
    judge = judge_of(ERRORS, POOL)
    for _ in range(100):
        verdicts = judge.look([], weight=5, judged=True)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.NO_DATA}


def test_counters_that_reset_lose_a_count_and_change_no_verdict() -> None:
    """A restart shows as a small difference on one side; a judge of rates saw a drop or a spike."""
    judge = judge_of(ERRORS_2X, weight=50)
    whole = counted("errors", canary=(500, 1), stable=(500, 1))
    for _ in range(20):
        last(judge, whole, looks=10, weight=50)
        assert last(judge, counted("errors", (3, 0), (500, 1)), weight=50).outcome is not Outcome.FAIL
        assert last(judge, counted("errors", (500, 1), (2, 0)), weight=50).outcome is not Outcome.FAIL


def test_one_blip_now_and_one_an_hour_later() -> None:
    """Flagger's failedChecks is cumulative: two short incidents an hour apart add up to a roll back."""
    judge = judge_of(ERRORS, weight=25)
    calm = counted("errors", canary=(250, 0), stable=(750, 1))
    for _ in range(2):
        blip = last(judge, counted("errors", canary=(250, 25), stable=(750, 75)), looks=6, weight=25)
        assert blip.outcome is Outcome.INCONCLUSIVE
        assert last(judge, calm, looks=720, weight=25).outcome is Outcome.PASS


def test_low_traffic_is_no_failure() -> None:
    """Elsewhere a release is reverted when its minimum sample is not met in time."""
    judge = judge_of(Metric("errors", "bad", (Threshold(0.02),)), min_requests=1000)
    slow = last(judge, counted("errors", canary=(1, 0), stable=(19, 0)), looks=500)
    assert slow.outcome is Outcome.INCONCLUSIVE
    assert slow.reason.startswith("hold: 500 of 1,000 requests")
