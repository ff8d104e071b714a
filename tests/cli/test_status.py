from __future__ import annotations

import json

import pytest

from cli import status as status_command
from engine import events as ev
from engine.client import Beat, EngineClient, EngineGone, Said
from engine.events import Rules, StageRule
from tests.cli.fake_engine import look

CREATED = ev.Created(
    at=0.0,
    release="shop-1",
    service="shop",
    summary="",
    target="paper",
    plan_digest="d",
    canary_wanted="v2",
    who="ann",
    rules=Rules(stages=(StageRule(100, 0.0, 1.0, 0),), metrics=(), items=(), checks={}),
    manual_rollback="",
)


@pytest.mark.parametrize(
    ("phase", "code"), [("stage", 0), ("promoted", 0), ("rolled_back", 1), ("cancelled", 4), ("rollback_failed", 5)]
)
def test_the_exit_code_is_the_outcome_so_far(engine, laneshift, phase, code):
    engine.releases = [look(phase=phase)]
    assert laneshift("status", "shop-1").code == code
    assert laneshift("status", "shop-1", "--json").json["phase"] == phase


def test_one_look_says_what_it_waits_for_and_what_is_wrong(engine, laneshift):
    verdict = {"metric": "errors", "outcome": "fail", "reason": "5 of 10"}
    engine.releases = [look(verdicts={"errors": verdict}, alerts={"errors": "5"}, notices=["the journal was mended"])]
    said = laneshift("status").out
    for part in (
        "shop-1: stage, stage 1 of 2, bake",
        "v2 with 5%",
        "then 100%",
        "ALERT errors: 5 of 10",
        "NOTICE   the journal",
    ):
        assert part in said


def test_with_several_it_prints_a_line_each(engine, laneshift):
    engine.releases = [look(), look("pay-3", weight={"desired": 0, "observed": None})]
    lines = laneshift("status").out.splitlines()
    assert [line.split()[:3] for line in lines] == [["shop-1", "stage", "5%"], ["pay-3", "stage", "?"]]
    assert [one["release"] for one in laneshift("status", "--json").json] == ["shop-1", "pay-3"]


def test_without_releases_it_says_which_engine_answers_and_as_whom_it_knows_you(engine, laneshift):
    you = {"who": "ann", "roles": ["operator"], "where": "pts/3"}
    known = {"pid": 7, "identity": "laneshift-1", "version": "1.2", "store": "sqlite", "supervised": False, "you": you}
    engine.answers["GET", "/v1/engine"] = (200, known | {"started_at": 0.0, "notices": ["full disk"]})
    lines = laneshift("status").out.splitlines()
    assert lines[0] == "no releases"
    assert lines[1].startswith("engine   laneshift-1 1.2 at /")
    assert "you      ann: operator" in lines
    assert "kept     started by a terminal: it takes no production plan" in lines
    assert "NOTICE   full disk" in lines
    assert laneshift("status", "--engine").out.splitlines() == lines[1:]
    assert laneshift("status", "--engine", "--json").json["you"] == you
    assert laneshift("status", "--json").json == []
    assert laneshift("status", "shop", "--engine").code == 2


def test_who_is_here_what_the_gate_waits_for_and_who_holds_it(engine, laneshift):
    here = [
        {"who": "ann", "where": "pts/3 from 192.0.2.7", "since": 0.0, "driving": True},
        {"who": "bob", "where": "", "since": 0.0, "driving": False},
    ]
    approved = [{"who": "ann", "at": 0.0, "stage": 0, "revision": "r1"}]
    gate = {"approvers": 2, "approved": approved, "missing": 1, "until": 3600.0, "expired": False}
    engine.releases = [look(here=here, gate=gate, holder="engine-a")]
    said = laneshift("status", "shop-1").out
    assert "gate     1 of 2 approvals missing, open until " in said
    assert "approved by ann at " in said
    assert "here     ann (pts/3 from 192.0.2.7) since " in said
    assert ", driving" in said
    assert "here     bob since " in said
    assert "holder   engine-a" in said
    engine.releases = [look(gate=gate | {"expired": True}), look("pay-3", here=2)]
    assert "gate     expired" in laneshift("status", "shop-1").out
    assert laneshift("status").out.splitlines()[1].endswith("  2 here")


@pytest.fixture
def says(monkeypatch):
    """What the event stream says, connection after connection; the numbers that were asked for."""

    def prepare(*connections):
        asked = []
        left = list(connections)

        async def events(_client, _release, after=0):
            asked.append(after)
            for heard in left.pop(0):
                if isinstance(heard, Exception):
                    raise heard
                yield heard

        monkeypatch.setattr(EngineClient, "events", events)
        return asked

    return prepare


def test_watch_prints_a_line_per_event_until_the_end(engine, laneshift, says):
    engine.releases = [look()]
    note = ev.Noted(at=0.0, who="ann", text="\x1b[2Jhello")
    cancelled = ev.Cancelled(at=0.0, who="ann", reason="wrong")
    asked = says([Said(1, CREATED), Beat(1.0), Said(2, note)], [Said(3, cancelled), Beat(2.0)])
    ended = laneshift("status", "--watch")
    assert ended.code == 4
    lines = ended.out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("ann: \\u001b[2Jhello")
    assert asked == [0, 2], "a stream that was cut is taken up again"


def test_watch_as_json_is_an_object_per_line(engine, laneshift, says):
    engine.releases = [look()]
    says([Said(1, CREATED), Said(2, ev.Cancelled(at=0.0, who="ann", reason="wrong")), Beat(2.0)])
    lines = [json.loads(line) for line in laneshift("status", "--watch", "--json").out.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]
    assert lines[1]["reason"] == "wrong"


def test_watch_goes_on_when_the_engine_is_started_again(engine, laneshift, says, monkeypatch):
    monkeypatch.setattr(status_command, "AGAIN_S", 0.0)
    engine.releases = [look()]
    away = EngineGone("the engine is gone")
    cancelled = ev.Cancelled(at=0.0, who="ann", reason="wrong")
    asked = says([Said(1, CREATED), away], [away], [away], [Said(2, cancelled), Beat(2.0)])
    ended = laneshift("status", "--watch")
    assert (ended.code, asked) == (4, [0, 1, 1, 1])
    away_said, back_said = ended.err.splitlines()
    assert "the engine is gone; trying again for 60 s" in away_said
    assert "the engine is back after 0 s" in back_said


def test_watch_ends_with_3_when_the_engine_stays_away(engine, laneshift, says, monkeypatch):
    monkeypatch.setattr(status_command, "AWAY_LIMIT_S", -1.0)
    engine.releases = [look()]
    says([Said(1, CREATED), EngineGone("the engine is gone")], [EngineGone("the engine is gone")])
    ended = laneshift("status", "--watch")
    assert ended.code == 3
    assert "the engine is gone" in ended.err
