"""The cockpit as a person meets it: a real terminal, a real engine, a real release, and nothing but keys."""

from __future__ import annotations

import os
import shlex
import signal
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
from tests.support.tmux_terminal import Terminal

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def program(*words: str) -> str:
    """The command line of `laneshift` with these words."""
    return shlex.join([sys.executable, "-P", "-m", "cli.main", *words])


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        yield Path(folder)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    need("tmux")
    opened = Terminal(home, LANESHIFT_HOME=str(home))
    yield opened
    opened.kill()
    with suppress(EngineGone):
        EngineClient(folder=home).ask("POST", "/v1/stop")
    with suppress(FileNotFoundError):
        os.kill(Ready.read((home / "sandbox" / READY_NAME).read_text()).pid, signal.SIGTERM)


def test_a_release_is_driven_and_rolled_back_with_keys_alone(home: Path, terminal: Terminal) -> None:
    terminal.run(program("demo"))
    screen = terminal.shows("READY TO START", "stable v1.4.0", "a advance")
    assert all(len(line) <= 80 for line in screen.splitlines())
    terminal.press("a")
    terminal.shows("BAKING", "5% observed", "error_rate", limit=30)

    terminal.kill()  # the line is lost in mid-release
    assert EngineClient(folder=home).look("shop-1")["phase"] == "stage"
    terminal.run(program("watch"), width=120, height=35)
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
