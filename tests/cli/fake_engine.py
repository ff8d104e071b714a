"""An engine for the command line's tests: answers on a unix socket what it is told to, and remembers what it heard."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

LOOK = {
    "release": "shop-1",
    "service": "shop",
    "target": "paper",
    "phase": "stage",
    "stage": 0,
    "step": "bake",
    "weight": {"desired": 5, "observed": 5.0},
    "paused_by": "",
    "created_at": 0.0,
    "revision": "r1",
    "canary": "v2",
    "stable": "v1",
    "stages": [5, 100],
    "waits_for": "bake",
    "until": None,
    "then": "100%",
    "orders": ["rollback"],
    "verdicts": {},
    "would": [],
    "alerts": {},
    "holds": {},
    "weights": [5.0],
    "checklist": {"done": 9, "total": 24},
    "exposure": {"requests": 10, "bad": 1},
    "rollback": None,
    "ending": "",
    "manual_rollback": "set it to 0",
    "notices": [],
}


def look(release: str = "shop-1", **said: Any) -> dict[str, Any]:
    """What an engine says of a release."""
    return {**LOOK, "release": release, "service": release.rpartition("-")[0], **said}


@dataclass
class FakeEngine:
    """`releases` is what it holds; `refuses` is why it takes no order; `answers` overrules single requests, with the
    status 0 for none at all.

    `order` is called with the release and the order that it took: there a test lets things happen. Where it raises
    ConnectionError the order was taken and its answer is lost.
    """

    releases: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    order: Callable[[dict[str, Any], dict[str, Any]], None] = lambda _release, _order: None
    heard: list[tuple[str, str]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.heard.append((method, path))
        self.bodies.append(body)
        if (method, path) in self.answers:
            return self.answers[method, path]
        if (method, path) == ("GET", "/v1/engine"):
            return 200, {"pid": 1}
        if (method, path) == ("GET", "/v1/releases"):
            return 200, self.releases
        name = path.removeprefix("/v1/releases/").removesuffix("/orders")
        found = next((one for one in self.releases if one["release"] == name), None)
        if found is None:
            return 404, {"error": f"there is no release {name}"}
        if method == "GET":
            return 200, found
        self.orders.append(body)
        if self.refuses:
            return 409, {"error": self.refuses}
        try:
            self.order(found, body)
        except ConnectionError:
            return 0, None
        return 200, {"accepted": body["verb"]}


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: FakeEngine


class _Handler(BaseHTTPRequestHandler):
    server: _UnixServer

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.server.engine.answer(self.command, self.path, json.loads(raw) if raw else None)
        if not status:
            return
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815  # http.server's names

    def log_message(self, *_said: Any) -> None: ...


@contextmanager
def state_folder(monkeypatch: Any) -> Iterator[Path]:
    """A state folder of a test's own, at a path short enough for a socket, and the one that commands use."""
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as name:
        monkeypatch.setenv("LANESHIFT_HOME", name)
        yield Path(name)


@contextmanager
def answering(folder: Path) -> Iterator[FakeEngine]:
    """A fake engine that answers in this state folder for as long as the block lasts."""
    with _UnixServer(str(folder / "engine.sock"), _Handler) as server:
        server.engine = FakeEngine()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.engine
        finally:
            server.shutdown()
            thread.join()
