"""The contract of routers on the sandbox's own gateway; the others have theirs beside them."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.contract.routers import FencedContract
from engine.routers.config import SandboxConfig
from engine.routers.sandbox import SandboxRouter
from sandbox.process import Running, running
from tests.support.stopped import wait_until_stopped

pytestmark = pytest.mark.real


class SandboxWorld:
    versions = ("v1.5.0", "v1.4.0")

    def __init__(self, process: Running) -> None:
        self._process = process
        self._route = f"{process.urls.gateway}/admin/route"
        self.router = self._router()

    async def shown(self) -> float:
        async with httpx.AsyncClient() as http:
            route: dict[str, Any] = (await http.get(self._route)).json()
        return float(route["backends"]["shop-b"]["weight"])

    async def edit(self, weight: int) -> None:
        async with httpx.AsyncClient() as http:
            body = {"weights": {"shop-a": 100 - weight, "shop-b": weight}}
            (await http.put(self._route, json=body)).raise_for_status()

    def another(self) -> SandboxRouter:
        return self._router()

    def misnamed(self) -> tuple[SandboxRouter, str]:
        return self._router(canary="shop-z"), "shop-b"

    async def silence(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)
        wait_until_stopped(self._process.pid)

    async def wake(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def kill(self) -> None:
        self._process.stop()

    def _router(self, **changes: str) -> SandboxRouter:
        return SandboxRouter(SandboxConfig.model_validate({"url": self._process.urls.gateway, **changes}))


class TestSandbox(FencedContract):
    @pytest.fixture
    def sandbox(self) -> Iterator[Running]:
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), base_port=0, rps=20) as started:
            yield started

    @pytest.fixture
    async def world(self, sandbox: Running) -> AsyncIterator[SandboxWorld]:
        made = SandboxWorld(sandbox)
        yield made
        await made.wake() if sandbox.process.poll() is None else None
        await made.router.close()
