"""The way to an engine over TLS, against a real TLS server with a certificate of its own authority."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import line
from engine.client import Beat, EngineClient, EngineGone, EngineRefused
from tests.engine.serving.certificates import certify

pytestmark = pytest.mark.real
HERE = b'[{"who": "ann", "where": "", "since": 0.5, "driving": true}]'
BEAT = b'event: beat\ndata: {"at": 1.0, "notices": [], "here": ' + HERE + b"}"


class TlsServer:
    """Answers every request with `answer`; remembers what was asked."""

    def __init__(self, folder: Path) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
        self.heard: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    self.heard.append(connection.recv(65536))
                    connection.sendall(self.answer)
            except OSError:
                continue  # a client that does not trust us

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certify(folder)
    return folder


@pytest.fixture
def server(certificates, monkeypatch) -> Iterator[TlsServer]:
    monkeypatch.setenv("LANESHIFT_CA", str(certificates / "ca.pem"))
    monkeypatch.delenv("LANESHIFT_TOKEN", raising=False)
    monkeypatch.delenv("LANESHIFT_TOKEN_FILE", raising=False)
    running = TlsServer(certificates)
    yield running
    running.stop()


@pytest.fixture
def client(server) -> EngineClient:
    return EngineClient(f"https://127.0.0.1:{server.port}")


def test_the_token_is_in_the_header_and_nowhere_else(server, client, monkeypatch, tmp_path):
    monkeypatch.setenv("LANESHIFT_TOKEN", "ls-secret\n")
    assert client.held() == []
    (tmp_path / "token").write_text("ls-filed\n")
    monkeypatch.delenv("LANESHIFT_TOKEN")
    monkeypatch.setenv("LANESHIFT_TOKEN_FILE", str(tmp_path / "token"))
    assert client.held() == []
    first, second = server.heard
    assert b"Authorization: Bearer ls-secret\r\n" in first
    assert first.count(b"ls-secret") == 1
    assert b"Authorization: Bearer ls-filed\r\n" in second


def test_without_a_token_none_is_sent(server, client):
    assert client.held() == []
    assert b"Authorization" not in server.heard[0]


@pytest.mark.parametrize("token", ["two words", "\x1b[2J", "ö", "x" * 5000])
def test_what_is_no_token_is_not_sent(server, client, monkeypatch, token):
    monkeypatch.setenv("LANESHIFT_TOKEN", token)
    with pytest.raises(EngineGone, match="is no token: one word"):
        client.held()
    assert server.heard == []


def test_a_token_that_cannot_be_read_is_said(server, client, monkeypatch, tmp_path):
    monkeypatch.setenv("LANESHIFT_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(EngineGone, match=r"\$LANESHIFT_TOKEN_FILE: .*none can't be read: No such file"):
        client.held()


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server, client, monkeypatch):
    monkeypatch.delenv("LANESHIFT_CA")
    monkeypatch.setenv("LANESHIFT_TOKEN", "ls-secret")
    with pytest.raises(EngineGone, match="is not trusted") as gone:
        client.held()
    assert "LANESHIFT_CA=FILE" in gone.value.mend
    assert server.heard == [], "no token reaches a server that is not trusted"


def test_a_host_that_is_not_in_the_certificate_is_not_trusted(server):
    with pytest.raises(EngineGone, match="is not trusted: Hostname mismatch"):
        EngineClient(f"https://localhost:{server.port}").held()
    assert server.heard == []


async def test_the_stream_trusts_no_other_either(server, monkeypatch, client):
    monkeypatch.delenv("LANESHIFT_CA")
    with pytest.raises(EngineGone, match="certificate"):
        _ = [heard async for heard in client.events("shop-1")]
    assert server.heard == []


async def test_events_come_over_tls_with_who_is_here(server, client, monkeypatch):
    monkeypatch.setenv("LANESHIFT_TOKEN", "ls-secret")
    monkeypatch.setattr(line, "where", lambda _place: "pts/3 on bastion")
    server.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BEAT + b"\n\n"
    client.read_only = True
    (beat,) = [heard async for heard in client.events("shop-1", after=7)]
    assert isinstance(beat, Beat)
    assert [(one.who, one.driving) for one in beat.here] == [("ann", True)]
    asked = server.heard[0]
    assert asked.startswith(b"GET /v1/releases/shop-1/events?after=7&where=pts%2F3+on+bastion&watching=1 ") or (
        b"where=pts%2F3%20on%20bastion" in asked
    )
    assert b"Bearer ls-secret" in asked
    assert asked.count(b"ls-secret") == 1


@pytest.mark.parametrize(
    ("status", "said"), [(401, "the token: .*LANESHIFT_TOKEN"), (403, "roles there: laneshift status --engine")]
)
async def test_who_is_not_known_or_not_allowed_hears_what_to_do(server, client, status, said):
    body = b'{"error": "no"}'
    server.answer = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)
    with pytest.raises(EngineRefused, match=said) as refused:
        client.held()
    assert refused.value.status == status
    with pytest.raises(EngineRefused, match=said):
        _ = [heard async for heard in client.events("shop-1")]


def test_where_nothing_listens_it_says_so(certificates, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineGone, match=f"no engine answers at https://127.0.0.1:{port}: Connection refused"):
        EngineClient(f"https://127.0.0.1:{port}").held()
    with pytest.raises(EngineGone, match="has no address"):
        EngineClient("https://nowhere.invalid:1").held()


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:1", "https://ann:ls-secret@host:1", "https://", "https://host:port", "https://host/path"],
)
def test_what_is_no_address_is_said_without_its_secrets(address):
    with pytest.raises(EngineGone, match="is no address of an engine") as gone:
        EngineClient(address).held()
    assert "ls-secret" not in str(gone.value)


def test_an_authority_that_cannot_be_read_is_said(monkeypatch):
    monkeypatch.setenv("LANESHIFT_CA", "/nowhere/ca.pem")
    with pytest.raises(EngineGone, match=r"\$LANESHIFT_CA: /nowhere/ca.pem can't be read"):
        EngineClient("https://127.0.0.1:1").held()
