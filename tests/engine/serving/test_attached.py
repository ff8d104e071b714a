"""Many cockpits on one release: each sees the others, and none of them can slow anybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest

from engine.presence import Here
from engine.serving import stream as engine_stream
from tests.engine.served import Served, served

STALLED = 50


@pytest.fixture
async def engine(monkeypatch) -> AsyncIterator[Served]:
    async with served(monkeypatch) as running:
        yield running


@asynccontextmanager
async def cockpit(engine: Served, release: str, **asked: str) -> AsyncIterator[AsyncGenerator[dict[str, Any], None]]:
    """The beats that a cockpit hears."""
    transport = httpx.AsyncHTTPTransport(uds=engine.client.address)
    path = f"http://e/v1/releases/{release}/events"
    async with (
        httpx.AsyncClient(transport=transport, timeout=20) as http,
        http.stream("GET", path, params=asked) as answer,
        aclosing(beats(answer)) as heard,
    ):
        yield heard


async def beats(answer: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        kind = value if name == "event" else kind
        if name == "data" and kind == "beat":
            yield json.loads(value)


async def until_here(heard: AsyncGenerator[dict[str, Any], None], *wanted: tuple[str, bool]) -> None:
    """Wait for a beat in which these are here: the words about the place in brackets, and whether they drive."""
    async with asyncio.timeout(20):
        async for beat in heard:
            if [(one["where"].partition("(")[2].rstrip(")"), one["driving"]) for one in beat["here"]] == [*wanted]:
                return


async def order(engine: Served, release: str, where: str, number: str) -> int:
    body = json.dumps({"verb": "note", "reason": "hello", "id": number, "where": where})
    return (await engine.post(f"/v1/releases/{release}/orders", body.encode()))[0]


async def test_each_sees_the_others_come_drive_and_go(engine: Served, monkeypatch):
    monkeypatch.setattr(engine_stream, "BEAT_S", 3600.0)  # what is heard is heard at once
    release = await engine.begin()
    async with cockpit(engine, release, where="tty1") as first:
        await until_here(first, ("tty1", False))
        async with cockpit(engine, release, where="tty2") as second:
            await until_here(first, ("tty1", False), ("tty2", False))
            assert await order(engine, release, "tty2", "1") == 200
            await until_here(first, ("tty1", False), ("tty2", True))
            look = await asyncio.to_thread(engine.client.look, release)
            assert [one["since"] <= look["here"][-1]["since"] for one in look["here"]] == [True, True]
            (row,) = await asyncio.to_thread(engine.client.ask, "GET", "/v1/releases")
            assert row["here"] == 2
            await until_here(second, ("tty1", False), ("tty2", True))
        await until_here(first, ("tty1", True))  # the same person, at the terminal that is left


async def test_a_read_only_cockpit_never_drives(engine: Served):
    release = await engine.begin()
    async with cockpit(engine, release, where="tty1", watching="1") as heard:
        await until_here(heard, ("tty1", False))
        assert await order(engine, release, "tty1", "1") == 200
        async with cockpit(engine, release, where="tty2") as other:
            await until_here(other, ("tty1", False), ("tty2", True))


async def test_who_drove_before_everybody_left_is_known_from_the_record(engine: Served):
    release = await engine.begin()
    assert await order(engine, release, "tty1", "1") == 200
    async with cockpit(engine, release, where="tty1") as heard:
        await until_here(heard, ("tty1", True))


@pytest.mark.real
async def test_fifty_that_stop_reading_slow_neither_the_engine_nor_who_reads(engine: Served, monkeypatch, caplog):
    monkeypatch.setattr(engine_stream, "STUCK_S", 0.5)
    release = await engine.begin()
    await engine.ready(release)
    async with AsyncExitStack() as lines:
        for _ in range(STALLED):
            reader, writer = await asyncio.open_unix_connection(engine.client.address, limit=1024)
            lines.callback(writer.close)
            writer.write(f"GET /v1/releases/{release}/events HTTP/1.1\r\nHost: e\r\n\r\n".encode())
            await reader.readexactly(20)
            writer.transport.pause_reading()
        heard: list[int] = []

        async def read() -> None:
            async for one in engine.client.events(release):
                if hasattr(one, "seq"):
                    heard.append(one.seq)
                    if getattr(one.event, "text", "") == "last":
                        return

        reading = asyncio.create_task(read())
        for _ in range(60):
            assert (await engine.client.order(release, "note", reason="x" * 9000)).accepted
        assert (await engine.client.order(release, "note", reason="last")).accepted
        await asyncio.wait_for(reading, 30)
        assert heard == list(range(1, len(heard) + 1)), "everything, once and in order"
        left = asyncio.Event()
        leave = engine.server.presence.attach(release, Here("", "", 0.0), left.set)
        async with asyncio.timeout(30):
            while engine.server.presence.count(release) > 1:
                left.clear()
                await left.wait()
        leave()
        assert caplog.text.count("a client that reads no events is cut") == STALLED
