from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import client as engine_client
from engine import line
from engine.client import EngineClient, EngineGone, EngineRefused, ensure_engine, home


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as name:
        yield Path(name)


@contextmanager
def answering(folder: Path, raw: bytes):
    """Whoever asks in `folder` gets these bytes; yields what was asked."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / line.SOCKET_NAME))
        listening.listen()

        def answer() -> None:
            with listening.accept()[0] as connection:
                heard.append(connection.recv(65536))
                connection.sendall(raw)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield heard
        finally:
            thread.join()


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n{", b"SSH-2.0\r\n\r\n{}"]
)
def test_what_is_no_answer_of_an_engine_is_said(folder, raw):
    with answering(folder, raw), pytest.raises(EngineGone, match="no engine, or it ended in mid-answer"):
        EngineClient(folder=folder).ask("GET", "/v1/engine")


def test_a_refusal_without_words_says_its_status(folder):
    refusal = b"HTTP/1.1 503 Busy\r\n\r\n[]"
    with answering(folder, refusal), pytest.raises(EngineRefused, match="the engine answered 503") as refused:
        EngineClient(folder=folder).ask("GET", "/v1/engine")
    assert refused.value.status == 503


def test_an_engine_that_does_not_answer_in_time_is_gone_and_may_still_act(folder):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / line.SOCKET_NAME))
        listening.listen()
        with pytest.raises(EngineGone, match=r"does not answer within 0\.05 s; it may still act"):
            line.ask(line.own_address(str(folder)), "GET", "/v1/engine", limit_s=0.05)


def test_where_no_engine_is_the_place_is_named(folder):
    with pytest.raises(EngineGone, match=f"no engine answers at {folder}/engine.sock: No such file"):
        EngineClient(folder=folder).held()
    assert not EngineClient(folder=folder).is_there()
    with pytest.raises(EngineGone, match="too long"):
        EngineClient(folder=folder / ("x" * 200)).held()


def test_a_releases_name_stays_in_its_place(folder):
    with answering(folder, b"HTTP/1.1 200 OK\r\n\r\n{}") as heard:
        EngineClient(folder=folder).look("a/b ä\r\nX: y?#\udcff")
    assert heard[0].startswith(b"GET /v1/releases/a%2Fb%20%C3%A4%0D%0AX%3A%20y%3F%23%FF HTTP/1.1\r\nHost: engine\r\n")


def test_an_order_carries_who_gives_it_and_only_what_was_said(folder):
    with answering(folder, b'HTTP/1.1 409 Conflict\r\n\r\n{"error": "no"}') as heard:
        answer = EngineClient(folder=folder, who="ann").give("shop-1", "advance", stage=0, revision=None, asked_at=None)
    assert (answer.accepted, answer.why) == (False, "no")
    body = heard[0].partition(b"\r\n\r\n")[2]
    assert b'"who": "ann"' in body
    assert b'"stage": 0' in body
    assert b"revision" not in body


def test_the_state_folder_is_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("LANESHIFT_HOME", "~/here")
    assert home() == Path.home() / "here"
    monkeypatch.setenv("LANESHIFT_HOME", "here")
    assert home() == Path.cwd() / "here"
    monkeypatch.setenv("LANESHIFT_HOME", "")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert home() == Path("/state/laneshift")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert home() == Path.home() / ".local/state/laneshift"


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert line.user() == "uid 54321"


async def test_a_stream_from_nowhere_is_an_engine_that_is_gone(folder):
    with pytest.raises(EngineGone):
        _ = [heard async for heard in EngineClient(folder=folder).events("shop-1")]


@pytest.mark.real
def test_an_engine_is_started_once_and_ends_in_silence(folder):
    client = EngineClient(folder=folder / "home")
    ensure_engine(client)
    try:
        first = client.ask("GET", "/v1/engine")
        ensure_engine(client)
        assert client.ask("GET", "/v1/engine") == first
        assert os.getsid(first["pid"]) == first["pid"], "a terminal that closes does not take it along"
        assert client.folder.stat().st_mode & 0o777 == 0o700
        assert client.socket.stat().st_mode & 0o777 == 0o600
        assert (client.folder / "engine.log").stat().st_mode & 0o777 == 0o600
    finally:
        client.ask("POST", "/v1/stop")
        assert os.waitpid(first["pid"], 0)[1] == 0
    assert "Traceback" not in (client.folder / "engine.log").read_text()


@pytest.mark.real
def test_an_engine_that_cannot_start_says_why(folder, monkeypatch):
    (folder / "journal.db").mkdir()
    monkeypatch.setattr(engine_client, "OTHER_LIMIT_S", 0.1)
    with pytest.raises(EngineGone, match=r"could not be started; the end of .*engine\.log:\n(.|\n)*laneshift: "):
        ensure_engine(EngineClient(folder=folder))


def test_it_is_this_python_that_runs_the_engine(folder, monkeypatch):
    started = []

    class Ended:
        def __init__(self, command, **options) -> None:
            started.append((command, options["env"]["LANESHIFT_HOME"], options["start_new_session"]))

        def poll(self) -> int:
            return 3

    monkeypatch.setattr("subprocess.Popen", Ended)
    with pytest.raises(EngineGone):
        ensure_engine(EngineClient(folder=folder))
    assert started == [([sys.executable, "-P", "-m", "cli.main", "serve", "--unsupervised"], str(folder), True)]
