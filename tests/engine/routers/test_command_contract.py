"""The contract of routers on commands: on a script of files, and on the sample that moves the sandbox's gateway."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

import sample_configs
from engine.config import VARIABLE, Surroundings
from engine.contract.routers import FencedContract, SecretContract
from engine.plan.model import Plan, read_plan
from engine.routers.command import CommandRouter
from engine.secrets import Secrets
from sandbox.process import Running, running
from tests.support.command_target import SECRET, CommandTarget
from tests.support.programs import need

pytestmark = pytest.mark.real


class FilesWorld:
    versions = ("v2", "v1")
    secret = SECRET

    def __init__(self, home: Path) -> None:
        self.target = CommandTarget(home)
        self.router = self.target.router()

    async def shown(self) -> float:
        return self.target.weight()

    async def edit(self, weight: int) -> None:
        self.target.set(weight)

    def another(self) -> CommandRouter:
        return self.target.router()

    def misnamed(self) -> tuple[CommandRouter, str]:
        return self.target.router("green"), "canary"

    async def silence(self) -> None:
        self.target.silence()

    async def wake(self) -> None:
        self.target.wake()

    async def kill(self) -> None:
        (self.target.home / "target.sh").unlink()


class TestFiles(FencedContract, SecretContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[FilesWorld]:
        made = FilesWorld(tmp_path)
        yield made
        await made.router.close()


class SandboxWorld:
    versions = ("v1.5.0", "v1.4.0")

    def __init__(self, process: Running, home: Path) -> None:
        self._process, self._home = process, home
        self._route = f"{process.urls.gateway}/admin/route"
        self.router = self._router()

    async def shown(self) -> float:
        async with httpx.AsyncClient() as http:
            return float((await http.get(self._route)).json()["backends"]["shop-b"]["weight"])

    async def edit(self, weight: int) -> None:
        async with httpx.AsyncClient() as http:
            body = {"weights": {"shop-a": 100 - weight, "shop-b": weight}}
            (await http.put(self._route, json=body)).raise_for_status()

    def another(self) -> CommandRouter:
        return self._router()

    def misnamed(self) -> tuple[CommandRouter, str]:
        return self._router(canary_side="shop-z"), "shop-b"

    async def silence(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    async def wake(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def kill(self) -> None:
        self._process.stop()

    def _router(self, **changes: str) -> CommandRouter:
        plan = sample_plan()
        gateway = self._process.urls.gateway.removeprefix("http://")
        config = plan.router.config.model_copy(
            update={"params": {"gateway": gateway, "stable": "shop-a", "canary_side": "shop-b", **changes}}
        )
        return CommandRouter(config, Surroundings(Secrets(self._home), plan.service, "v1.5.0"))


def sample_plan() -> Plan:
    return read_plan(sample_configs.path("command.yaml"))


class TestTheSampleOnTheSandbox(FencedContract):
    limit_s = 12.0

    @pytest.fixture
    def sandbox(self) -> Iterator[Running]:
        need("curl")
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), base_port=0, rps=20) as started:
            yield started

    @pytest.fixture
    async def world(
        self, sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[SandboxWorld]:
        monkeypatch.setenv(VARIABLE, str(Path(sample_configs.__file__).parent / "engine" / "engine.yaml"))
        made = SandboxWorld(sandbox, tmp_path)
        yield made
        await made.wake() if sandbox.process.poll() is None else None
        await made.router.close()

    async def test_the_sides_are_known_by_address(self, world: SandboxWorld) -> None:
        addresses = await world.router.addresses()
        assert addresses["public"] == world._process.urls.gateway
        async with httpx.AsyncClient() as http:
            answers = {side: await http.get(f"{addresses[side]}/healthz") for side in ("canary", "stable")}
        assert {side: answer.headers["X-Version"] for side, answer in answers.items()} == {
            "canary": "v1.5.0",
            "stable": "v1.4.0",
        }
