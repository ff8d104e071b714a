"""The cockpit as a person meets it: a real terminal, a real engine, a real release, and nothing but keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.client import EngineClient, EngineGone
from sandbox.process import READY_NAME
from sandbox.ready import Ready
from tests.support.programs import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, home: Path) -> None:
        self._socket = str(home / "tmux")
        self._environment = {**os.environ, "LANESHIFT_HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def run(self, *words: str, width: int = 80, height: int = 24) -> None:
        """Start `laneshift` with these words in a terminal of this size."""
        program = f"{sys.executable} -P -m cli.main {' '.join(words)}"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "one", "-x", str(width), "-y", str(height), program)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "one", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "one")

    def shows(self, *words: str, limit: float = 60.0) -> str:
        """Wait until the screen shows all of these."""
        deadline, screen = time.monotonic() + limit, ""
        while time.monotonic() < deadline:
            screen = self.screen()
            if all(word in screen for word in words):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"no {words} on the screen:\n{screen}")

    def is_open(self) -> bool:
        done = subprocess.run(["tmux", "-S", self._socket, "has-session"], capture_output=True, check=False)
        return done.returncode == 0

    def kill(self) -> None:
        """Close the terminal under the program, as a lost line does."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        yield Path(folder)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    need("tmux")
    opened = Terminal(home)
    yield opened
    opened.kill()
    with suppress(EngineGone):
        EngineClient(folder=home).ask("POST", "/v1/stop")
    with suppress(FileNotFoundError):
        os.kill(Ready.read((home / "sandbox" / READY_NAME).read_text()).pid, signal.SIGTERM)


def test_a_release_is_driven_and_rolled_back_with_keys_alone(home: Path, terminal: Terminal) -> None:
    terminal.run("demo")
    screen = terminal.shows("READY TO START", "stable v1.4.0", "a advance")
    assert all(len(line) <= 80 for line in screen.splitlines())
    terminal.press("a")
    terminal.shows("BAKING", "5% observed", "error_rate", limit=30)

    terminal.kill()  # the line is lost in mid-release
    assert EngineClient(folder=home).look("shop-1")["phase"] == "stage"
    terminal.run("watch", width=120, height=35)
    screen = terminal.shows("BAKING", "5% observed", "CHECKLIST")
    assert "laneshift" not in screen.splitlines()[0]

    terminal.press("R")
    terminal.shows("Roll back shop to v1.4.0?", "Cancel")
    terminal.press("y")
    terminal.shows("ROLLED BACK", "all traffic is on stable v1.4.0", limit=20)
    assert EngineClient(folder=home).look("shop-1")["weight"]["observed"] == 0
    terminal.press("q")
    deadline = time.monotonic() + 10
    while terminal.is_open() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not terminal.is_open()
