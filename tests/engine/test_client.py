from __future__ import annotations

import grp
import os
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import client as engine_client
from engine import line, line_words
from engine.client import EngineClient, EngineGone, EngineRefused, ensure_engine, home


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def machine_socket(monkeypatch, folder):
    """Where the machine's own engine would listen; the environment names no other."""
    for name in ("LANESHIFT_ENGINE", "LANESHIFT_HOME"):
        monkeypatch.delenv(name, raising=False)
    path = folder / "machine.sock"
    for module in (line, line_words):
        monkeypatch.setattr(module, "SYSTEM_SOCKET", str(path))
    return path


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


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("/run/other.sock", "/run/other.sock"),
        ("unix:/run/other.sock", "/run/other.sock"),
        ("https://releases.example:7443", "https://releases.example:7443"),
    ],
)
def test_the_engine_is_the_one_that_the_environment_names(monkeypatch, machine_socket, named, address):
    machine_socket.touch()
    monkeypatch.setenv("LANESHIFT_ENGINE", named)
    assert line.address() == address


def test_the_engine_is_the_machines_when_it_has_one_else_the_users_own(monkeypatch, machine_socket):
    own = f"{home()}/engine.sock"
    assert line.address() == own
    machine_socket.touch()
    assert line.address() == str(machine_socket)
    monkeypatch.setenv("LANESHIFT_HOME", "/srv/mine")
    assert line.address() == "/srv/mine/engine.sock"


def test_an_engine_that_may_not_be_looked_for_is_there(monkeypatch, machine_socket):
    def closed(_path) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", closed)
        found = line.address()
    assert found == str(machine_socket)


def test_only_the_users_own_engine_is_started(monkeypatch, machine_socket, folder):
    monkeypatch.setattr("subprocess.Popen", lambda *_a, **_o: pytest.fail("started"))
    with pytest.raises(EngineGone) as gone:
        ensure_engine(EngineClient(str(machine_socket)))
    assert gone.value.mend.startswith("start it: systemctl start laneshift")
    with pytest.raises(EngineGone) as gone:
        ensure_engine(EngineClient(f"{folder}/other.sock"))
    assert gone.value.mend == f"start an engine there: laneshift serve --socket {folder}/other.sock"


@contextmanager
def shut(folder: Path, mode: int):
    """A socket that this test may not open, whatever its user."""
    path = folder / "engine.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(mode)
        yield str(path)


@pytest.mark.parametrize("member", [False, True])
def test_who_may_not_open_the_socket_hears_how_to_be_let_in(monkeypatch, folder, member):
    me = line.user()
    found = grp.struct_group(("releasers", "", 4242, [me] if member else []))
    monkeypatch.setattr("grp.getgrgid", lambda _gid: found)
    with shut(folder, 0o660) as place:
        mend = line_words.not_reached(place, PermissionError(13, "Permission denied")).mend
    if member:
        assert (
            mend == "you were added to its group, releasers, after you logged in: log in again (or: newgrp releasers)"
        )
    else:
        assert mend == f"its group is releasers: sudo usermod -aG releasers {me}, then log in again"


def test_somebodys_own_engine_is_said_to_be_that(folder):
    with shut(folder, 0o600) as place:
        error = line_words.not_reached(place, PermissionError(13, "Permission denied"))
    assert "may not open" in str(error)
    assert error.mend == "only its owner may: it is somebody's own engine"


def test_a_client_says_where_it_is_in_its_own_words(monkeypatch):
    monkeypatch.setattr(os, "ttyname", lambda number: "/dev/pts/3" if number == 2 else _no_terminal())
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50112 192.0.2.1 22")
    monkeypatch.setattr(socket, "gethostname", lambda: "bastion\x1b" + "x" * 300)
    assert line.where("/run/laneshift/engine.sock") == "pts/3 from 192.0.2.7"
    over_tcp = line.where("https://releases.example")
    assert over_tcp.startswith("pts/3 from 192.0.2.7 on bastion?xxx")
    assert len(over_tcp) == line.LONGEST_WHERE
    monkeypatch.setattr(os, "ttyname", lambda _number: _no_terminal())
    monkeypatch.setenv("SSH_CONNECTION", "")
    assert line.where("/run/laneshift/engine.sock") == ""


def _no_terminal() -> str:
    raise OSError


def test_a_client_that_only_looks_gives_no_order(folder):
    answer = EngineClient(folder=folder, read_only=True).give("shop-1", "pause")
    assert not answer.accepted
    assert "--read-only" in answer.why


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
