"""What an engine says to its service manager, heard on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import systemd
from engine.client import EngineClient
from engine.systemd import ServiceManager, is_supervised


class Manager:
    """A service manager's socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind("\0" + address[1:] if address.startswith("@") else address)
        self._line.settimeout(20)

    def heard(self) -> list[str]:
        return self._line.recv(4096).decode().splitlines()

    def until(self, wanted: str) -> list[str]:
        """Everything up to the message that has this line."""
        found: list[str] = []
        while wanted not in found:
            found += self.heard()
        return found

    def hear_the_rest(self) -> list[str]:
        """Everything that has come by now."""
        found: list[str] = []
        self._line.setblocking(False)
        try:
            while True:
                found += self.heard()
        except BlockingIOError:
            return found
        finally:
            self._line.settimeout(20)

    def close(self) -> None:
        self._line.close()


@contextmanager
def listening(address: str) -> Iterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request):
    abstract = f"@laneshift-{secrets.token_hex(8)}"
    with (
        tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as folder,
        listening(abstract if request.param == "abstract" else f"{folder}/notify") as found,
    ):
        yield found


def of(manager: Manager, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": manager.address, **more}, 42)


def test_it_says_ready_alive_and_stopping(manager):
    said = of(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID="42")
    assert said.watchdog_s == 30
    said.ready("no release is under way")
    said.alive("no release is under way")
    said.alive("shop-1 at 5%\nREADY=0")
    said.working("shop-1 at 5%\nREADY=0")
    said.stopping()
    assert manager.heard() == ["READY=1", "STATUS=no release is under way"]
    assert manager.heard() == ["WATCHDOG=1"]
    assert manager.heard() == ["WATCHDOG=1", "STATUS=shop-1 at 5%?READY=0"]
    assert manager.heard() == ["STOPPING=1"]


def test_without_a_manager_and_with_one_that_is_gone_nothing_happens(tmp_path, caplog):
    ServiceManager({"WATCHDOG_USEC": "1000000"}, 42).ready()
    assert not caplog.records
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 42).ready()
    assert "does not hear READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "42"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(environment, interval):
    assert ServiceManager({"NOTIFY_SOCKET": "/nowhere", **environment}, 42).watchdog_s == interval


async def test_it_is_alive_for_as_long_as_the_journal_is(manager, caplog):
    answers = [True]
    async with of(manager, WATCHDOG_USEC="20000").told(lambda: "idle", lambda: answers[0]):
        assert await asyncio.to_thread(manager.heard) == ["READY=1", "STATUS=idle"]
        assert await asyncio.to_thread(manager.heard) == ["WATCHDOG=1"]
        answers[0] = False
        manager.hear_the_rest()
        await asyncio.sleep(0.1)
        assert manager.hear_the_rest() == []
    assert manager.heard() == ["STOPPING=1"]
    assert "the journal's thread has ended" in caplog.text


async def test_a_loop_that_hangs_is_not_alive(manager):
    async with of(manager, WATCHDOG_USEC="20000").told(lambda: "idle", lambda: True):
        await asyncio.to_thread(manager.until, "WATCHDOG=1")
        manager.hear_the_rest()
        time.sleep(0.1)  # noqa: ASYNC251  # that is what is tried
        assert manager.hear_the_rest() == []


async def test_without_a_watchdog_only_news_are_told(manager, monkeypatch):
    monkeypatch.setattr(systemd, "STATUS_S", 0.01)
    status = ["idle"]
    async with of(manager).told(lambda: status[0], lambda: False):
        assert await asyncio.to_thread(manager.heard) == ["READY=1", "STATUS=idle"]
        status[0] = "shop-1 at 5%"
        assert await asyncio.to_thread(manager.heard) == ["STATUS=shop-1 at 5%"]


@pytest.mark.parametrize(
    ("environment", "pid", "supervised"),
    [
        ({"NOTIFY_SOCKET": "/run/notify"}, 42, True),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, 42, True),
        ({}, 1, True),
        ({"TERM": "xterm"}, 42, False),
    ],
)
def test_who_starts_it_again(environment, pid, supervised):
    assert is_supervised(environment, pid) is supervised


@pytest.mark.real
def test_a_real_engine_is_ready_alive_and_stopping(manager):
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as home:
        environment = os.environ | {
            "LANESHIFT_HOME": home,
            "NOTIFY_SOCKET": manager.address,
            "WATCHDOG_USEC": "1000000",
        }
        command = [sys.executable, "-P", "-m", "cli.main", "serve"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
            try:
                assert "READY=1" in manager.heard()
                assert EngineClient(folder=Path(home)).ask("GET", "/v1/engine")["supervised"] is True
                manager.until("WATCHDOG=1")
                running.send_signal(signal.SIGSTOP)
                time.sleep(0.2)
                manager.hear_the_rest()
                time.sleep(1.2)
                assert manager.hear_the_rest() == [], "an engine that hangs is not alive"
                running.send_signal(signal.SIGCONT)
                manager.until("WATCHDOG=1")
            finally:
                running.send_signal(signal.SIGCONT)
                running.terminate()
            manager.until("STOPPING=1")
        assert running.returncode == 0
