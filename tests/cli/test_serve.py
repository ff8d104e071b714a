from __future__ import annotations

import grp
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from engine import line
from engine.client import EngineClient
from tests.engine.serving.certificates import certify

SERVE = [sys.executable, "-m", "cli.main", "serve"]


def until_it_answers(home) -> None:
    deadline = time.monotonic() + 20
    while not EngineClient(folder=home).is_there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_no_traceback(home, number):
    with subprocess.Popen(SERVE, stderr=subprocess.PIPE, text=True) as running:
        until_it_answers(home)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "Traceback" not in said


@pytest.mark.real
def test_a_second_one_is_refused_and_the_first_lives_on(home):
    with subprocess.Popen(SERVE, stderr=subprocess.DEVNULL) as running:
        until_it_answers(home)
        second = subprocess.run(SERVE, check=False, capture_output=True, text=True, timeout=20)
        assert second.returncode == 4
        assert second.stderr.splitlines()[-1].startswith("laneshift: ")
        assert EngineClient(folder=home).is_there()
        running.terminate()


@contextmanager
def serving(*options: str):
    """An engine for as long as the block lasts."""
    with subprocess.Popen([*SERVE, *options], stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.terminate()


def until_there(client: EngineClient) -> None:
    deadline = time.monotonic() + 20
    while not client.is_there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.real
def test_a_shared_socket_is_its_groups(home, laneshift, monkeypatch):
    group = grp.getgrgid(os.getgid()).gr_name
    place = home / "run" / "engine.sock"
    with serving("--socket", str(place), "--group", group, "--unsupervised"):
        until_there(EngineClient(str(place)))
        assert (place.stat().st_mode & 0o777, place.stat().st_gid) == (0o660, os.getgid())
        monkeypatch.setenv("LANESHIFT_ENGINE", str(place))
        said = laneshift("status").out
        assert f"at {place}, process" in said
        assert f"you      {line.user()}: approver, operator, viewer" in said
        assert "started by a terminal" in said
        assert laneshift("status", "--engine", "--json").json["supervised"] is False


@pytest.mark.real
def test_people_with_a_token_come_over_tls(home, laneshift, monkeypatch, tmp_path):
    certify(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = "ls-0123456789abcdef0123456789abcdef"
    known = {"name": "laptop", "user": "ann", "sha256": hashlib.sha256(token.encode()).hexdigest()}
    config = {
        "listen": {
            "address": f"127.0.0.1:{port}",
            "certificate": str(tmp_path / "server.pem"),
            "key": str(tmp_path / "server.key"),
        },
        "tokens": [known],
        "roles": {"viewer": {"users": ["ann"]}},
    }
    (home / "engine.yaml").write_text(json.dumps(config))
    with serving():
        until_it_answers(home)
        monkeypatch.setenv("LANESHIFT_ENGINE", f"https://127.0.0.1:{port}")
        monkeypatch.setenv("LANESHIFT_CA", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("LANESHIFT_TOKEN", token)
        until_there(EngineClient())
        seen = laneshift("status", "--engine", "--json").json
        assert (seen["you"]["who"], seen["you"]["roles"]) == ("ann", ["viewer"])
        monkeypatch.setenv("LANESHIFT_TOKEN", "another")
        ended = laneshift("status")
        assert ended.code == 4
        assert "the token: $LANESHIFT_TOKEN" in ended.err


def test_a_configuration_with_a_fault_ends_with_2(laneshift, home):
    (home / "engine.yaml").write_text("comands: {}\n")
    ended = laneshift("serve")
    assert ended.code == 2
    assert "comands" in ended.err


def test_a_state_folder_that_cannot_be_made_ends_with_3(laneshift, home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("LANESHIFT_HOME", str(home / "file"))
    ended = laneshift("serve")
    assert ended.code == 3
    assert "file" in ended.err
