from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from engine.client import EngineClient

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


def test_a_state_folder_that_cannot_be_made_ends_with_3(laneshift, home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("LANESHIFT_HOME", str(home / "file"))
    ended = laneshift("serve")
    assert ended.code == 3
    assert "file" in ended.err
