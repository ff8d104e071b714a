from __future__ import annotations

import pytest

from engine.judge import Counts, Metric, Outcome, Sample, Threshold
from tests.engine.judge.builders import CHECKOUT, ERRORS, ERRORS_2X, P95, POOL, counted, judge_of, last, read

HEALTHY = counted("errors", canary=(500, 0), stable=(9500, 9))
BROKEN = counted("errors", canary=(500, 25), stable=(9500, 9))


def test_a_failure_says_what_was_seen_against_which_line() -> None:
    verdict = last(judge_of(ERRORS), BROKEN, looks=3)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "errors 5% (50 of 1,000) against a line of 2%, stable 0.0947%: proven"
    assert verdict.alert
    assert verdict.numbers["evidence"] >= verdict.numbers["evidence_needed"] == pytest.approx(100)


def test_no_single_scrape_fails_a_release() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", canary=(500, 500), stable=(9500, 9)))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.alert
    assert "prepare to roll back" in verdict.reason


def test_worse_than_stable_but_inside_the_only_line_is_no_failure() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", canary=(1000, 12), stable=(19000, 19)), looks=40)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith("hold: suspicion")


def test_a_healthy_canary_passes_only_with_its_requests_and_its_proof() -> None:
    judge = judge_of(ERRORS_2X, min_requests=1000)
    few = last(judge, counted("errors", canary=(53, 0), stable=(1000, 1)), looks=4)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.reason.startswith("hold: 5% of the proof against a line of 0.5%")
    judge = judge_of(ERRORS, min_requests=1000)
    few = last(judge, counted("errors", canary=(53, 0), stable=(1000, 1)), looks=4)
    assert few.reason == "hold: 212 of 1,000 requests, about 74 s at this rate; errors 0% (0 of 212)"
    assert few.needed == pytest.approx(0.212)
    passed = last(judge, HEALTHY, looks=4)
    assert passed.outcome is Outcome.PASS
    assert passed.reason == "errors 0% (0 of 2,212): proven inside its lines"


def test_from_a_quarter_of_traffic_on_the_relative_line_must_be_proven_too() -> None:
    judge = judge_of(ERRORS_2X)
    assert last(judge, HEALTHY, looks=3).outcome is Outcome.PASS
    judge.enter_stage(1, 25, None)
    held = last(judge, counted("errors", canary=(500, 0), stable=(1500, 1)), looks=3, weight=25)
    assert held.outcome is Outcome.INCONCLUSIVE
    assert "of the proof against a line of 2x stable" in held.reason
    last(judge, counted("errors", canary=(2500, 2), stable=(7500, 8)), looks=20, weight=25)
    judge.enter_stage(2, 100, None)
    alone = last(judge, counted("errors", canary=(9000, 9), stable=None), looks=3, weight=100)
    assert alone.outcome is Outcome.PASS


def test_twice_the_errors_of_stable_fail_below_the_absolute_line() -> None:
    verdict = last(judge_of(ERRORS_2X), counted("errors", canary=(10000, 30), stable=(190000, 190)), looks=6)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.endswith(", 3x stable's 0.1%; a line of 2x stable: proven worse")


def test_an_incident_on_both_versions_blames_nobody_and_passes_nothing() -> None:
    both = counted("errors", canary=(1000, 60), stable=(19000, 1140))
    verdict = last(judge_of(ERRORS), both, looks=30)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.endswith(": incident on both versions")
    assert not verdict.alert


def test_a_canary_far_worse_in_an_incident_of_both_is_blamed_all_the_same() -> None:
    both = counted("errors", canary=(1000, 600), stable=(19000, 1140))
    assert last(judge_of(ERRORS), both, looks=20).outcome is Outcome.FAIL


def test_a_late_fault_is_found_within_half_a_minute() -> None:
    judge = judge_of(ERRORS)
    last(judge, HEALTHY, looks=90)
    verdict = last(judge, BROKEN, looks=6)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("errors 5%")


def test_successes_are_judged_by_their_failures() -> None:
    verdict = last(judge_of(CHECKOUT), counted("checkout", canary=(634, 75), stable=(12000, 240)), looks=3)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "checkout 88.2% (150 of 1,268 failed) against a line of 96%, stable 98%: proven"


def test_a_success_line_relative_to_stable() -> None:
    metric = Metric("checkout", "good", (Threshold(0.98, relative=True, above=False),), baseline=0.98)
    assert last(judge_of(metric), counted("checkout", (2000, 120), (30000, 600)), looks=5).outcome is Outcome.FAIL
    assert (
        last(judge_of(metric, weight=50), counted("checkout", (2000, 41), (2000, 40)), looks=9).outcome is Outcome.PASS
    )


def test_a_quantile_is_a_share_of_slow_requests() -> None:
    verdict = last(judge_of(P95), counted("latency_p95", canary=(634, 90), stable=(12000, 320)), looks=3)
    assert verdict.outcome is Outcome.FAIL
    seen = "latency_p95 14.2% slower than 250 ms (180 of 1,268)"
    assert verdict.reason == f"{seen} against at most 5% allowed, stable 2.67%: proven"


def test_a_relative_latency_line_moves_the_cut_not_the_share() -> None:
    lines = (Threshold(0.25), Threshold(1.5, relative=True))
    assert Metric("p95", "latency", lines, baseline=0.15, quantile=0.95).cut == pytest.approx(0.225)
    assert Metric("p95", "latency", lines, baseline=0.30, quantile=0.95).cut == 0.25
    assert Metric("p95", "latency", lines, quantile=0.95).cut == 0.25


def test_health_needs_the_upper_estimate_of_a_histogram() -> None:
    canary = Counts(total=2000, bad=30, bad_low=140)
    sample = Sample("latency_p95", 5.0, Counts(total=38000, bad=600, bad_low=600), canary)
    assert last(judge_of(P95), sample, looks=20).outcome is Outcome.INCONCLUSIVE
    sharp = Sample("latency_p95", 5.0, Counts(total=38000, bad=600, bad_low=600), Counts(2000, 30, 30))
    assert last(judge_of(P95), sharp, looks=20).outcome is Outcome.PASS


def test_a_gauge_that_stays_past_its_line_fails_and_a_spike_does_not() -> None:
    judge = judge_of(POOL)
    spike = last(judge, read("pool", 95, 50), looks=6)
    assert spike.outcome is Outcome.INCONCLUSIVE
    assert spike.reason == "hold: pool 95 against a line of 80, past it for 30 s, not yet proven"
    assert spike.alert
    assert last(judge, read("pool", 60, 50), looks=6).outcome is Outcome.PASS
    verdict = last(judge, read("pool", 95, 50), looks=24)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "pool 95 against a line of 80: past it for 120 s: proven"


def test_a_gauge_past_its_line_on_both_sides_is_an_incident_on_both() -> None:
    verdict = last(judge_of(POOL), read("pool", 95, 92), looks=50)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "incident on both versions" in verdict.reason


def test_a_gauge_relative_to_stable() -> None:
    metric = Metric("cpu", "gauge", (Threshold(1.5, relative=True),), baseline=0.4)
    assert last(judge_of(metric), read("cpu", 0.9, 0.4), looks=30).outcome is Outcome.FAIL
    assert last(judge_of(metric), read("cpu", 0.9, 0.7), looks=30).outcome is Outcome.PASS


@pytest.mark.parametrize("reading", [float("nan"), float("inf")])
def test_a_gauge_that_is_no_number_is_an_error(reading: float) -> None:
    assert last(judge_of(POOL), read("pool", reading, 50), looks=9).outcome is Outcome.ERROR


@pytest.mark.parametrize("canary", [(float("nan"), 0), (100, float("nan")), (-5, 0), (10, 11), (float("inf"), 0)])
def test_counts_that_cannot_be_are_an_error_and_leave_no_trace(canary: tuple[float, float]) -> None:
    judge = judge_of(ERRORS)
    assert last(judge, counted("errors", canary=canary, stable=(1000, 1))).outcome is Outcome.ERROR
    assert last(judge, HEALTHY, looks=3).outcome is Outcome.PASS


def test_what_the_source_warns_of_is_never_a_pass() -> None:
    judge = judge_of(ERRORS)
    last(judge, HEALTHY, looks=5)
    sample = Sample("errors", 5.0, Counts(total=100), Counts(total=100), problem="two series for one version")
    verdict = last(judge, sample)
    assert verdict.outcome is Outcome.ERROR
    assert "two series for one version" in verdict.reason


def test_data_of_the_warmup_prove_no_health_but_harm() -> None:
    judge = judge_of(ERRORS)
    assert last(judge, HEALTHY, looks=20, judged=False).outcome is Outcome.NO_DATA
    assert last(judge, BROKEN, looks=4, judged=False).outcome is Outcome.FAIL


def test_requests_of_the_warmup_do_not_count_as_the_least() -> None:
    judge = judge_of(ERRORS, min_requests=1000)
    last(judge, HEALTHY, looks=5, judged=False)
    assert last(judge, HEALTHY).reason.startswith("hold: 500 of 1,000 requests")


def test_a_metric_with_only_a_relative_line_says_that_none_counts_without_a_control() -> None:
    metric = Metric("errors", "bad", (Threshold(2, relative=True),), baseline=0.001)
    verdict = last(judge_of(metric, weight=100), counted("errors", (5000, 5), None), looks=2, weight=100)
    assert verdict.outcome is Outcome.PASS
    assert verdict.reason.endswith("no line of it counts without a control")


def test_a_slow_start_is_no_harm() -> None:
    judge = judge_of(P95)
    cold = counted("latency_p95", canary=(500, 400), stable=(5000, 100))
    assert last(judge, cold, looks=20, judged=False).outcome is Outcome.NO_DATA
    warm = counted("latency_p95", canary=(500, 10), stable=(5000, 100))
    assert last(judge, warm, looks=5).outcome is Outcome.PASS


def test_the_alert_rings_once_in_a_stage_and_clears_by_itself() -> None:
    judge = judge_of(ERRORS)
    blow = counted("errors", canary=(200, 9), stable=(4000, 4))
    calm = counted("errors", canary=(800, 0), stable=(8000, 8))
    assert last(judge, blow).alert
    assert last(judge, calm, looks=2).alert
    assert not last(judge, calm).alert
    assert not last(judge, calm, looks=8).alert
    assert not last(judge, blow).alert


def test_the_alert_needs_more_than_a_value_past_its_line() -> None:
    few = last(judge_of(ERRORS), counted("errors", canary=(20, 1), stable=(800, 1)))
    assert not few.alert
    assert few.canary.bad / few.canary.total > 0.02
    shared = last(judge_of(ERRORS), counted("errors", canary=(200, 9), stable=(4000, 180)), looks=20)
    assert not shared.alert


def test_a_metric_without_a_line_is_shown_and_judged_by_nothing() -> None:
    metric = Metric("login", "bad", (), weight="informational")
    verdict = last(judge_of(metric), counted("login", canary=(500, 400), stable=(9500, 9)), looks=20)
    assert verdict.outcome is Outcome.PASS
    assert verdict.reason.endswith("it has no line")


def test_a_verdict_carries_the_numbers_behind_it() -> None:
    numbers = last(judge_of(ERRORS_2X), counted("errors", (1000, 1), (9000, 9)), looks=20).numbers
    assert numbers["canary_share_low"] <= numbers["canary_share"] <= numbers["canary_share_high"] < 0.005
    assert numbers["ratio_low"] < 1 < numbers["ratio_high"]
    assert numbers["smallest_ratio_shown"] > 2
    assert numbers["phi"] >= 1
    assert numbers["evidence"] < 1
