"""The one way that any front end talks to an engine.

One-shot orders go over a bare unix socket: nothing heavy is imported, for whoever rolls back must not wait for a
library to load. Only `events`, which the cockpit follows, uses httpx.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.events import Event

SOCKET_NAME = "engine.sock"
LOG_NAME = "engine.log"
START_LIMIT_S = 15.0
ANSWER_LIMIT_S = 20.0
REFUSED = 4  # the exit code of an engine that finds another one at work
BEATS_LIMIT_S = 5.0  # a stream without a beat for that long is dead


class EngineGone(Exception):
    """No engine answers at the socket, or it stopped answering."""


class EngineRefused(Exception):
    """The engine does not do it. `status` is HTTP's: 404 no such release, 409 refused, 422 bad input."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Beat:
    """The engine is there; its time, and what is wrong with it."""

    at: float
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One recorded event with its number in the release."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an order: accepted, or why not."""

    accepted: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """One release in a list. `weight` is the one observed, in percent, None when it was never read."""

    release: str
    service: str
    phase: str
    stage: int
    weight: float | None
    target: str = ""
    paused_by: str = ""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: Any = field(default=None)


def home() -> Path:
    """The state folder: $LANESHIFT_HOME, else laneshift in the user's state folder."""
    named = os.environ.get("LANESHIFT_HOME")
    if named:
        return Path(named).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "laneshift"


def user() -> str:
    """Who gives orders from this process: the user it runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


class EngineClient:
    """Talks to the engine of one state folder."""

    def __init__(self, folder: Path | None = None, who: str | None = None) -> None:
        """`folder`: the state folder, by default `home()`; `who` is written beside every order."""
        self.folder = folder or home()
        self.socket = self.folder / SOCKET_NAME
        self.who = who or user()

    # --- one-shot

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request, one JSON answer. Raises EngineGone, EngineRefused."""
        reply = _exchange(self.socket, method, path, body)
        if reply.status >= 400:
            message = reply.body.get("error", "") if isinstance(reply.body, dict) else ""
            raise EngineRefused(reply.status, message or f"the engine answered {reply.status}")
        return reply.body

    def is_there(self) -> bool:
        """Does an engine answer?"""
        try:
            self.ask("GET", "/v1/engine")
        except EngineGone:
            return False
        return True

    def give(self, release: str, verb: str, **said: Any) -> Answer:
        """Give an order; `said` are its fields. Raises EngineGone, EngineRefused for an unknown release."""
        body = {"verb": verb, "id": uuid.uuid4().hex, "who": self.who, **_present(said)}
        try:
            self.ask("POST", f"/v1/releases/{release}/orders", body)
        except EngineRefused as refused:
            if refused.status != 409:
                raise
            return Answer(accepted=False, why=str(refused))
        return Answer(accepted=True)

    def held(self) -> list[Summary]:
        """All releases that the engine holds. Raises EngineGone."""
        return [_summary(one) for one in self.ask("GET", "/v1/releases")]

    def look(self, release: str) -> dict[str, Any]:
        """One look at a release. Raises EngineGone, EngineRefused."""
        seen: dict[str, Any] = self.ask("GET", f"/v1/releases/{release}")
        return seen

    def begin(self, plan: str, name: str, *, canary: str = "", key: str = "") -> str:
        """Start a release of this plan's text; returns its id. Raises EngineGone, EngineRefused."""
        body = {"plan": plan, "name": name, "who": self.who, "canary": canary, "key": key}
        return str(self.ask("POST", "/v1/releases", body)["release"])

    # --- for the cockpit

    async def order(self, release: str, verb: str, **said: Any) -> Answer:
        """As `give`, off the event loop."""
        import asyncio

        return await asyncio.to_thread(lambda: self.give(release, verb, **said))

    async def releases(self) -> list[Summary]:
        """As `held`, off the event loop."""
        import asyncio

        return await asyncio.to_thread(self.held)

    async def events(self, release: str, after: int = 0) -> AsyncIterator[Said | Beat]:
        """Everything recorded after number `after`, then live, with a beat each second.

        Ends when the engine ends it; raises EngineGone when it is not there or falls silent, EngineRefused for an
        unknown release.
        """
        import httpx

        from engine.events import from_data

        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        limits = httpx.Timeout(BEATS_LIMIT_S)
        path = f"http://engine/v1/releases/{release}/events"
        try:
            async with (
                httpx.AsyncClient(transport=transport, timeout=limits) as http,
                http.stream("GET", path, params={"after": after}) as answer,
            ):
                if answer.is_error:
                    await answer.aread()
                    raise EngineRefused(answer.status_code, answer.json().get("error", ""))
                async for kind, seq, data in _messages(answer.aiter_lines()):
                    if kind == "beat":
                        yield Beat(data["at"], tuple(data["notices"]))
                    else:
                        yield Said(seq, from_data(kind, data.pop("at"), data))
        except httpx.HTTPError as error:
            raise EngineGone(f"the engine is gone: {str(error) or type(error).__name__}") from error


def _present(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def _summary(one: Mapping[str, Any]) -> Summary:
    return Summary(
        release=one["release"],
        service=one["service"],
        phase=one["phase"],
        stage=one["stage"],
        weight=one["weight"]["observed"],
        target=one["target"],
        paused_by=one["paused_by"],
    )


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, int, dict[str, Any]]]:
    """(event, id, data) of each message of a stream of server-sent events."""
    kind, seq, data = "message", 0, ""
    async for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            seq = int(value)
        elif name == "data":
            data = value
        elif not line and data:
            yield kind, seq, json.loads(data)
            kind, data = "message", ""


def _exchange(path: Path, method: str, target: str, body: Mapping[str, Any] | None) -> _Reply:
    """One HTTP/1.1 exchange over a unix socket, by hand: http.client takes 25 ms to import."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_LIMIT_S)
            line.connect(str(path))
            line.sendall(head.encode() + content)
            raw = b"".join(iter(lambda: line.recv(65536), b""))
    except OSError as error:
        raise EngineGone(f"no engine answers at {path}: {error.strerror or error}") from error
    return _parsed(raw, path)


def _parsed(raw: bytes, path: Path) -> _Reply:
    head, _, content = raw.partition(b"\r\n\r\n")
    try:
        return _Reply(int(head.split(b" ", 2)[1]), json.loads(content))
    except (IndexError, ValueError):
        raise EngineGone(f"what answers at {path} is no engine, or it ended in mid-answer") from None


def ensure_engine(client: EngineClient) -> None:
    """Start an engine, detached from this terminal, unless one answers. Raises EngineGone with the log's end."""
    if client.is_there():
        return
    import subprocess
    import sys

    client.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = client.folder / LOG_NAME
    with log.open("ab") as output:
        log.chmod(0o600)
        process = subprocess.Popen(  # our own interpreter and module
            [sys.executable, "-m", "cli.main", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "LANESHIFT_HOME": str(client.folder)},
        )
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if client.is_there():
            return
        if process.poll() not in (None, REFUSED):
            break
        time.sleep(0.02)
    end = log.read_bytes()[-1500:].decode(errors="replace").strip()
    raise EngineGone(f"the engine could not be started; the end of {log}:\n{end}")
