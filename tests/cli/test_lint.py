"""`laneshift lint`: 0 and what would happen for a valid plan, 2 and every fault for an invalid one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import sample_configs
from cli.lint import lint
from engine.plan import read_plan

FULL = str(sample_configs.path("sandbox-full.yaml"))


def run(*arguments: str):
    return CliRunner().invoke(lint, arguments)


def test_a_valid_plan_is_told_stage_by_stage():
    result = run(FULL)
    assert result.exit_code == 0
    for words in (
        "sandbox-full.yaml is valid: shop v1.5.0; digest",
        "stage 1     5% for 15m of which 1m warmup, 1,000 requests or more",
        "stage 4   100% for 1h",
        "then an operator advances",
        "checks: the canary is up, products are shown in time",
        "1h45m at least",
        "error_rate        > 0.5%, > 2x baseline; critical; when it fails: roll back",
        "cpu               shown only",
        "within 2m; after 5m it counts as failed",
        "nothing was found",
    ):
        assert words in result.stdout


def test_what_is_unwise_is_told_and_the_plan_stays_valid():
    result = run(str(sample_configs.path("sandbox.yaml")))
    assert result.exit_code == 0
    assert "stages[0].bake: 40s is short" in result.stdout
    assert "nothing was found" not in result.stdout


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"advance": "auto"}, "then the engine advances"),
        ({"until": "either"}, "at most for the bakes"),
        ({"on_fail": "hold"}, "none, they hold"),
        ({"blind": {"after": "3m", "then": "rollback"}}, "no data of either version for 3m"),
        ({"version": None}, "its version named at the start"),
    ],
)
def test_what_a_plan_says_is_what_lint_tells(tmp_path: Path, changes, words):
    plan = tmp_path / "plan.yaml"
    plan.write_text(json.dumps(read_plan(Path(FULL)).written() | changes))
    assert words in run(str(plan)).stdout


def test_json_is_one_object_with_the_same():
    said = json.loads(run(FULL, "--json").stdout)
    assert said["valid"] is True
    assert said["least_s"] == 6300
    assert said["stages"][0] == {"weight": 5, "warmup_s": 60, "bake_s": 900, "min_requests": 1000}
    assert said["metrics"]["error_rate"] == {
        "kind": "bad",
        "lines": ["> 0.5%", "> 2x baseline"],
        "weight": "critical",
        "on_fail": "rollback",
    }
    assert said["advice"] == []


def test_an_invalid_plan_ends_with_2_and_all_its_faults(tmp_path: Path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("servce: shop\nkeep_old: 60\n")
    result = run(str(plan))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{plan}:1:1: servce: found an unknown key" in result.stderr
    assert f"{plan}:2:11: keep_old: found 60" in result.stderr
    said = json.loads(run(str(plan), "--json").stdout)
    assert said["valid"] is False
    assert {problem["key"] for problem in said["problems"]} >= {"servce", "service", "keep_old", "metrics"}
    assert said["problems"][-1]["line"] == 2


def test_a_plan_that_is_not_there_ends_with_2(tmp_path: Path):
    result = run(str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr
