"""An HTTP proxy before a server that is slow, answers half, or leaves series out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class MoodyProxy(ThreadingHTTPServer):
    """`delay` is in seconds; `half` breaks each answer off in its middle; series of the `hidden` job are left out."""

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.http = httpx.Client(base_url=server, timeout=10, trust_env=False)
        self.delay, self.half, self.hidden = 0.0, False, ""
        self.over = threading.Event()

    def behave(self, *, delay: float = 0.0, half: bool = False, hidden: str = "") -> None:
        """From now on like this."""
        self.delay, self.half, self.hidden = delay, half, hidden

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that have given up are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MoodyProxy

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._pass_on(b"")

    def log_message(self, *_: Any) -> None:
        """A test's output is its own."""

    def _pass_on(self, body: bytes) -> None:
        mood = self.server
        mood.over.wait(mood.delay)
        kind = self.headers.get("Content-Type", "")
        answer = mood.http.request(self.command, self.path, content=body, headers={"Content-Type": kind})
        said = _without(answer.content, mood.hidden) if mood.hidden else answer.content
        self.send_response(answer.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said[: len(said) // 2] if mood.half else said)
        self.close_connection = mood.half


def _without(body: bytes, job: str) -> bytes:
    answer = json.loads(body)
    with suppress(KeyError, TypeError):
        result = answer["data"]["result"]
        answer["data"]["result"] = [series for series in result if series["metric"].get("job") != job]
    return json.dumps(answer).encode()


@contextmanager
def moody_proxy(server: str) -> Iterator[MoodyProxy]:
    """A proxy before a server for as long as the block lasts."""
    proxy = MoodyProxy(server)
    threading.Thread(target=proxy.serve_forever, name="moody proxy", daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.shutdown()
        proxy.server_close()
        proxy.http.close()
