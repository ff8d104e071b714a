from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from cli import no_engine, way_back
from cli.way_back import read
from engine import client as engine_client
from engine import line, line_words
from engine.client import EngineGone
from tests.cli.fake_engine import FakeEngine, answering, look


def lands(release, _order) -> None:
    """The roll back is in effect at once."""
    release.update(phase="rolled_back", rollback={"observed": time.time()})


@pytest.fixture
def no_new_engine(monkeypatch):
    """None can be started."""

    def fail(_client) -> None:
        raise EngineGone("the engine could not be started; the end of its log:\ndisk full")

    monkeypatch.setattr(engine_client, "ensure_engine", fail)


@pytest.mark.parametrize(
    ("line", "name", "reason", "no_wait", "as_json"),
    [
        ("", None, "", False, False),
        ("shop-1", "shop-1", "", False, False),
        ("shop-1 --no-wait --json", "shop-1", "", True, True),
        ("--json --reason slow shop", "shop", "slow", False, True),
    ],
)
def test_the_plain_forms_are_read_without_click(line, name, reason, no_wait, as_json):
    wanted = read(line.split())
    assert wanted is not None
    assert (wanted.name, wanted.no_wait, wanted.as_json) == (name, no_wait, as_json)
    assert wanted.order["reason"] == reason
    assert "break_glass" not in wanted.order


def test_breaking_the_glass_is_read_without_click():
    wanted = read(["shop", "--break-glass", "--reason", "outage"])
    assert wanted is not None
    assert (wanted.order["break_glass"], wanted.order["reason"]) == (True, "outage")


def test_breaking_the_glass_says_so_to_the_engine(engine: FakeEngine, laneshift):
    engine.releases, engine.order = [look()], lands
    assert laneshift("rollback", "--break-glass", "--reason", "outage").code == 0
    assert engine.orders[0]["break_glass"] is True
    assert laneshift("rollback", "--reason=outage", "--break-glass", "--no-wait").code == 0
    assert engine.orders[1]["break_glass"] is True


@pytest.mark.parametrize("line", ["--break-glass", "shop-1 --break-glass --reason= --json"])
def test_breaking_the_glass_without_a_reason_ends_with_2(engine: FakeEngine, laneshift, line):
    engine.releases = [look()]
    ended = laneshift("rollback", *line.split())
    assert (ended.code, engine.orders) == (2, [])
    assert "goes with --reason WHY" in ended.err


@pytest.fixture
def machines_engine(home, monkeypatch):
    """The machine has an engine of its own, that is away now; the scripts of its releases are in `home`."""
    monkeypatch.setattr(line, "SYSTEM_SOCKET", f"{home}/run.sock")
    monkeypatch.setattr(line_words, "SYSTEM_SOCKET", f"{home}/run.sock")
    monkeypatch.setattr(line, "SYSTEM_STATE", str(home))
    monkeypatch.setattr(no_engine, "SYSTEM_STATE", str(home))
    monkeypatch.setenv("LANESHIFT_ENGINE", f"{home}/run.sock")
    monkeypatch.setattr(way_back, "AWAY_LIMIT_S", 0.05)
    monkeypatch.setattr(way_back, "AWAY_POLL_S", 0.01)


def test_the_machines_engine_is_not_started_from_here(home, laneshift, machines_engine, monkeypatch):
    monkeypatch.setattr(engine_client, "ensure_engine", lambda _client: pytest.fail("started"))
    path = script(home, "shop-1")
    ended = laneshift("rollback", "shop-1")
    assert ended.code == 3
    assert "systemctl start laneshift" in ended.err
    assert f"by hand: sh {path}" in ended.err


def test_the_machines_engine_may_come_back(home, laneshift, machines_engine, monkeypatch):
    (home / "later").mkdir()
    with answering(home / "later") as started:
        started.releases, started.order = [look()], lands
        come_back = (home / "later" / "engine.sock").rename
        monkeypatch.setattr(way_back.time, "sleep", lambda _s: come_back(home / "run.sock"))
        assert laneshift("rollback", "shop-1").code == 0


def test_scripts_that_are_not_ones_own_to_read_are_said_so(home, laneshift, machines_engine, monkeypatch):
    def closed(_folder) -> None:
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.iterdir", closed)
    said = laneshift("rollback", "shop-1").err
    assert f"sudo -u laneshift sh {home}/releases/shop-1/rollback.sh" in said


@pytest.mark.parametrize(
    "line", ["--help", "a b", "--reason", "--reason=slow", "--nonsense", "-h", "--", "a --reason x --reason y"]
)
def test_all_else_is_left_to_click(line):
    assert read(line.split()) is None


def test_it_waits_until_all_traffic_is_back(engine: FakeEngine, laneshift):
    engine.releases = [look()]
    engine.order = lands
    before = time.time()
    ended = laneshift("rollback", "shop-1", "--reason", "slow", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert (ended.json["release"], ended.json["phase"]) == ("shop-1", "rolled_back")
    [order] = engine.orders
    assert (order["verb"], order["reason"]) == ("rollback", "slow")
    assert before <= order["asked_at"] <= time.time()
    assert engine.heard[0] == ("POST", "/v1/releases/shop-1/orders"), (
        "a name is tried as an id, with no question before"
    )


@pytest.mark.parametrize("option", ["--reason=slow", "--no-wait"])
def test_read_by_click_it_is_the_same(engine: FakeEngine, laneshift, option):
    engine.releases = [look()]
    engine.order = lands
    ended = laneshift("rollback", "shop", option)
    assert ended.code == 0
    assert ended.out.startswith("shop-1: roll")
    assert [order["verb"] for order in engine.orders] == ["rollback"]


def test_it_says_who_has_the_traffic_and_how_long_it_took(engine: FakeEngine, laneshift):
    engine.releases = [look()]
    engine.order = lands
    assert laneshift("rollback").out.startswith("shop-1: rolled back; all traffic on v1 after 0.")


def test_a_roll_back_that_fails_ends_with_5_and_says_why(engine: FakeEngine, laneshift):
    engine.releases = [look()]
    engine.order = lambda release, _: release.update(phase="rollback_failed", waits_for="the gateway is gone")
    ended = laneshift("rollback", "--json")
    assert (ended.code, ended.json["phase"]) == (5, "rollback_failed")
    assert ended.err == "laneshift: shop-1: the gateway is gone\n"


def test_a_roll_back_that_is_refused_ends_with_4(engine: FakeEngine, laneshift):
    engine.releases = [look(phase="cancelled")]
    engine.refuses = "cancelled before any traffic moved"
    assert laneshift("rollback", "shop-1").code == 4
    assert laneshift("rollback").code == 2, "without a name nothing that was cancelled is meant"


def test_without_a_name_the_last_release_may_be_promoted(engine: FakeEngine, laneshift):
    engine.releases = [look(phase="promoted")]
    engine.order = lands
    assert laneshift("rollback").code == 0


def test_with_several_under_way_it_asks_which(engine: FakeEngine, laneshift):
    engine.releases = [look(), look("pay-3")]
    ended = laneshift("rollback")
    assert (ended.code, engine.orders) == (2, [])
    assert "shop-1, pay-3" in ended.err


def test_without_an_engine_one_is_started(home, laneshift, monkeypatch):
    (home / "later").mkdir()
    with answering(home / "later") as started:
        started.releases = [look()]
        started.order = lands
        begin = (home / "later" / "engine.sock").rename
        monkeypatch.setattr(engine_client, "ensure_engine", lambda client: begin(client.socket))
        ended = laneshift("rollback", "shop-1")
    assert ended.code == 0
    assert "starting an engine" in ended.err


def test_an_engine_that_goes_in_between_is_started_again(engine: FakeEngine, laneshift, monkeypatch):
    def gone(release, _order) -> None:
        engine.answers["GET", "/v1/releases/shop-1"] = (0, None)
        lands(release, None)

    engine.releases = [look()]
    engine.order = gone
    monkeypatch.setattr(engine_client, "ensure_engine", lambda _client: engine.answers.clear())
    ended = laneshift("rollback", "shop-1")
    assert (ended.code, len(engine.orders)) == (0, 1)
    assert "starting an engine" in ended.err


def test_an_order_whose_answer_was_lost_is_given_again_and_counts_once(engine: FakeEngine, laneshift, monkeypatch):
    def lost(_release, _order) -> None:
        engine.order = lands
        raise ConnectionError

    engine.releases = [look()]
    engine.order = lost
    monkeypatch.setattr(engine_client, "ensure_engine", lambda _client: None)
    assert laneshift("rollback").code == 0
    assert len(engine.orders) == 2
    assert engine.orders[0] == engine.orders[1]


# --- rollback.sh


def script(home, release: str, body: str = "exit 0", age_s: float = 0.0):
    path = home / "releases" / release / "rollback.sh"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_without_any_engine_it_names_the_script(home, laneshift, no_new_engine):
    path = script(home, "shop-1")
    ended = laneshift("rollback", "shop-1", "--json")
    assert (ended.code, ended.json["script"]) == (3, str(path))
    assert "disk full" in ended.err
    assert f"by hand: sh {path}" in ended.err


def test_without_a_script_it_says_so(home, laneshift, no_new_engine):
    ended = laneshift("rollback", "shop-1")
    assert ended.code == 3
    assert f"no rollback.sh of shop-1 in {home}/releases" in ended.err


@pytest.mark.parametrize(
    ("name", "meant"), [("shop-1", "shop-1"), ("shop", "shop-2"), ("pay", None), ("shop-", None), (None, "web-1")]
)
def test_only_the_script_of_what_was_named_is_offered(home, laneshift, no_new_engine, name, meant):
    for age, release in enumerate(["web-1", "shop-2", "shop-1"]):
        script(home, release, age_s=age)
    said = laneshift("rollback", *([name] if name else [])).err
    assert [one for one in ("web-1", "shop-2", "shop-1") if f"{one}/rollback.sh" in said] == ([meant] if meant else [])


@pytest.mark.real
@pytest.mark.parametrize(
    ("answer", "body", "code", "ran"),
    [(b"y\n", "exit 0", 0, True), (b"y\n", "exit 1", 5, True), (b"n\n", "exit 0", 3, False), (b"\x04", "", 3, False)],
)
def test_at_a_terminal_it_asks_and_runs_the_script(home, answer, body, code, ran):
    script(home, "shop-1", f"touch {home}/ran\n{body}")
    program = "from engine import client\ndef none(_): raise client.EngineGone('none')\nclient.ensure_engine = none\n"
    program += "from cli.main import main\nmain(['rollback', 'shop-1'])"
    terminal, end = pty.openpty()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=end, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        asked = b""
        while b"[y/N]" not in asked:
            asked += running.stderr.read(1)
        os.write(terminal, answer)
        running.communicate(timeout=20)
    os.close(end)
    os.close(terminal)
    assert b"takes all traffic of shop-1 back to stable" in asked
    assert running.returncode == code
    assert (home / "ran").exists() == ran
