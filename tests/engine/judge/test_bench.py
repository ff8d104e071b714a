"""The simulator judges what the engine judges: both answer alike, scrape by scrape."""

from __future__ import annotations

import pytest

from bench.judge import ALPHA, BETA, STAGE_S, detection, missed, wald_s
from bench.judge_adapter import factory
from bench.judge_world import SECONDS, SHARES, Case, World
from engine.judge import Counts, Judge, Metric, Outcome, Rules, Sample, Threshold

METRIC = Metric("errors", "bad", (Threshold(0.005), Threshold(2.0, relative=True)), baseline=0.001)
CASES = (
    Case("healthy", 200),
    Case("healthy clusters", 400, noise="clusters"),
    Case("healthy blips drift", 200, noise="blips drift"),
    Case("faulty", 200, canary=0.006),
    Case("faulty in mid-stage", 500, canary=0.05, onset=(1, 450.0)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_adapter_and_the_whole_judge_agree(case: Case) -> None:
    world, judge = World(case, 1), Judge(Rules((METRIC,), SECONDS, alpha=ALPHA, beta=BETA))
    spec = {"kind": "proportion", "baseline": 0.001, "threshold": 0.005, "ratio": 2.0, "alpha": ALPHA, "beta": BETA}
    drive = factory(spec | {"stages": list(SHARES), "min_requests": 1000})
    judge.enter_stage(-1, 0, None)
    for total, bad in world.past(1800):
        drive(-1, SECONDS, total, bad, 0, 0)
        judge.look([Sample("errors", SECONDS, Counts(total, bad, bad), None)], weight=0, judged=False)
    said = {Outcome.PASS: "advance", Outcome.FAIL: "rollback"}
    for stage, share in enumerate(SHARES[:2]):
        judge.enter_stage(stage, 100 * share, 1000)
        for scrape in range(int(STAGE_S / SECONDS)):
            _, n_s, x_s, n_c, x_c = world.scrape(stage, scrape * SECONDS)
            answer = drive(stage, SECONDS, n_s, x_s, n_c, x_c)
            sample = Sample("errors", SECONDS, Counts(n_s, x_s, x_s), Counts(n_c, x_c, x_c))
            verdict = judge.look([sample], weight=100 * share, judged=True)[0]
            if verdict.outcome is Outcome.FAIL:
                assert answer == "rollback"
                assert case.canary
                return
            if answer == "advance" and not (verdict.alert or "incident on both" in verdict.reason):
                assert said[verdict.outcome] == answer
    assert not case.canary


def test_a_fault_is_found_close_to_the_bound() -> None:
    rows = [row for row in detection(3) if row["judge"] == "laneshift"]
    assert all(row["caught"] == 1 for row in rows)
    assert missed([], rows, []) == []
    assert wald_s(Case("1%", 200, canary=0.01)) == pytest.approx(44.2, rel=0.01)


def test_a_missed_goal_is_named() -> None:
    row = {"judge": "laneshift", "case": "iid", "rolled_back": 0.1}
    assert missed([row], [], [{"case": "iid", "rings": 0.2}]) == ["rolls back iid", "rings in iid"]
