"""A small HTTP client that keeps its connections to one server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from sandbox.wire import (
    BadMessageError,
    Framer,
    Message,
    Request,
    Response,
    keeps_alive,
    read_response,
    write_request,
)

MAX_IDLE = 64


class ConnectionPool:
    """Requests to 127.0.0.1:`port`, each on a connection of its own for as long as it takes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._host = f"127.0.0.1:{port}"
        self._idle: deque[ClientConnection] = deque()

    async def send(self, request: Request) -> Response:
        """The answer to `request`.

        Raises ConnectionRefusedError when nobody listens, another OSError when the connection broke, BadMessageError
        when what came is no answer. Nothing is tried twice: a retry would hide a failing backend.
        """
        connection = self._take() or await self._connect()
        try:
            message = await connection.exchange(write_request(request, self._host))
        except BaseException:
            connection.close()
            raise
        if keeps_alive(message) and len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()
        return read_response(message)

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> ClientConnection | None:
        # The one used last: what a burst opened beyond the usual need stays cold.
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> ClientConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(ClientConnection, "127.0.0.1", self._port)
        return connection


class ClientConnection(asyncio.Protocol):
    """One connection, with at most one exchange at a time."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Message] | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def exchange(self, data: bytes) -> asyncio.Future[Message]:
        """Sends `data`; the future holds the message that answers it, or why none came."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._fail(ConnectionResetError("the connection is closed"))
        else:
            self._transport.write(data)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framer.feed(data)
        except BadMessageError as error:
            self._fail(error)
            self.close()
            return
        if messages and self._answer is not None and not self._answer.done():
            self._answer.set_result(messages[0])

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionResetError("the connection closed before the answer"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
