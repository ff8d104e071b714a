from __future__ import annotations

import base64
import hashlib

import pytest

import sample_configs
from cli import start as start_command
from engine.client import EngineGone
from tests.cli.fake_engine import FakeEngine, look


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("service: shop\n")
    return str(path)


@pytest.fixture
def engine(engine: FakeEngine):
    engine.answers["POST", "/v1/releases"] = (201, {"release": "shop-1"})
    return engine


def test_it_prints_the_id(engine, laneshift, plan):
    assert laneshift("start", plan).out == "shop-1\n"
    assert laneshift("start", plan, "--json").json == {"release": "shop-1"}
    assert engine.heard[-1] == ("POST", "/v1/releases")


def test_the_files_that_the_plan_names_go_along(engine, laneshift, tmp_path):
    plan = tmp_path / "plan.yaml"
    text = sample_configs.path("sandbox.yaml").read_text()
    plan.write_text(text.replace("  pre:\n", "  pre:\n    - junit: reports/tests.xml\n", 1))
    lost = laneshift("start", str(plan))
    assert lost.code == 2
    assert "reports/tests.xml" in lost.err
    assert engine.heard == []
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "tests.xml").write_bytes(b"<testsuites/>")
    assert laneshift("start", str(plan)).code == 0
    (sent,) = engine.bodies[-1]["files"]
    assert sent["name"] == "reports/tests.xml"
    assert base64.b64decode(sent["content"]) == b"<testsuites/>"
    assert sent["sha256"] == hashlib.sha256(b"<testsuites/>").hexdigest()


def test_it_starts_an_engine_when_none_runs(laneshift, plan, monkeypatch):
    def fail(_client) -> None:
        raise EngineGone("the engine could not be started")

    monkeypatch.setattr(start_command, "ensure_engine", fail)
    ended = laneshift("start", plan)
    assert ended.code == 3
    assert "could not be started" in ended.err


def test_a_wrong_plan_prints_every_fault_and_ends_with_2(engine, laneshift, plan):
    faults = "plan.yaml:1:1: stages: found 3\nplan.yaml:2:5: source: found nothing"
    engine.answers["POST", "/v1/releases"] = (422, {"error": faults})
    ended = laneshift("start", plan)
    assert (ended.code, ended.err) == (2, f"laneshift: {faults}\n")


def test_a_taken_target_ends_with_4(engine, laneshift, plan):
    engine.answers["POST", "/v1/releases"] = (409, {"error": "shop-1 is under way on paper: attach to it"})
    assert laneshift("start", plan).code == 4


def test_a_plan_that_cannot_be_read_ends_with_2(engine, laneshift, tmp_path):
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "long").write_bytes(b"#" * (1024 * 1024 + 1))
    for name, why in [("none", "No such file"), ("latin", "not UTF-8"), ("long", "no plan"), (".", "Is a directory")]:
        ended = laneshift("start", str(tmp_path / name))
        assert ended.code == 2
        assert why in ended.err
    assert engine.heard == []


@pytest.mark.parametrize(
    ("phase", "code"), [("promoted", 0), ("rolled_back", 1), ("cancelled", 4), ("rollback_failed", 5)]
)
def test_with_wait_the_exit_code_is_the_outcome(engine, laneshift, plan, phase, code):
    engine.releases = [look(phase=phase, ending="why")]
    ended = laneshift("start", plan, "--wait")
    assert (ended.code, ended.out) == (code, f"shop-1\nshop-1: {phase}: why\n")
    ended = laneshift("start", plan, "--wait", "--json")
    assert (ended.json["phase"], ended.out.count("\n")) == (phase, 1)


def test_a_wait_that_takes_too_long_ends_with_6(engine, laneshift, plan, monkeypatch):
    monkeypatch.setattr(start_command, "POLL_S", 0.01)
    engine.releases = [look()]
    ended = laneshift("start", plan, "--wait", "--timeout", "20ms", "--json")
    assert (ended.code, ended.json["phase"]) == (6, "stage")
    assert "shop-1 is still stage: bake" in ended.err


@pytest.mark.parametrize("options", ["--timeout 5m", "--watch --json", "--watch --wait", "--wait --timeout 5"])
def test_options_that_do_not_go_together_end_with_2(engine, laneshift, plan, options):
    assert laneshift("start", plan, *options.split()).code == 2
    assert engine.heard == []


def test_without_a_terminal_watch_starts_nothing(engine, laneshift, plan):
    ended = laneshift("start", plan, "--watch")
    assert (ended.code, engine.heard) == (2, [])
    assert ended.err == "laneshift: this is no terminal: start it without --watch\n"
