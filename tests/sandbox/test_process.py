from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from sandbox.__main__ import main
from sandbox.process import LOG_NAME, READY_NAME, SandboxError, running, start
from sandbox.ready import Ready, Urls, write_ready
from sandbox.traffic import Traffic

READY = Ready(4711, Urls("http://127.0.0.1:1", {"shop-a": "http://127.0.0.1:2", "shop-b": "http://127.0.0.1:3"}))


def test_the_ready_line_is_read_as_it_was_written(tmp_path):
    write_ready(tmp_path / "ready", READY)
    assert Ready.read((tmp_path / "ready").read_text()) == READY
    assert json.loads(READY.line()) == {
        "pid": 4711,
        "gateway": "http://127.0.0.1:1",
        "backends": {"shop-a": "http://127.0.0.1:2", "shop-b": "http://127.0.0.1:3"},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]


@pytest.mark.real
def test_a_sandbox_is_a_process_of_its_own_and_ends_when_told(tmp_path):
    write_ready(tmp_path / READY_NAME, READY)  # what a sandbox that was killed leaves behind
    started = start(tmp_path, base_port=0)
    try:
        assert os.getsid(started.pid) == started.pid
        assert httpx.get(f"{started.urls.gateway}/healthz", timeout=5).status_code == 200
        assert set(started.urls.backends) == {"shop-a", "shop-b"}
    finally:
        assert started.stop() == 0
    assert started.stop() == 0
    assert not (tmp_path / READY_NAME).exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(started.urls.gateway)
    assert Ready.read((tmp_path / LOG_NAME).read_text()) == started.ready, "its log holds nothing else"


@pytest.mark.real
def test_a_taken_port_is_said_and_the_other_sandbox_lives_on(tmp_path):
    with running(tmp_path, base_port=0) as first:
        port = int(first.urls.gateway.rpartition(":")[2])
        with pytest.raises(SandboxError, match=rf"exit code 2(.|\n)*port {port} on 127.0.0.1 can't be used"):
            start(tmp_path, base_port=port)
        assert Ready.read((tmp_path / READY_NAME).read_text()) == first.ready
        assert httpx.get(f"{first.urls.gateway}/healthz", timeout=5).status_code == 200


@pytest.mark.real
def test_an_interrupt_ends_it_cleanly():
    command = [sys.executable, "-m", "sandbox", "--base-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ready = Ready.read(process.stdout.readline())
        assert ready.pid == process.pid
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.real
@pytest.mark.parametrize("option", ["--rps=0", "--rps=nan", "--rps=many", "--base-port=80", "--base-port=65534"])
def test_bad_options_are_refused(option):
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox", option], check=False, capture_output=True, text=True, timeout=10
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert option.partition("=")[0] in ended.stderr


def test_a_part_that_breaks_ends_the_sandbox_with_its_reason(monkeypatch, capsys):
    async def broken(traffic: Traffic) -> None:
        raise RuntimeError("traffic broke")

    monkeypatch.setattr(Traffic, "run", broken)
    with pytest.raises(RuntimeError, match="traffic broke"):
        main(["--base-port", "0"])
    assert capsys.readouterr().out.count("\n") == 1


def test_a_taken_port_ends_the_command_with_2(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--base-port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err
