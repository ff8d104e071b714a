"""The engine's answers to Flagger's webhooks: one server per address, for all Canaries that are released from here.

A gate passes with 200 and is closed with 403, as Flagger's own reference server has it. Whatever is not understood, not
known here or can't be decided in time is closed. The token stands in the path: a webhook has no headers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.routers import RouterError
from engine.routers.flagger_reading import GATES, Answer, Gate

log = logging.getLogger(__name__)

MOST_BYTES: Final = 64 * 1024
DECIDE_S: Final = 8.0  # Flagger waits for 10 s
OPEN, CLOSED = 200, 403

Decide = Callable[[Gate, str], Awaitable[Answer]]


class Gatekeeper:
    """Answers for one Canary. `asked_at` is the monotonic time of Flagger's last question, None before the first."""

    def __init__(self, namespace: str, name: str, token: str, decide: Decide) -> None:
        self.namespace, self.name = namespace, name
        self._token, self._decide = token, decide
        self.asked_at: float | None = None

    def is_of(self, token: str, namespace: object, name: object) -> bool:
        """Is a question with these meant for this Canary?"""
        same = hmac.compare_digest(self._token.encode(), token.encode())
        return same and (self.namespace, self.name) == (namespace, name)

    async def decide(self, gate: Gate, checksum: str) -> Answer:
        """What the gate says. Closed when it can't be decided."""
        self.asked_at = time.monotonic()
        try:
            async with asyncio.timeout(DECIDE_S):
                return await self._decide(gate, checksum)
        except (RouterError, TimeoutError) as error:
            return Answer(False, str(error) or f"not decided within {DECIDE_S:g} s")


class _Server(uvicorn.Server):
    """Leaves signals to the engine."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class GateServer:
    """Listens on one address for as long as somebody keeps a gate there."""

    def __init__(self, listen: str) -> None:
        self.listen = listen
        self._keepers: list[Gatekeeper] = []
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    def keep(self, keeper: Gatekeeper) -> None:
        """Answer for this Canary too. Raises RouterError when the address can't be had."""
        if keeper not in self._keepers:
            self._keepers.append(keeper)
        if self._serving is None or self._serving.done():
            self._start()

    async def leave(self, keeper: Gatekeeper) -> None:
        """Answer for it no more; the last one closes the server."""
        if keeper in self._keepers:
            self._keepers.remove(keeper)
        if not self._keepers and self._serving is not None and self._server is not None:
            self._server.should_exit = True
            serving, self._serving = self._serving, None
            await serving

    def _start(self) -> None:
        host, _, port = self.listen.rpartition(":")
        try:
            opened = socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=100)
        except OSError as error:
            why = error.strerror or error
            raise RouterError(f"Flagger's gates can't listen on {self.listen}: {why}; change gates.listen") from None
        self.port = int(opened.getsockname()[1])
        route = Route("/{token}/{gate}", self._answer, methods=["POST"])
        config = uvicorn.Config(
            Starlette(routes=[route]),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([opened]), name=f"gates on {self.listen}")

    async def _answer(self, request: Request) -> Response:
        token, asked = request.path_params["token"], await _json(request)
        gate = next((each for each in GATES if each == request.path_params["gate"]), None)
        for keeper in self._keepers:
            if gate and keeper.is_of(token, asked.get("namespace"), asked.get("name")):
                given = await keeper.decide(gate, str(asked.get("checksum", "")))
                log.info("gate %s of %s/%s: %s", gate, keeper.namespace, keeper.name, given)
                return PlainTextResponse(given.why, OPEN if given.passes else CLOSED)
        return PlainTextResponse("no release here has such a gate", CLOSED)


_servers: dict[str, GateServer] = {}


def server_on(listen: str) -> GateServer:
    """The one server of this engine on an address."""
    return _servers.setdefault(listen, GateServer(listen))


async def _json(request: Request) -> dict[str, Any]:
    """The body; empty for what is none."""
    size = 0
    parts: list[bytes] = []
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return {}
        parts.append(part)
    try:
        found = json.loads(b"".join(parts))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
