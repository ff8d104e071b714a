"""What holds over the metrics of a release: one budget of error, exposure, history, the literal rule."""

from __future__ import annotations

import pytest

from engine.judge import Judge, Metric, Outcome, Rules, Threshold, Verdict
from engine.judge.judge import budget_shares
from tests.engine.judge.builders import CHECKOUT, ERRORS, ERRORS_2X, P95, POOL, counted, judge_of, last, past_of, read

WORSE = counted("errors", canary=(1000, 5), stable=(19000, 19))


def looks_until(judge: Judge, outcome: Outcome, sample: object, most: int = 200) -> int:
    for number in range(1, most + 1):
        if last(judge, sample).outcome is outcome:  # type: ignore[arg-type]  # samples of `counted`
            return number
    return most + 1


def test_the_budget_of_error_is_shared_and_critical_metrics_have_two_shares() -> None:
    critical = Metric("errors", "bad", ERRORS.thresholds, weight="critical")
    shown = Metric("login", "bad", (), weight="informational")
    shares = budget_shares((critical, CHECKOUT, P95, POOL, shown))
    assert shares == {"errors": 0.4, "checkout": 0.2, "latency_p95": 0.2, "pool": 0.2}
    verdicts = judge_of(critical, CHECKOUT, P95, POOL).look([WORSE], weight=5, judged=True)
    assert verdicts[0].numbers["evidence_needed"] == pytest.approx(250)
    assert verdicts[1].numbers["evidence_needed"] == pytest.approx(500)


def test_more_metrics_ask_for_more_proof() -> None:
    alone = looks_until(judge_of(ERRORS_2X), Outcome.FAIL, WORSE)
    among = looks_until(judge_of(ERRORS_2X, CHECKOUT, P95, POOL), Outcome.FAIL, WORSE)
    assert alone <= among < 2 * alone + 4


def test_two_metrics_that_are_nearly_proven_are_proven_together() -> None:
    metrics = (ERRORS_2X, CHECKOUT)
    judge = judge_of(*metrics)
    bad_sales = counted("checkout", canary=(300, 14), stable=(6000, 120))
    for _ in range(200):
        verdicts = judge.look([WORSE, bad_sales], weight=5, judged=True)
        if any(verdict.outcome is Outcome.FAIL for verdict in verdicts):
            break
    evidence = [verdict.numbers["evidence"] for verdict in verdicts[:2]]
    assert sum(evidence) / 2 >= 100
    assert [verdict.outcome for verdict in verdicts[:2]].count(Outcome.FAIL) == 1


def test_bad_requests_beyond_the_budget_end_a_release_whatever_the_statistics_say() -> None:
    judge = judge_of(ERRORS, max_bad_requests=20)
    verdict = last(judge, counted("errors", canary=(1000, 6), stable=(19000, 19)), looks=4)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "errors: 20 bad events more than stable would have had, 20 are allowed: budget spent"
    shared = counted("errors", canary=(1000, 6), stable=(19000, 114))
    assert last(judge_of(ERRORS, max_bad_requests=20), shared, looks=50).outcome is not Outcome.FAIL


def test_going_on_in_spite_of_a_proof_asks_for_a_new_one() -> None:
    judge = judge_of(ERRORS)
    broken = counted("errors", canary=(500, 25), stable=(9500, 9))
    last(judge, broken, looks=4)
    judge.enter_stage(1, 25, None)
    assert last(judge, counted("errors", (2500, 2), (7500, 8)), looks=5, weight=25).outcome is Outcome.PASS
    assert last(judge, counted("errors", (2500, 125), (7500, 8)), looks=5, weight=25).outcome is Outcome.FAIL


def test_a_state_of_another_version_starts_anew() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", canary=(500, 25), stable=(9500, 9)), looks=4)
    old = judge.state() | {"version": 1}
    restored = Judge.restore(Rules((ERRORS,)), old)
    assert restored.state() == Judge(Rules((ERRORS,))).state()


def test_a_relative_latency_line_without_a_baseline_is_judged_by_nothing_and_passes_nothing() -> None:
    metric = Metric("p95", "latency", (Threshold(1.5, relative=True),), quantile=0.95)
    verdict = last(judge_of(metric), counted("p95", canary=(500, 5), stable=(9500, 90)), looks=50)
    assert verdict.outcome is Outcome.ERROR
    assert "no baseline" in verdict.reason


def test_a_little_traffic_held_back_on_stable_keeps_the_relative_line() -> None:
    held_back = counted("errors", canary=(9800, 29), stable=(200, 0.2))
    assert last(judge_of(ERRORS_2X, weight=98), held_back, looks=200, weight=98).outcome is Outcome.FAIL
    assert last(judge_of(ERRORS_2X, weight=100), held_back, looks=200, weight=100).outcome is not Outcome.FAIL


def test_a_proof_stays_one_for_the_stage() -> None:
    judge = judge_of(ERRORS)
    last(judge, counted("errors", canary=(500, 25), stable=(9500, 9)), looks=4)
    assert last(judge, counted("errors", canary=(5000, 0), stable=(9500, 9)), looks=20).outcome is Outcome.FAIL


def past(judge: Judge, metric: Metric, share: float, looks: int = 120) -> tuple[Verdict, ...]:
    judge.enter_stage(-1, 0, None)
    for _ in range(looks):
        verdicts = judge.look([counted(metric.name, None, (1000, 1000 * share))], weight=0, judged=False)
    return verdicts


def test_a_past_unlike_the_stated_baseline_is_remarked() -> None:
    judge = Judge(Rules((ERRORS,)))
    verdicts = past(judge, ERRORS, 0.0034)
    assert judge.remarks() == ("errors: the plan says 0.10%, the last 10 min had 0.34%",)
    assert judge.usual() == {"errors": pytest.approx(0.0034)}
    assert verdicts[0].outcome is Outcome.NO_DATA


def test_a_past_beyond_the_line_is_remarked_first() -> None:
    judge = Judge(Rules((ERRORS,)))
    past(judge, ERRORS, 0.03)
    assert judge.remarks() == ("errors 3% (3,600 of 120,000) in the last 10 min: stable itself is past its line",)


def test_a_past_like_the_stated_baseline_is_not() -> None:
    judge = Judge(Rules((ERRORS,)))
    past(judge, ERRORS, 0.0011)
    assert judge.remarks() == ()
    assert Judge(Rules((ERRORS,))).remarks() == ()
    few = Judge(Rules((ERRORS,)))
    past(few, ERRORS, 0.003, looks=1)
    assert few.remarks() == ()


def test_a_pasts_gauge_and_success_are_remarked_in_their_own_units() -> None:
    judge = Judge(Rules((POOL, CHECKOUT)))
    judge.enter_stage(-1, 0, None)
    for _ in range(200):
        judge.look([read("pool", None, 75), counted("checkout", None, (500, 17))], weight=0, judged=False)
    said = judge.remarks()
    assert said[0] == "pool: the plan says 50, the last 17 min had 75"
    assert said[1].startswith("checkout: the plan says 98.00%, the last 17 min had 96.60%")


LITERAL = {"judge": "threshold", "looks": 3}


def test_the_literal_rule_counts_looks_past_the_line() -> None:
    judge = judge_of(ERRORS, min_requests=100, **LITERAL)
    over = counted("errors", canary=(50, 2), stable=(950, 1))
    assert last(judge, over).reason == "hold: 50 of 100 requests; errors 4.00%"
    assert last(judge, over).outcome is Outcome.INCONCLUSIVE
    verdict = last(judge, over)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "errors 4.00%: past its line for 3 looks"
    assert last(judge, counted("errors", (50, 0), (950, 1))).outcome is Outcome.PASS


def test_the_literal_rule_blames_nobody_for_an_incident_on_both() -> None:
    verdict = last(judge_of(ERRORS, **LITERAL), counted("errors", (50, 2), (950, 38)), looks=5)
    assert "incident on both versions" in verdict.reason
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_the_literal_rule_passes_nothing_without_data() -> None:
    judge = judge_of(ERRORS, POOL, **LITERAL)
    assert last(judge, counted("errors", (0, 0), (950, 1))).outcome is Outcome.NO_DATA
    assert last(judge, read("pool", None, 50)).outcome is Outcome.NO_DATA
    assert last(judge, read("pool", 95, 50), looks=3).outcome is Outcome.FAIL
    assert last(judge, read("pool", float("nan"), 50)).outcome is Outcome.ERROR
    relative = Metric("errors", "bad", (Threshold(2, relative=True),))
    assert last(judge_of(relative, **LITERAL), counted("errors", (50, 1), (950, 1)), looks=3).outcome is Outcome.FAIL


def test_history_makes_bursts_known_before_the_first_stage() -> None:
    assert judge_of(ERRORS).look([past_of(ERRORS)], weight=5, judged=True)[0].numbers["phi"] < 1.3
