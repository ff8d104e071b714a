"""The contract of routers on two real Envoys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from engine.contract.routers import FencedContract, InstancesContract, MarkContract
from engine.routers.envoy import EnvoyRouter
from engine.routers.proxy_config import EnvoyConfig
from tests.support.answering import Answering, answering
from tests.support.envoy_process import PREFIX, EnvoyProcess, running_envoy
from tests.support.stopped import wait_until_stopped

pytestmark = pytest.mark.real


class EnvoyWorld:
    versions = ("v2", "v1")

    def __init__(self, processes: list[EnvoyProcess], servers: dict[str, Answering]) -> None:
        self.processes, self.servers = processes, servers
        self.router = self._router()

    async def shown(self) -> float:
        """As both show it; -1 when they do not agree."""
        found = {_share(process.weights()) for process in self.processes}
        return found.pop() if len(found) == 1 else -1.0

    async def edit(self, weight: int) -> None:
        for process in self.processes:
            process.set_weights({"old": 100 - weight, "new": weight})

    def another(self) -> EnvoyRouter:
        return self._router()

    def misnamed(self) -> tuple[EnvoyRouter, str]:
        return self._router("newest"), "old, new"

    async def silence(self) -> None:
        for process in self.processes:
            process.freeze()
            wait_until_stopped(process.pid)

    async def silence_one(self) -> str:
        self.processes[1].freeze()
        wait_until_stopped(self.processes[1].pid)
        return self.processes[1].admin

    async def wake(self) -> None:
        for process in self.processes:
            process.thaw()

    async def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def _router(self, canary: str = "new") -> EnvoyRouter:
        config = {
            "admin": [process.admin for process in self.processes],
            "runtime_key": PREFIX,
            "stable": {"cluster": "old", "urls": [self.servers["old"].url]},
            "canary": {"cluster": canary, "urls": [self.servers["new"].url]},
        }
        return EnvoyRouter(EnvoyConfig.model_validate(config))


def _share(weights: dict[str, int]) -> float:
    """Nothing is set at the start: the configuration has all on the old one."""
    return 100 * weights.get("new", 0) / (weights.get("new", 0) + weights.get("old", 100))


class TestEnvoy(FencedContract, MarkContract, InstancesContract):
    @pytest.fixture
    def servers(self) -> Iterator[dict[str, Answering]]:
        with answering("v1") as old, answering("v2") as new:
            yield {"old": old, "new": new}

    @pytest.fixture
    async def world(self, servers: dict[str, Answering]) -> AsyncIterator[EnvoyWorld]:
        with ExitStack() as stack:
            clusters = {name: [server.url] for name, server in servers.items()}
            processes = [stack.enter_context(running_envoy(clusters)) for _ in range(2)]
            made = EnvoyWorld(processes, servers)
            yield made
            await made.router.close()
