from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.client import ConnectionPool
from sandbox.server import MAX_PIPELINED, HttpServer, bind_loopback
from sandbox.wire import BadMessageError, Request, Response

GET = Request("GET", "/", {})


async def echo(request: Request) -> Response:
    if request.path == "/later":
        await asyncio.sleep(0.01)
    return Response(200, request.target.encode())


@asynccontextmanager
async def serving(handler=echo) -> AsyncIterator[tuple[HttpServer, ConnectionPool]]:
    server = HttpServer(handler, bind_loopback(0))
    await server.open()
    pool = ConnectionPool(server.port)
    try:
        yield server, pool
    finally:
        pool.close()
        server.close()
        await asyncio.sleep(0)  # the loop closes the transports


async def raw(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_requests_sent_ahead_are_answered_in_order():
    async with serving() as (server, _):
        answers = await raw(
            server.port,
            b"GET /later HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\nGET /last HTTP/1.1\r\nconnection: close\r\n\r\n",
        )
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"/later",
        b"/second",
        b"/last",
    ]


async def test_too_many_requests_sent_ahead_are_refused():
    async with serving() as (server, _):
        answers = await raw(server.port, b"GET /later HTTP/1.1\r\n\r\n" * (MAX_PIPELINED + 1))
    assert answers.startswith(b"HTTP/1.1 400")


async def test_what_is_no_http_is_refused_and_the_connection_closed():
    async with serving() as (server, _):
        assert (await raw(server.port, b"hello\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_connections_are_kept():
    async with serving() as (_, pool):
        await pool.send(GET)
        (kept,) = pool._idle
        await pool.send(GET)
        assert list(pool._idle) == [kept]


async def test_a_failing_handler_is_500_and_logged(caplog):
    async def broken(request: Request) -> Response:
        raise KeyError("secret detail")

    with caplog.at_level(logging.ERROR):
        async with serving(broken) as (_, pool):
            answer = await pool.send(GET)
    assert (answer.status, b"secret" in answer.body) == (500, False)
    assert "secret detail" in caplog.text


async def test_a_crashed_server_refuses_and_comes_back_on_its_port():
    async with serving() as (server, pool):
        port = server.port
        await pool.send(GET)
        server.crash()
        for _ in range(2):  # the kept connection is dropped, a new one refused
            with pytest.raises(ConnectionError):
                await pool.send(GET)
        with pytest.raises(ConnectionRefusedError):
            await pool.send(GET)
        await server.open()
        assert (server.port, (await pool.send(GET)).status) == (port, 200)


async def test_a_crash_abandons_what_was_being_answered():
    started, ended = asyncio.Event(), []

    async def slow(request: Request) -> Response:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return Response(200)

    async with serving(slow) as (server, pool):
        asking = asyncio.ensure_future(pool.send(GET))
        await started.wait()
        server.crash()
        with pytest.raises(ConnectionError):
            await asking
    assert ended == ["cancelled"]


async def test_a_request_is_finished_though_its_client_left():
    started, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await go_on.wait()
        finished.set()
        return Response(200)

    async with serving(slow) as (_, pool):
        asking = asyncio.ensure_future(pool.send(GET))
        await started.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        go_on.set()
        await asyncio.wait_for(finished.wait(), 5)


async def test_an_answer_that_is_no_http_is_an_error_not_an_answer():
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"garbage\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        pool = ConnectionPool(server.sockets[0].getsockname()[1])
        with pytest.raises(BadMessageError):
            await pool.send(GET)
        pool.close()


def test_a_port_in_use_cannot_be_bound():
    taken = bind_loopback(0)
    taken.listen()
    with pytest.raises(OSError, match="in use"):
        bind_loopback(taken.getsockname()[1])
    taken.close()
