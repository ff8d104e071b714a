"""`laneshift doctor`: its lines, its exit code, and what it needs."""

from __future__ import annotations

import pytest

from cli import doctor as doctor_command
from engine.client import EngineGone
from tests.cli.fake_engine import FakeEngine

FINE = {"grade": "ok", "what": "plan", "said": "valid: 4 stages, 1h45m at least", "mend": ""}
NOTED = {"grade": "warn", "what": "link dashboard", "said": "answered 503", "mend": "open it yourself"}
BROKEN = {
    "grade": "bad",
    "what": "permission",
    "said": "system:serviceaccount:shop:laneshift may not patch httproutes.gateway.networking.k8s.io in shop",
    "mend": "kubectl create role laneshift --verb=get,patch --resource=httproutes.gateway.networking.k8s.io -n shop",
}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("service: shop\n")
    return str(path)


def says(engine: FakeEngine, *findings: dict[str, str]) -> None:
    engine.answers["POST", "/v1/doctor"] = (200, {"findings": list(findings)})


def test_each_finding_is_a_line_of_80_columns_and_its_command_stays_whole(engine, laneshift, plan):
    says(engine, FINE, NOTED, BROKEN)
    ended = laneshift("doctor", plan)
    assert ended.out.splitlines() == [
        "ok    plan            valid: 4 stages, 1h45m at least",
        "warn  link dashboard  answered 503",
        "      mend: open it yourself",
        "BAD   permission      system:serviceaccount:shop:laneshift may not patch",
        "                      httproutes.gateway.networking.k8s.io in shop",
        f"      mend: {BROKEN['mend']}",
        "",
        "1 ok, 1 warn, 1 bad: mend what is bad before you start: a release would fail",
        "there, or could not be taken back",
    ]


@pytest.mark.parametrize(
    ("findings", "code", "end"),
    [
        ([FINE], 0, "1 ok, 0 warn, 0 bad: a release has what it needs"),
        ([FINE, NOTED], 0, "1 ok, 1 warn, 0 bad: a release can go; know what is written above"),
        ([FINE, BROKEN], 2, "there, or could not be taken back"),
    ],
)
def test_only_what_is_bad_ends_it_with_2(engine, laneshift, plan, findings, code, end):
    says(engine, *findings)
    ended = laneshift("doctor", plan)
    assert (ended.code, ended.out.splitlines()[-1]) == (code, end)


def test_json_is_one_object_with_the_findings(engine, laneshift, plan):
    says(engine, FINE, BROKEN)
    ended = laneshift("doctor", plan, "--json")
    assert ended.code == 2
    assert ended.json == {"findings": [FINE, BROKEN], "ok": 1, "warn": 0, "bad": 1}


def test_a_command_of_several_lines_is_not_indented(engine, laneshift, plan):
    says(engine, {**BROKEN, "mend": "kubectl apply -f - <<'EOF'\nkind: Role\nEOF"})
    assert "      mend:\nkubectl apply -f - <<'EOF'\nkind: Role\nEOF\n" in laneshift("doctor", plan).out


def test_what_others_wrote_reaches_the_terminal_as_text(engine, laneshift, plan):
    says(engine, {"grade": "bad", "what": "a\x1b[2J", "said": "b\x1b]0;x\x07 c\rd", "mend": "rm\x1b[1A x"})
    out = laneshift("doctor", plan).out
    assert "\x1b" not in out
    assert "\r" not in out
    assert "\\u001b[2J" in out


def test_a_wrong_plan_ends_with_2_and_its_faults(engine, laneshift, plan):
    engine.answers["POST", "/v1/doctor"] = (422, {"error": "plan.yaml:1:1: stages: found 3"})
    ended = laneshift("doctor", plan)
    assert (ended.code, ended.err) == (2, "laneshift: plan.yaml:1:1: stages: found 3\n")


def test_it_starts_an_engine_as_start_does(laneshift, plan, monkeypatch):
    def fail(_client) -> None:
        raise EngineGone("the engine could not be started")

    monkeypatch.setattr(doctor_command, "ensure_engine", fail)
    assert laneshift("doctor", plan).code == 3


def test_a_plan_that_is_not_there_ends_with_2(engine, laneshift, tmp_path):
    assert laneshift("doctor", str(tmp_path / "none")).code == 2
    assert engine.heard == []
