"""One side that can't be read for a scrape: no alarm yet, and nothing of the other side is lost."""

from __future__ import annotations

from engine.judge import Judge, Metric, Outcome, Sample, Threshold, Verdict
from engine.judge import Rules as JudgeRules
from engine.judge.metric import Counts

ERRORS = Metric("errors", "bad", (Threshold(0.02),))


def judge_at(weight: int) -> Judge:
    judge = Judge(JudgeRules((ERRORS,), 2.0))
    judge.enter_stage(0, weight, 100)
    return judge


def look(judge: Judge, stable: Counts | None, canary: Counts | None, weight: float = 25) -> dict[str, Verdict]:
    verdicts = judge.look([Sample("errors", 2.0, stable, canary)], weight=weight, judged=True)
    return {verdict.metric: verdict for verdict in verdicts}


def test_a_canary_that_is_not_read_once_is_not_silent() -> None:
    judge = judge_at(25)
    look(judge, Counts(900), Counts(300))
    assert look(judge, Counts(900), None)["liveness"].outcome is Outcome.NO_DATA
    assert look(judge, Counts(900), Counts(600))["liveness"].outcome is Outcome.PASS


def test_a_canary_that_is_not_read_three_times_is_gone() -> None:
    judge = judge_at(25)
    look(judge, Counts(900), Counts(300))
    outcomes = [look(judge, Counts(900), None)["liveness"].outcome for _ in range(3)]
    assert outcomes == [Outcome.NO_DATA, Outcome.NO_DATA, Outcome.FAIL]


def test_a_canary_that_is_read_and_shows_no_request_is_silent() -> None:
    judge = judge_at(25)
    look(judge, Counts(900), Counts())
    assert look(judge, Counts(900), Counts())["liveness"].outcome is Outcome.FAIL


def test_the_first_look_after_a_shift_convicts_nobody_for_what_was_before_it() -> None:
    judge = judge_at(5)
    assert look(judge, Counts(4500), Counts(), weight=5)["liveness"].outcome is Outcome.NO_DATA
    look(judge, Counts(4500), Counts(200), weight=5)
    judge.enter_stage(1, 25, 100)
    assert look(judge, Counts(90000), Counts(), weight=25)["liveness"].outcome is Outcome.NO_DATA


def test_an_incident_on_both_sides_is_seen_though_the_canary_was_not_read_in_its_first_scrape() -> None:
    judge = judge_at(25)
    look(judge, Counts(900), Counts(300))
    assert look(judge, Counts(900, 300, 300), None)["errors"].outcome is Outcome.NO_DATA
    verdict = look(judge, Counts(900, 0), Counts(600, 100, 100))["errors"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "both versions" in verdict.reason


def test_a_gauge_that_is_read_is_no_request_of_the_canary() -> None:
    pool = Metric("pool", "gauge", (Threshold(80.0),))
    judge = Judge(JudgeRules((ERRORS, pool), 2.0))
    judge.enter_stage(0, 25, 100)
    reading = Sample("pool", 2.0, Counts(1, value=50.0), Counts(1, value=50.0))
    scrape = [Sample("errors", 2.0, Counts(900), Counts()), reading]
    judge.look(scrape, weight=25, judged=True)
    silent = judge.look(scrape, weight=25, judged=True)[-1]
    assert (silent.metric, silent.outcome) == ("liveness", Outcome.FAIL)


def test_in_a_plan_of_gauges_alone_a_canary_that_is_read_is_there() -> None:
    pool = Metric("pool", "gauge", (Threshold(80.0),))
    judge = Judge(JudgeRules((pool,), 2.0))
    judge.enter_stage(0, 25, 0)
    reading = Sample("pool", 2.0, Counts(1, value=50.0), Counts(1, value=50.0))
    assert judge.look([reading], weight=25, judged=True)[-1].outcome is Outcome.PASS
