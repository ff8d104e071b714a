"""`laneshift lint`: 0 and what would happen for a valid plan, 2 and every fault for an invalid one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import sample_configs
from cli.lint import lint
from engine.codec import encode
from engine.journal.records import Record
from engine.journal.store import Journal
from engine.judge import Counts, Sample
from engine.plan.model import read_plan

FULL = str(sample_configs.path("sandbox-full.yaml"))


@pytest.fixture(autouse=True)
def nothing_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder without a journal."""
    monkeypatch.setenv("LANESHIFT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


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


def test_what_people_must_say_is_told_where_they_must():
    result = run(str(sample_configs.path("production.yaml")))
    assert result.exit_code == 0
    for words in (
        "only by an engine that comes back by itself",
        "ticked or waived\n            gate: one person approves within 4h; else it holds until a retry opens it anew",
        "gate: 2 different people approve within 2h; else it rolls back\n            then an operator advances",
        "a gate at which nobody decides in time",
        "by hand: only oncall; anybody by breaking the glass",
        "nothing was found",
    ):
        assert words in result.stdout
    said = json.loads(run("--json", str(sample_configs.path("production.yaml"))).stdout)
    assert (said["production"], said["rollback_who"]) == (True, ["oncall"])
    assert said["stages"][2]["gate"] == {"approvers": 2, "expires_s": 7200.0, "then": "rollback"}


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
        ({"holdback": "2%"}, "stage 4    98% for 1h"),
        ({"holdback": "2%"}, "the 2% that stable kept as a control go to the canary too"),
        ({"judge": "threshold", "looks": 5}, "a line crossed in 5 scrapes in a row"),
        ({"max_bad_requests": 2000}, "2,000 bad requests of the canary beyond stable's rate"),
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


def test_without_any_traffic_known_it_says_what_to_give():
    assert "give its requests per second by --rps" in run(FULL).stdout
    assert json.loads(run(FULL, "--json").stdout)["traffic"] is None


def test_what_traffic_can_prove_and_what_is_unwise_at_it():
    said = " ".join(run(FULL, "--rps", "12").stdout.split())
    assert (
        "at 12 requests/s the 5% stage needs 28 min to see 1,000 requests and needs 43 min to prove error_rate" in said
    )
    assert "nothing can be said of latency_p95, latency_p99" in said
    assert "stages[0].bake: 14m judged are short at this traffic: to prove error_rate inside its lines takes" in said
    assert "nothing was found" in run(FULL, "--rps", "3000").stdout
    assert run(FULL, "--rps", "0").exit_code == 2


def test_what_is_recorded_of_this_service_is_its_traffic(nothing_recorded: Path):
    metrics = read_plan(Path(FULL)).judge_metrics()
    both = [Counts(total, bad, bad) for total, bad in ((900, 3), (100, 1))]
    look = {"samples": encode([Sample("error_rate", 5.0, *both), Sample("checkout_success", 5.0, *both)])}
    with Journal.open(nothing_recorded / "journal.db") as journal:
        journal.create_release("shop-1", "shop", "shop", 1000.0)
        first = Record(1, 1000.0, "Created", {"rules": {"metrics": encode(metrics)}})
        journal.append("shop-1", [first, *(Record(seq, 1000.0 + seq, "Ticked", look) for seq in range(2, 9))])
    traffic = json.loads(run(FULL, "--json").stdout)["traffic"]
    assert traffic["requests_per_s"] == 200
    assert traffic["from"] == "the journal: 1 release of shop"
    assert traffic["usual_bad_share"]["error_rate"] == 0.004
    slower = json.loads(run(FULL, "--json", "--rps", "20").stdout)["traffic"]
    assert slower["events_per_s"] == {"error_rate": 20, "checkout_success": 20}
    first_stage = slower["stages"][0]
    assert (first_stage["metric"], first_stage["requests_s"]) == ("error_rate", 1000)
    assert slower["stages"][-1]["tripled_s"] is None  # at 100% nothing serves beside it
