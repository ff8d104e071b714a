from __future__ import annotations

from math import inf

import pytest

from engine.judge import Metric, Outcome, Verdict
from engine.judge.explain import explain
from engine.judge.forecast import forecast, sentence
from tests.engine.judge.builders import CHECKOUT, ERRORS_2X, P95, POOL, counted, judge_of, last, read


def test_a_slow_first_stage_says_how_long_it_takes() -> None:
    stage = forecast(ERRORS_2X, (5, 1000), rps=12, usual=0.001)
    assert stage.requests_s == pytest.approx(1000 / 0.6)
    assert stage.ratio_s == 0
    said = sentence(ERRORS_2X, stage, 12)
    assert said.startswith("at 12 requests/s the 5% stage needs 28 min to see 1,000 requests and needs 43 min to prove")
    assert said.endswith("; a tripled rate of errors would take 3.3 h to prove")


def test_the_relative_proof_is_due_from_a_quarter_of_traffic_on() -> None:
    stage = forecast(ERRORS_2X, (25, 0), rps=200, usual=0.001)
    assert 0 < stage.line_s < stage.ratio_s == stage.passes_s
    assert forecast(ERRORS_2X, (100, 0), rps=200, usual=0.001).tripled_s == inf


def test_a_line_below_what_stable_shows_can_never_be_proven() -> None:
    said = sentence(CHECKOUT, forecast(CHECKOUT, (5, 0), rps=100, usual=0.05), 100)
    assert "can never prove checkout inside its lines" in said
    free = Metric("login", "bad", ())
    assert "asks for no proof" in sentence(free, forecast(free, (100, 0), rps=9, usual=0.1), 9)
    assert "slow requests (latency_p95)" in sentence(P95, forecast(P95, (5, 0), rps=100, usual=0.02), 100)


def test_a_verdict_is_explained_by_its_numbers() -> None:
    verdict = last(judge_of(ERRORS_2X), counted("errors", (500, 25), (9500, 10)), looks=3)
    said = explain(ERRORS_2X, verdict)
    assert said[0].startswith("fail: errors 5% (50 of 1,000)")
    assert said[1].startswith("canary in this stage: 75 of 1,500 bad (5%), truly between 3.")
    assert said[2] == "stable in this stage: 30 of 28,500 bad (0.105%)"
    assert said[3].startswith("canary to stable over the release: between ")
    assert any(line.startswith("this much traffic shows ") for line in said)
    assert any(line.startswith("evidence of harm: ") for line in said)


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    verdict = last(judge_of(ERRORS_2X), counted("errors", (5, 0), (95, 0)))
    assert "canary to stable over the release: nothing is known yet" in explain(ERRORS_2X, verdict)
    reading = explain(POOL, last(judge_of(POOL), read("pool", 51, 50)))
    assert "canary reads 51" in reading
    blind = Verdict("errors", Outcome.NO_DATA, "no data of errors on either side for 5 s")
    assert explain(ERRORS_2X, blind) == ("no_data: no data of errors on either side for 5 s",)
