"""The engine over HTTP, on a unix socket that only its user can open.

    GET  /v1/engine                        who is this engine, since when, what is wrong with it
    GET  /v1/releases                      one line each
    POST /v1/releases                      start: {plan, name, who, canary?, key?}
    GET  /v1/releases/ID                   one look
    POST /v1/releases/ID/orders            {verb, id, who, reason?, stage?, revision?, item?, override?, asked_at?}
    GET  /v1/releases/ID/events?after=SEQ  every event after SEQ, then live, and a beat each second (as SSE)
    POST /v1/stop                          stop this engine; its releases stand until one is started again

An order that is refused is answered 409 with the reason, a wrong plan 422 with every fault in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from engine import events as ev
from engine.controller import Said
from engine.host import Host, RefusedError, StartOrder, UnknownReleaseError
from engine.problem import PlanError
from engine.release import VERBS, Order
from engine.view import look, summary

BEAT_S = 1.0
BACKLOG = 1000  # batches a client may lag behind before its stream is cut; it comes back and catches up
LONGEST_BODY = 2 * 1024 * 1024
LONGEST_PATH = 100  # bytes of a unix socket's path that every system takes


class SocketError(Exception):
    """The socket can't be bound; the message says what to do."""


def bind(path: Path) -> socket.socket:
    """A listening unix socket at `path`, readable and writable by its owner alone from its first moment on.

    The caller holds the journal's lock, so a socket that is there belongs to an engine that is gone.
    Raises SocketError.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketError(f"{path} is too long for a socket ({LONGEST_PATH} bytes at most): set LANESHIFT_HOME shorter")
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError as error:
        bound.close()
        raise SocketError(f"{path} can't be bound: {error.strerror}") from error
    finally:
        os.umask(mask)
    bound.listen(128)
    return bound


def serve(home: Path, path: Path) -> None:
    """Run an engine on the state folder `home` until it is told to stop (SIGTERM, SIGINT, POST /v1/stop).

    Raises the journal's errors (JournalLocked when another engine runs) and SocketError.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with asyncio.Runner() as runner:
        runner.run(_serve(home, path))


async def _serve(home: Path, path: Path) -> None:
    host = Host(home)
    try:
        listening = bind(path)
    except BaseException:
        await host.close()
        raise
    config = uvicorn.Config("", log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    config.app = application(host, server)
    await server.serve(sockets=[listening])


def application(host: Host, server: uvicorn.Server | None = None) -> Starlette:
    """The HTTP interface of `host`; it resumes its releases when it starts and lets them go when it ends."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await host.resume()
        yield
        await host.close()

    api = _Api(host, server)
    routes = [
        Route("/v1/engine", api.engine),
        Route("/v1/releases", api.releases, methods=["GET"]),
        Route("/v1/releases", api.start, methods=["POST"]),
        Route("/v1/releases/{release}", api.release),
        Route("/v1/releases/{release}/orders", api.order, methods=["POST"]),
        Route("/v1/releases/{release}/events", api.events),
        Route("/v1/stop", api.stop, methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        UnknownReleaseError: lambda _request, error: _error(404, str(error)),
        RefusedError: lambda _request, error: _error(409, str(error)),
        PlanError: lambda _request, error: _error(422, str(error)),
    }
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)


def _http_error(_request: Request, error: HTTPException) -> JSONResponse:
    return _error(error.status_code, str(error.detail))


class _Api:
    """One method per route."""

    def __init__(self, host: Host, server: uvicorn.Server | None) -> None:
        self._host = host
        self._server = server
        self._started_at = host.now()

    async def engine(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "pid": os.getpid(),
                "epoch": self._host.epoch,
                "started_at": self._started_at,
                "notices": self._host.notices,
                "releases": len(self._host.ids()),
            }
        )

    async def releases(self, _request: Request) -> Response:
        return JSONResponse([summary(self._host.state(release)) for release in self._host.ids()])

    async def release(self, request: Request) -> Response:
        state = self._host.state(request.path_params["release"])
        return JSONResponse(look(state, self._host.now(), self._host.notices))

    async def start(self, request: Request) -> Response:
        body = await _body(request)
        order = StartOrder(
            plan=_text(body, "plan").encode(),
            plan_name=_text(body, "name", "plan.yaml"),
            who=_text(body, "who", "somebody"),
            canary=_text(body, "canary", ""),
            key=_text(body, "key", ""),
        )
        release = await self._host.start(order)
        return JSONResponse({"release": release}, status_code=201)

    async def order(self, request: Request) -> Response:
        body = await _body(request)
        verb = _text(body, "verb")
        if verb not in VERBS:
            return _error(422, f"there is no order {verb!r}; there are {', '.join(VERBS)}")
        order = Order(
            at=self._host.now(),
            id=_text(body, "id"),
            verb=verb,
            who=_text(body, "who", "somebody"),
            reason=_text(body, "reason", ""),
            stage=_whole(body, "stage"),
            revision=_text(body, "revision", "") or None,
            item=_text(body, "item", ""),
            override=body.get("override") is True,
            asked_at=_number(body, "asked_at"),
        )
        release = request.path_params["release"]
        events = await self._host.order(release, order)
        refused = next((event for event in events if isinstance(event, ev.OrderRefused)), None)
        if refused is not None:
            return _error(409, refused.why)
        return JSONResponse({"accepted": verb, "phase": self._host.state(release).phase.value})

    async def events(self, request: Request) -> Response:
        release = request.path_params["release"]
        self._host.state(release)
        seen = request.headers.get("Last-Event-ID") or request.query_params.get("after", "0")
        if not seen.isdecimal():
            return _error(422, f"after is the number of the last event seen, not {seen!r}")
        return StreamingResponse(_stream(self._host, release, int(seen)), media_type="text/event-stream")

    async def stop(self, _request: Request) -> Response:
        if self._server is not None:
            self._server.should_exit = True
        return JSONResponse({"stopping": True})


async def _stream(host: Host, release: str, after: int) -> AsyncIterator[str]:
    """History after `after`, then what comes; ends when the client lags too far behind."""
    news: asyncio.Queue[Sequence[Said]] = asyncio.Queue(BACKLOG)
    lagging = asyncio.Event()

    def hear(said: Sequence[Said]) -> None:
        try:
            news.put_nowait(said)
        except asyncio.QueueFull:
            lagging.set()

    unlisten = host.listen(release, hear)
    try:
        for said in await host.history(release, after):
            yield _message(said)
            after = said.seq
        while not lagging.is_set():
            yield _beat(host)
            async for said in _soon(news):
                if said.seq > after:
                    yield _message(said)
                    after = said.seq
    finally:
        unlisten()


async def _soon(news: asyncio.Queue[Sequence[Said]]) -> AsyncIterator[Said]:
    """What is said until the next beat is due."""
    loop = asyncio.get_running_loop()
    due = loop.time() + BEAT_S
    while (left := due - loop.time()) > 0:
        try:
            batch = await asyncio.wait_for(news.get(), left)
        except TimeoutError:
            return
        for said in batch:
            yield said


def _message(said: Said) -> str:
    kind, at, data = ev.to_data(said.event)
    return f"id: {said.seq}\nevent: {kind}\ndata: {json.dumps({'at': at, **data})}\n\n"


def _beat(host: Host) -> str:
    return f"event: beat\ndata: {json.dumps({'at': host.now(), 'notices': host.notices})}\n\n"


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > LONGEST_BODY:
            raise HTTPException(413, f"{LONGEST_BODY} bytes at most")
    try:
        body = json.loads(raw)
    except ValueError:
        raise HTTPException(422, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(422, "the body is a JSON object")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise HTTPException(422, f"{name} is a text")
    return value


def _whole(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise HTTPException(422, f"{name} is a whole number")
    return value


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise HTTPException(422, f"{name} is a number")
    return None if value is None else float(value)
