from __future__ import annotations

from engine.judge import Judge, Outcome, Sample, Verdict
from tests.engine.judge.builders import ERRORS, POOL, counted, judge_of, last, read

SILENT = counted("errors", canary=(0, 0), stable=(200, 0))


def liveness(judge: Judge, sample: Sample, looks: int, weight: float = 5) -> Verdict:
    for _ in range(looks):
        verdicts = judge.look([sample], weight=weight, judged=True)
    assert verdicts[-1].metric == "liveness"
    return verdicts[-1]


def test_blindness_says_since_when() -> None:
    verdict = last(judge_of(ERRORS), counted("errors", None, None), looks=4)
    assert verdict.outcome is Outcome.NO_DATA
    assert verdict.reason == "no data of errors on either side for 20 s"


def test_a_metric_that_is_not_in_the_answer_has_no_data() -> None:
    verdicts = judge_of(ERRORS, POOL).look([], weight=5, judged=True)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.NO_DATA] * 3


def test_one_side_unread_is_no_data_even_after_a_pass() -> None:
    judge = judge_of(ERRORS)
    assert last(judge, counted("errors", (5000, 5), (5000, 5)), looks=3).outcome is Outcome.PASS
    assert last(judge, counted("errors", (5000, 5), None)).reason == "no data of errors on stable for 5 s"
    assert last(judge, counted("errors", None, (5000, 5))).reason == "no data of errors on canary for 10 s"


def test_traffic_that_ends_on_both_sides_stops_passing() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", (5000, 5), (5000, 5)))
    assert last(judge, counted("errors", (0, 0), (0, 0)), looks=3).outcome is Outcome.NO_DATA


def test_a_breach_stays_one_when_the_source_falls_silent() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", (600, 60), (12000, 12)), looks=3)
    assert last(judge, counted("errors", None, None)).outcome is Outcome.FAIL


def test_a_gauge_that_is_not_read_says_so() -> None:
    assert last(judge_of(POOL), read("pool", None, 50), looks=2).reason == "no reading of pool on canary for 10 s"
    assert last(judge_of(POOL), read("pool", None, None)).reason == "no reading of pool on either side for 5 s"


def test_a_canary_that_should_have_had_fifty_requests_and_shows_none_is_dead() -> None:
    judge = judge_of(ERRORS)
    assert liveness(judge, SILENT, looks=5).outcome is Outcome.NO_DATA  # the first look is mostly from before the shift
    verdict = liveness(judge, SILENT, looks=1)
    assert verdict.outcome is Outcome.FAIL
    assert "should have had 53 requests and shows none" in verdict.reason


def test_a_canary_whose_metrics_are_gone_for_three_scrapes_is_dead() -> None:
    judge = judge_of(ERRORS)
    assert liveness(judge, counted("errors", (10, 0), (200, 0)), looks=5).outcome is Outcome.PASS
    gone = counted("errors", None, (20, 0))
    assert liveness(judge, gone, looks=2).outcome is Outcome.NO_DATA
    assert liveness(judge, gone, looks=1).outcome is Outcome.FAIL
    assert liveness(judge, counted("errors", (1, 0), (20, 0)), looks=1).outcome is Outcome.PASS


def test_a_canary_without_weight_is_not_expected_to_answer() -> None:
    assert liveness(judge_of(ERRORS, weight=0), SILENT, looks=500, weight=0).outcome is Outcome.NO_DATA


def test_a_blind_source_is_no_dead_canary() -> None:
    assert liveness(judge_of(ERRORS), counted("errors", None, None), looks=500).outcome is Outcome.NO_DATA
