"""Versions as a side's servers answer them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.routers.proxy_config import ProxySide
from engine.routers.proxy_versions import EVERY_S, WORTH_S, AnsweredVersions
from tests.support.canned_http import NEVER, Canned, answered, canned


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[Canned]:
    async with canned() as told:
        told.answers["/version"] = version("v2")
        yield told


@pytest.fixture
async def versions(server: Canned, clock: Clock) -> AsyncIterator[AnsweredVersions]:
    sides = {"canary": ProxySide(urls=(f"{server.url}/",)), "stable": ProxySide(version="v1")}
    made = AnsweredVersions(sides, "version", "X-Release", now=clock)
    yield made
    await made.close()


def version(name: str) -> bytes:
    return answered(200, b"", {"X-Release": name})


async def after(clock: Clock, versions: AnsweredVersions, seconds: float) -> dict[str, str]:
    """What is known that much later, once the servers have answered again."""
    clock.at += seconds
    await versions.read()
    await asyncio.sleep(0.1)
    return await versions.read()


async def test_the_first_reading_waits_for_the_answer(versions: AnsweredVersions, server: Canned) -> None:
    assert await versions.read() == {"canary": "v2", "stable": "v1"}
    assert versions.addresses() == {"canary": f"{server.url}/"}
    [(_, path, _, head)] = server.seen
    assert path == "/version"
    assert "x-laneshift-check" in head.lower()


async def test_it_is_asked_once_a_second_at_most(versions: AnsweredVersions, server: Canned, clock: Clock) -> None:
    for _ in range(5):
        await versions.read()
    assert len(server.seen) == 1
    server.answers["/version"] = version("v3")
    assert (await after(clock, versions, EVERY_S))["canary"] == "v3"


async def test_a_server_that_hangs_keeps_its_version_for_a_while(
    versions: AnsweredVersions, server: Canned, clock: Clock
) -> None:
    await versions.read()
    server.answers["/version"] = answered(500, b"")
    assert (await after(clock, versions, EVERY_S))["canary"] == "v2"
    assert (await after(clock, versions, WORTH_S))["canary"] == ""


async def test_a_server_that_says_nothing_at_first_has_no_version(
    versions: AnsweredVersions, server: Canned, clock: Clock
) -> None:
    server.answers["/version"] = answered(404, b"")
    assert (await versions.read())["canary"] == ""
    server.answers["/version"] = version("v2")
    assert (await after(clock, versions, EVERY_S))["canary"] == "v2"


async def test_closing_leaves_no_question_open(versions: AnsweredVersions, server: Canned) -> None:
    server.answers["/version"] = NEVER
    reading = asyncio.create_task(versions.read())
    await asyncio.sleep(0.05)
    await versions.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
