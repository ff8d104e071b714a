"""The contract of routers on two real HAProxies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from engine.contract.routers import FencedContract, InstancesContract, MarkContract
from engine.routers.haproxy import HaproxyRouter
from engine.routers.proxy_config import HaproxyConfig
from tests.support.answering import Answering, answering
from tests.support.haproxy_process import BACKEND, HaproxyProcess, running_haproxy

pytestmark = pytest.mark.real


class HaproxyWorld:
    versions = ("v2", "v1")

    def __init__(self, processes: list[HaproxyProcess], servers: dict[str, Answering]) -> None:
        self.processes, self.servers = processes, servers
        self.router = self._router()

    async def shown(self) -> float:
        """As both show it; -1 when they do not agree."""
        found = {
            100 * weights["b"] / (weights["a"] + weights["b"])
            for weights in (process.weights() for process in self.processes)
        }
        return found.pop() if len(found) == 1 else -1.0

    async def edit(self, weight: int) -> None:
        for process in self.processes:
            process.set_weights({"a": 100 - weight, "b": weight})

    def another(self) -> HaproxyRouter:
        return self._router()

    def misnamed(self) -> tuple[HaproxyRouter, str]:
        return self._router("z"), "a, b"

    async def silence(self) -> None:
        for process in self.processes:
            process.freeze()

    async def silence_one(self) -> str:
        self.processes[1].freeze()
        return self.processes[1].socket

    async def wake(self) -> None:
        for process in self.processes:
            process.thaw()

    async def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def _router(self, canary: str = "b") -> HaproxyRouter:
        config = {
            "sockets": [process.socket for process in self.processes],
            "backend": BACKEND,
            "stable": {"servers": ["a"], "urls": [self.servers["a"].url]},
            "canary": {"servers": [canary], "urls": [self.servers["b"].url]},
        }
        return HaproxyRouter(HaproxyConfig.model_validate(config))


class TestHaproxy(FencedContract, MarkContract, InstancesContract):
    @pytest.fixture
    def servers(self) -> Iterator[dict[str, Answering]]:
        with answering("v1") as a, answering("v2") as b:
            yield {"a": a, "b": b}

    @pytest.fixture
    async def world(self, servers: dict[str, Answering]) -> AsyncIterator[HaproxyWorld]:
        with ExitStack() as stack:
            urls = {name: server.url for name, server in servers.items()}
            processes = [stack.enter_context(running_haproxy(urls)) for _ in range(2)]
            made = HaproxyWorld(processes, servers)
            yield made
            await made.router.close()
