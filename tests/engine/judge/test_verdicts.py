from __future__ import annotations

import pytest

from engine.judge import Counts, Metric, Outcome, Sample, Threshold
from tests.engine.judge.builders import CHECKOUT, ERRORS, ERRORS_2X, P95, POOL, counted, judge_of, last, read


def test_a_breach_is_proven_by_counts_and_said_with_them() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", canary=(634, 31), stable=(12000, 12)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "errors 4.89% (31 of 634) against a line of 2%: proven"
    assert verdict.alert


def test_one_error_among_few_requests_is_no_breach_however_high_the_rate() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", canary=(10, 1), stable=(190, 0)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not yet proven" in verdict.reason


def test_a_healthy_canary_passes_only_with_its_requests() -> None:
    judge = judge_of(ERRORS, min_requests=1000)
    few = last(judge, counted("errors", canary=(212, 0), stable=(4000, 4)))
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.reason.startswith("212 of 1,000 requests")
    assert few.needed == pytest.approx(0.212)
    assert last(judge, counted("errors", canary=(800, 1), stable=(4000, 4))).outcome is Outcome.PASS


def test_a_relative_line_is_proven_against_stable_at_the_same_time() -> None:
    verdict = last(judge_of(ERRORS_2X), counted("errors", canary=(20000, 90), stable=(380000, 380)))
    assert verdict.outcome is Outcome.FAIL
    assert "2x stable" in verdict.reason
    both_up = last(judge_of(ERRORS_2X), counted("errors", canary=(20000, 90), stable=(380000, 1600)))
    assert both_up.outcome is Outcome.PASS


def test_without_a_control_only_absolute_lines_count() -> None:
    judge = judge_of(ERRORS_2X, weight=100)
    assert last(judge, counted("errors", canary=(20000, 90), stable=None), weight=100).outcome is Outcome.PASS
    assert last(judge, counted("errors", canary=(20000, 900), stable=None), weight=100).outcome is Outcome.FAIL


def test_an_incident_on_both_versions_blames_nobody() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", canary=(1000, 60), stable=(19000, 1140)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "incident on both versions" in verdict.reason


def test_a_new_stage_counts_anew() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", canary=(634, 31), stable=(12000, 12)))
    judge.enter_stage(1, 25, None)
    assert last(judge, counted("errors", canary=(3000, 3), stable=(9000, 9)), weight=25).outcome is Outcome.PASS


def test_successes_are_judged_by_their_failures() -> None:
    verdict = last(judge_of(CHECKOUT), counted("checkout", canary=(634, 75), stable=(12000, 240)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "checkout 88.2% (75 of 634 failed) against a line of 96%: proven"


def test_a_success_line_relative_to_stable() -> None:
    metric = Metric("checkout", "good", (Threshold(0.98, relative=True, above=False),))
    assert last(judge_of(metric), counted("checkout", (2000, 120), (30000, 600))).outcome is Outcome.FAIL
    assert last(judge_of(metric), counted("checkout", (2000, 50), (30000, 600))).outcome is Outcome.PASS


def test_a_quantile_is_a_share_of_slow_requests() -> None:
    verdict = last(judge_of(P95), counted("latency_p95", canary=(634, 90), stable=(12000, 320)))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "latency_p95 14.2% slower than 250 ms (90 of 634) against at most 5% allowed: proven"


def test_a_relative_latency_line_moves_the_cut_not_the_share() -> None:
    lines = (Threshold(0.25), Threshold(1.5, relative=True))
    assert Metric("p95", "latency", lines, baseline=0.15, quantile=0.95).cut == pytest.approx(0.225)
    assert Metric("p95", "latency", lines, baseline=0.30, quantile=0.95).cut == 0.25
    assert Metric("p95", "latency", lines, quantile=0.95).cut == 0.25


def test_health_needs_the_upper_estimate_of_a_histogram() -> None:
    canary = Counts(total=2000, bad=60, bad_low=140)
    sample = Sample("latency_p95", 5.0, Counts(total=38000, bad=900, bad_low=900), canary)
    assert last(judge_of(P95), sample).outcome is Outcome.INCONCLUSIVE


def test_a_gauge_fails_after_three_readings_in_a_row() -> None:
    judge = judge_of(POOL)
    assert last(judge, read("pool", 95, 50), looks=2).outcome is Outcome.INCONCLUSIVE
    assert last(judge, read("pool", 60, 50)).outcome is Outcome.INCONCLUSIVE
    assert last(judge, read("pool", 95, 50), looks=2).outcome is Outcome.INCONCLUSIVE
    verdict = last(judge, read("pool", 95, 50))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "pool 95 against a line of 80: past it for 3 readings in a row"
    assert last(judge, read("pool", 60, 50), looks=3).outcome is Outcome.PASS


def test_a_gauge_past_its_line_on_both_sides_is_an_incident_on_both() -> None:
    verdict = last(judge_of(POOL), read("pool", 95, 92), looks=5)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "incident on both versions" in verdict.reason


@pytest.mark.parametrize("reading", [float("nan"), float("inf")])
def test_a_gauge_that_is_no_number_is_an_error(reading: float) -> None:
    assert last(judge_of(POOL), read("pool", reading, 50), looks=5).outcome is Outcome.ERROR


@pytest.mark.parametrize("canary", [(float("nan"), 0), (100, float("nan")), (-5, 0), (10, 11), (float("inf"), 0)])
def test_counts_that_cannot_be_are_an_error(canary: tuple[float, float]) -> None:
    judge = judge_of(ERRORS)
    assert last(judge, counted("errors", canary=canary, stable=(1000, 1))).outcome is Outcome.ERROR
    assert last(judge, counted("errors", canary=(1000, 1), stable=(1000, 1))).outcome is Outcome.PASS


def test_what_the_source_warns_of_is_never_a_pass() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", canary=(5000, 0), stable=(5000, 5)))
    sample = Sample("errors", 5.0, Counts(total=100), Counts(total=100), problem="two series for one version")
    verdict = last(judge, sample)
    assert verdict.outcome is Outcome.ERROR
    assert "two series for one version" in verdict.reason


def test_data_of_the_warmup_prove_no_health_but_harm() -> None:
    judge = judge_of(ERRORS)
    healthy = counted("errors", canary=(5000, 5), stable=(5000, 5))
    assert last(judge, healthy, judged=False).outcome is Outcome.NO_DATA
    broken = counted("errors", canary=(500, 500), stable=(5000, 5))
    assert last(judge, broken, judged=False).outcome is Outcome.FAIL


def test_a_slow_start_is_no_harm() -> None:
    judge = judge_of(P95)
    cold = counted("latency_p95", canary=(500, 400), stable=(5000, 100))
    assert last(judge, cold, judged=False).outcome is Outcome.NO_DATA
    warm = counted("latency_p95", canary=(500, 10), stable=(5000, 100))
    assert last(judge, warm).outcome is Outcome.PASS


def test_the_alert_needs_more_than_a_value_past_its_line_and_rings_once() -> None:
    judge = judge_of(ERRORS)
    assert not last(judge, counted("errors", canary=(40, 1), stable=(800, 1))).alert
    assert last(judge, counted("errors", canary=(100, 6), stable=(2000, 2))).alert
    assert last(judge, counted("errors", canary=(800, 0), stable=(8000, 8)), looks=2).alert
    assert not last(judge, counted("errors", canary=(800, 0), stable=(8000, 8))).alert
    assert not last(judge, counted("errors", canary=(1300, 60), stable=(8000, 8))).alert
