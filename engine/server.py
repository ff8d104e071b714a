"""The engine over HTTP, on a unix socket that only its user can open.

    GET  /v1/engine                        who is this engine, since when, what is wrong with it
    GET  /v1/releases                      one line each
    POST /v1/releases                      start: {plan, name, who, canary?, key?, observe?}
    GET  /v1/releases/ID                   one look
    POST /v1/releases/ID/orders            {verb, id, who, reason?, stage?, revision?, item?, override?, asked_at?}
    GET  /v1/releases/ID/events?after=SEQ  every event after SEQ, then live, and a beat each second (as SSE)
    POST /v1/doctor                        try what a release of {plan, name, canary?} will need; changes nothing
    POST /v1/stop                          stop this engine; its releases stand until one is started again

An order that is refused is answered 409 with the reason, a wrong plan 422 with every fault in it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from engine import events as ev
from engine.controller import Said
from engine.host import Host, RefusedError, StartOrder, UnknownReleaseError
from engine.inputs import Order
from engine.plan.model import parse_plan
from engine.plan.problem import PlanError, printable
from engine.release import VERBS
from engine.state import FINAL
from engine.view import look, summary

log = logging.getLogger(__name__)

BEAT_S = 1.0
BACKLOG = 1000  # batches a client may lag behind before its stream is cut; it comes back and catches up
STUCK_S = 10.0  # a client that takes nothing for that long is cut as well
LONGEST_BODY = 2 * 1024 * 1024
LONGEST_TEXT = 10_000  # characters of a reason or a note
LONGEST_NAME = 500  # characters of anything else that is not a plan
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
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        bound.bind(str(path))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise SocketError(f"{path} can't be bound: {error.strerror}") from error
    finally:
        os.umask(mask)
    return bound


def own_folder(home: Path) -> None:
    """Make sure that the state folder is there and that nobody else can look into it. Raises SocketError."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        raise SocketError(f"{home} is shared with others: set LANESHIFT_HOME to a folder of your own")
    if found.st_mode & 0o077:
        home.chmod(0o700)


def serve(home: Path, path: Path) -> None:
    """Run an engine on the state folder `home` until it is told to stop (SIGTERM, SIGINT, POST /v1/stop).

    Raises the journal's errors (JournalLocked when another engine runs) and SocketError.
    """
    own_folder(home)
    with asyncio.Runner() as runner:
        runner.run(_serve(home, path))


async def _serve(home: Path, path: Path) -> None:
    host = Host(home)
    try:
        with bind(path) as listening:
            # Who asks from now on waits for the answer, while the releases are taken up.
            await host.resume()
            await Server(host).serve(sockets=[listening])
    finally:
        await host.close()


class Server(uvicorn.Server):
    """Serves `host` until a signal or an order stops it; its streams end first, so that it never waits for them."""

    def __init__(self, host: Host) -> None:
        self.stopping = asyncio.Event()
        app = application(host, self.stopping, self.stop)
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )

    def stop(self) -> None:
        """Stop soon: what is being answered is answered."""
        self.stopping.set()
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal stops the server and no more; uvicorn's own would raise it again, before the journal is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def application(host: Host, stopping: asyncio.Event, stop: Callable[[], None]) -> Starlette:
    """The HTTP interface of `host`. Its streams end when `stopping` is set; POST /v1/stop calls `stop`."""
    api = _Api(host, stopping, stop)
    routes = [
        Route("/v1/engine", api.engine),
        Route("/v1/releases", api.releases, methods=["GET"]),
        Route("/v1/releases", api.start, methods=["POST"]),
        Route("/v1/releases/{release}", api.release),
        Route("/v1/releases/{release}/orders", api.order, methods=["POST"]),
        Route("/v1/releases/{release}/events", api.events),
        Route("/v1/doctor", api.doctor, methods=["POST"]),
        Route("/v1/stop", api.stop, methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        UnknownReleaseError: lambda _request, error: _error(404, str(error)),
        RefusedError: lambda _request, error: _error(409, str(error)),
        PlanError: lambda _request, error: _error(422, str(error)),
        Exception: lambda _request, error: _error(
            500, f"the engine failed ({type(error).__name__}); its log says more"
        ),
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)


def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    known = {404: f"there is no {request.url.path}", 405: f"{request.url.path} takes no {request.method}"}
    return _error(error.status_code, known.get(error.status_code, str(error.detail)))


class _Api:
    """One method per route."""

    def __init__(self, host: Host, stopping: asyncio.Event, stop: Callable[[], None]) -> None:
        self._host = host
        self._stopping = stopping
        self._stop = stop
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
            plan=_text(body, "plan", longest=LONGEST_BODY).encode(),
            plan_name=_text(body, "name", "plan.yaml"),
            who=_text(body, "who", "somebody"),
            canary=_text(body, "canary", ""),
            key=_text(body, "key", ""),
            observe=body.get("observe") is True,
        )
        release = await self._host.start(order)
        return JSONResponse({"release": release}, status_code=201)

    async def order(self, request: Request) -> Response:
        body = await _body(request)
        verb = _text(body, "verb")
        if verb not in VERBS:
            return _error(422, f"there is no order {printable(verb)}; there are {', '.join(VERBS)}")
        order = Order(
            at=self._host.now(),
            id=_text(body, "id"),
            verb=verb,
            who=_text(body, "who", "somebody"),
            reason=_text(body, "reason", "", longest=LONGEST_TEXT),
            stage=_whole(body, "stage"),
            revision=_text(body, "revision", "") or None,
            item=_text(body, "item", ""),
            override=_switch(body, "override"),
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
        if not seen.isascii() or not seen.isdecimal() or len(seen) > 15:
            return _error(422, f"after is the number of the last event seen, not {printable(seen)}")
        return _EventStream(_stream(self._host, release, int(seen), self._stopping))

    async def doctor(self, request: Request) -> Response:
        from engine.doctor import Place, examine

        body = await _body(request)
        text, name = _text(body, "plan", longest=LONGEST_BODY), _text(body, "name", "plan.yaml")
        plan = parse_plan(text.encode(), name)
        place = Place(self._host.journal.path.parent, self._host.notices, self._busy())
        findings = await examine(plan, place, _text(body, "canary", ""), observe=body.get("observe") is True)
        return JSONResponse({"findings": [asdict(one) for one in findings]})

    def _busy(self) -> dict[str, str]:
        """The live release of each target."""
        states = map(self._host.state, self._host.ids())
        return {state.target: state.release for state in states if state.phase not in FINAL}

    async def stop(self, _request: Request) -> Response:
        self._stop()
        return JSONResponse({"stopping": True})


class _EventStream(StreamingResponse):
    """A stream that is cut when its client takes nothing any more: what waits for it would wait for ever."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            text = chunk if isinstance(chunk, str) else bytes(chunk).decode()
            try:
                async with asyncio.timeout(STUCK_S):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            except TimeoutError:
                log.warning("a client that reads no events is cut")
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stream(host: Host, release: str, after: int, stopping: asyncio.Event) -> AsyncIterator[str]:
    """History after `after`, then what comes; ends when the client lags too far behind or the engine stops."""
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
        while not lagging.is_set() and not stopping.is_set():
            yield _beat(host)
            async for said in _soon(news, stopping):
                if said.seq > after:
                    yield _message(said)
                    after = said.seq
    finally:
        unlisten()


async def _soon(news: asyncio.Queue[Sequence[Said]], stopping: asyncio.Event) -> AsyncIterator[Said]:
    """What is said until the next beat is due or the engine stops."""
    loop = asyncio.get_running_loop()
    due = loop.time() + BEAT_S
    stop = asyncio.create_task(stopping.wait())
    try:
        while (left := due - loop.time()) > 0 and not stop.done():
            batch = asyncio.create_task(news.get())
            await asyncio.wait([batch, stop], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not batch.cancel():
                for said in batch.result():
                    yield said
    finally:
        stop.cancel()


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
    except (ValueError, RecursionError):  # a RecursionError: brackets in brackets in brackets
        raise HTTPException(422, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(422, "the body is a JSON object")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None, *, longest: int = LONGEST_NAME) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise HTTPException(422, f"{name} is a text")
    if len(value) > longest:
        raise HTTPException(422, f"{name} has {longest} characters at most")
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise HTTPException(422, f"{name} is no Unicode text")
    return value


def _whole(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**9):
        raise HTTPException(422, f"{name} is a whole number")
    return value


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e12 < value < 1e12:
        raise HTTPException(422, f"{name} is a number")
    return float(value)


def _switch(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise HTTPException(422, f"{name} is true or false")
    return value
