"""A server that answers every request with its version, and counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_args: object) -> None:
        """Nothing: a proxy's health check hangs up as soon as it has connected."""


class Answering:
    """`url` is where it answers, `requests` how many it got that were not the proxy's own."""

    def __init__(self, version: str) -> None:
        self.version, self.requests = version, 0
        told = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if self.headers.get("X-Laneshift-Check") is None:
                    told.requests += 1
                self.send_response(200)
                self.send_header("X-Version", told.version)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_args: object) -> None:
                """Nothing: requests are counted, not printed."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """It answers until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Nothing listens there any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def answering(version: str) -> Iterator[Answering]:
    """One for as long as the block lasts."""
    server = Answering(version)
    server.start()
    try:
        yield server
    finally:
        server.stop()
