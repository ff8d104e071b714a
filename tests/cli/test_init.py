"""`laneshift init`: what it asks and writes; the result is a plan that lint accepts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from engine.importing import reading
from engine.importing.draft import Draft, ImportingError, Part
from engine.importing.offered import offered
from engine.plan.model import Plan, read_plan
from engine.registry import FAMILIES


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch) -> Path:
    """Commands write here, a folder called like a service."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def written() -> Plan:
    return read_plan(Path("plan.yaml"))


@pytest.mark.parametrize("source", offered("source"))
@pytest.mark.parametrize("router", offered("router"))
def test_every_router_with_every_source_makes_a_plan_that_lint_accepts(laneshift, router, source):
    ended = laneshift("init", "--yes", "--router", router, "--source", source)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "wrote plan.yaml")
    assert laneshift("lint", "plan.yaml").code == 0
    plan = written()
    assert (plan.service, plan.router.kind, plan.source.kind) == ("checkout", router, source)


@pytest.mark.parametrize("family", ["router", "source"])
def test_every_built_in_kind_is_offered(family):
    assert set(offered(family)) >= set(FAMILIES[family])


def test_it_asks_few_questions_and_takes_what_is_answered(laneshift, monkeypatch):
    answers = ["shop", "gateway_api", "prod", "", "shop-v1", "", "prometheus", "http://prom:9090"]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    ended = laneshift("init")
    assert ended.code == 0
    assert "prom" not in ended.out, "questions are no output"
    plan = written()
    assert plan.router.config.model_dump(include={"namespace", "route", "stable", "canary"}) == {
        "namespace": "prod",
        "route": "shop",
        "stable": "shop-v1",
        "canary": "shop-canary",
    }
    assert (plan.service, plan.source.config.url) == ("shop", "http://prom:9090")


def test_an_answer_that_no_plan_takes_is_asked_again(laneshift, monkeypatch):
    answers = ["My Shop", "shop", "gateway", "gateway_api", "Prod!", "prod", "", "", "shop-stable", "", "scrape"]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    ended = laneshift("init")
    assert ended.code == 0
    assert "small letters, digits and hyphens" in ended.err
    assert "another Service than stable's, shop-stable" in ended.err
    assert written().router.config.namespace == "prod"


def test_without_anybody_to_answer_it_says_what_to_do(laneshift):
    ended = laneshift("init")
    assert (ended.code, Path("plan.yaml").exists()) == (2, False)
    assert "--yes takes what is suggested" in ended.err


def test_nothing_is_written_over_unless_it_is_forced(laneshift):
    Path("plan.yaml").write_text("mine")
    ended = laneshift("init", "--yes")
    assert (ended.code, Path("plan.yaml").read_text()) == (4, "mine")
    assert laneshift("init", "--yes", "--force").code == 0
    assert written().service == "checkout"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--router", "gatway_api"], "--router takes sandbox"),
        (["--source", "promethus"], "--source takes scrape"),
        (["--service", "My Shop"], "small letters, digits and hyphens"),
        (["--context", "prod"], "say where --from looks"),
        (["--from", "checkout"], "--from takes rollout/NAME"),
        (["--from", "pod/x"], "--from takes rollout/NAME"),
    ],
)
def test_wrong_options_end_with_2(laneshift, options, why):
    ended = laneshift("init", "--yes", *options)
    assert (ended.code, why in ended.err) == (2, True)
    assert not Path("plan.yaml").exists()


# --- from a cluster


def found(draft: Draft | Exception, monkeypatch) -> list[tuple]:
    asked: list[tuple] = []

    async def imported(*where) -> Draft:
        asked.append(where)
        if isinstance(draft, Exception):
            raise draft
        return draft

    monkeypatch.setattr(reading, "imported", imported)
    return asked


def test_a_cluster_gives_the_plan_and_the_files_that_are_missing(laneshift, monkeypatch):
    draft = Draft("shop", Part("sandbox", {}), Part("scrape", {"urls": ["http://a/metrics"]}), "Deployment shop")
    draft.files["canary-service.yaml"] = "kind: Service\n"
    draft.notes.append("name your \x1b[2J Gateway")
    asked = found(draft, monkeypatch)
    ended = laneshift(
        "init", "deploy/plan.yaml", "--from", "deployment/shop", "-n", "prod", "--context", "c1", "--json"
    )
    assert asked == [("deployment", "shop", "prod", "c1")]
    assert ended.json == {
        "written": ["deploy/plan.yaml", "deploy/k8s/canary-service.yaml"],
        "to_do": ["name your \x1b[2J Gateway"],
    }
    assert read_plan(Path("deploy/plan.yaml")).service == "shop"
    assert Path("deploy/k8s/canary-service.yaml").read_text() == "kind: Service\n"
    again = laneshift("init", "other.yaml", "--from", "deployment/shop")
    assert "\x1b" not in again.out
    assert "name your \\u001b[2J Gateway" in again.out


def test_one_file_that_is_there_keeps_all_from_being_written(laneshift, monkeypatch):
    draft = Draft("shop", Part("sandbox", {}), Part("scrape", {"urls": ["http://a/metrics"]}), "Deployment shop")
    draft.files["canary-service.yaml"] = "kind: Service\n"
    found(draft, monkeypatch)
    Path("k8s").mkdir()
    Path("k8s/canary-service.yaml").write_text("mine")
    ended = laneshift("init", "--from", "deployment/shop")
    assert (ended.code, "there is k8s/canary-service.yaml already" in ended.err) == (4, True)
    assert not Path("plan.yaml").exists()


def test_what_makes_no_plan_is_said_and_not_written(laneshift, monkeypatch):
    found(ImportingError("there is no rollout x in namespace shop"), monkeypatch)
    ended = laneshift("init", "--from", "rollout/x")
    assert (ended.code, ended.err) == (2, "laneshift: there is no rollout x in namespace shop\n")
    found(Draft("shop", Part("sandbox", {"url": "?"}), Part("scrape", {}), "x"), monkeypatch)
    ended = laneshift("init", "--from", "rollout/x")
    assert (ended.code, "so nothing was written" in ended.err, Path("plan.yaml").exists()) == (2, True, False)
