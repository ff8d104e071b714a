"""A small HTTP server on one loopback port, which can crash and come back on the same port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

from sandbox.wire import (
    BadMessageError,
    Framer,
    Message,
    Request,
    Response,
    json_response,
    keeps_alive,
    read_request,
    write_response,
)

Handler = Callable[[Request], Awaitable[Response]]

MAX_PIPELINED = 16
_log = logging.getLogger(__name__)


def bind_loopback(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1:`port` (0: any free one) that does not listen yet; OSError when it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


class HttpServer:
    """Serves `handler` on a bound socket. `close` ends it as a crash would: connections drop, work is abandoned."""

    def __init__(self, handler: Handler, bound: socket.socket) -> None:
        self._handler = handler
        self._bound = bound
        self.port: int = bound.getsockname()[1]
        self._listening: asyncio.Server | None = None
        self._connections: set[ServerConnection] = set()

    @property
    def is_open(self) -> bool:
        return self._listening is not None

    async def open(self) -> None:
        """Listens; does nothing when it does already."""
        if self._listening is None:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(self._connect, sock=self._bound)

    def crash(self) -> None:
        """Refuses connections from now on and drops those it has; the port stays reserved for `open`."""
        if self._listening is not None:
            self.close()
            self._bound = bind_loopback(self.port)

    def close(self) -> None:
        """Gives the port back and drops every connection."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self._bound.close()
        for connection in list(self._connections):
            connection.drop()

    def _connect(self) -> ServerConnection:
        return ServerConnection(self._handler, self._connections)


class ServerConnection(asyncio.Protocol):
    """One client's connection: its requests are answered one after the other, in order."""

    def __init__(self, handler: Handler, connections: set[ServerConnection]) -> None:
        self._handler = handler
        self._connections = connections
        self._framer = Framer()
        self._waiting: deque[Message] = deque()
        self._answering: asyncio.Task[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        # A request whose client went away is finished all the same: a late write must land, as it would elsewhere.
        self._connections.discard(self)
        self._transport = None
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        try:
            self._waiting.extend(self._framer.feed(data))
        except BadMessageError as error:
            self._refuse(error)
            return
        if len(self._waiting) > MAX_PIPELINED:
            self._refuse(BadMessageError(400, f"more than {MAX_PIPELINED} requests sent ahead"))
            return
        self._answer_next()

    def drop(self) -> None:
        """Ends the connection at once and abandons what it was answering."""
        if self._answering is not None:
            self._answering.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _answer_next(self) -> None:
        if self._answering is not None or not self._waiting:
            return
        message = self._waiting.popleft()
        try:
            request = read_request(message)
        except BadMessageError as error:
            self._refuse(error)
            return
        keep_alive = keeps_alive(message)
        self._answering = asyncio.ensure_future(self._handler(request))
        self._answering.add_done_callback(lambda task: self._answered(task, keep_alive=keep_alive))

    def _answered(self, task: asyncio.Task[Response], *, keep_alive: bool) -> None:
        self._answering = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("a handler failed", exc_info=error)
        self._write(json_response({"error": "internal"}, 500) if error else task.result(), keep_alive=keep_alive)
        self._answer_next()

    def _refuse(self, error: BadMessageError) -> None:
        self._waiting.clear()
        self._write(json_response({"error": str(error)}, error.status), keep_alive=False)

    def _write(self, response: Response, *, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(write_response(response, keep_alive=keep_alive))
        if not keep_alive:
            self._waiting.clear()
            transport.close()
