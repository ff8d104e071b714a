"""The dead man's switch: called while the engine can be relied on, silent else, and never anybody's trouble."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.config import parse_engine_config
from engine.dead_man import DeadMan
from engine.host import Host
from engine.journal.store import Journal
from engine.journal.writer import JournalWriter
from engine.serving.duties import call_dead_man
from engine.telemetry import Vital, probes, ready
from tests.engine.telemetry.shown import ShownHost
from tests.support.canned_http import Canned, answered, canned

PATH = "/ping/a-secret-path"


@asynccontextmanager
async def running(dead_man: DeadMan) -> AsyncIterator[None]:
    task = asyncio.create_task(dead_man.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Told:
    """The last that was said."""

    notice: str = ""

    def say(self, notice: str) -> None:
        self.notice = notice


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  no event
            await asyncio.sleep(0.01)


@pytest.fixture
async def world() -> AsyncIterator[Canned]:
    async with canned() as told:
        told.answers[PATH] = answered(200, b"ok")
        yield told


async def test_it_calls_again_and_again(world: Canned) -> None:
    async with running(DeadMan(world.url + PATH, 0.02, lambda: (True, ""), Told().say)):
        await until(lambda: len(world.seen) >= 3)
    assert {(method, path) for method, path, _, _ in world.seen} == {("GET", PATH)}


@pytest.mark.parametrize("answer", [answered(500, b"no"), b"nonsense\r\n\r\n", answered(404, b"")])
async def test_a_call_that_fails_is_said_without_its_path_and_tried_again(world: Canned, answer: bytes) -> None:
    world.answers[PATH] = answer
    told = Told()
    async with running(DeadMan(world.url + PATH, 0.02, lambda: (True, ""), told.say)):
        await until(lambda: bool(told.notice))
        assert "127.0.0.1" in told.notice
        assert "secret" not in told.notice
        world.answers[PATH] = answered(200, b"ok")
        await until(lambda: not told.notice)


async def test_nobody_there_is_no_trouble() -> None:
    told = Told()
    async with running(DeadMan("http://127.0.0.1:1" + PATH, 0.02, lambda: (True, ""), told.say)):
        await until(lambda: "can't be called" in told.notice)
    assert "secret" not in told.notice


@pytest.mark.real
async def test_it_is_silent_while_the_journals_thread_is_stuck(
    world: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real writer, its thread held in the middle of its work."""
    monkeypatch.setattr(probes, "SILENT_S", 0.1)
    go_on = threading.Event()
    with Journal.open(tmp_path / "journal.db") as journal:
        writer = JournalWriter(journal)
        host = ShownHost()

        def is_ready() -> tuple[bool, str]:
            host.vital_now = Vital([], journal_lives=writer.lives, journal_silent_s=writer.silent_s)
            return ready(host)

        told = Told()
        async with running(DeadMan(world.url + PATH, 0.02, is_ready, told.say)):
            await until(lambda: len(world.seen) >= 2)
            writer.call(lambda _: go_on.wait(30))
            await until(lambda: "the journal has answered nothing" in told.notice)
            heard = len(world.seen)
            await asyncio.sleep(0.3)
            assert len(world.seen) == heard
            go_on.set()
            await until(lambda: len(world.seen) > heard)
        assert writer.close()


async def test_an_address_that_is_nowhere_is_said_in_the_engines_notices(tmp_path: Path) -> None:
    config = parse_engine_config(b'dead_man: {url: "${file:not-there}"}')
    host = Host(tmp_path)
    try:
        await call_dead_man(host, tmp_path, config)
        [notice] = host.notices
        assert "nobody hears when this engine is gone" in notice
        assert "not-there" in notice
    finally:
        await host.close()
