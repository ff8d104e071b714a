"""What `laneshift demo` starts: a sandbox, an engine, and a release of sample_configs/sandbox.yaml on them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engine.client import EngineClient, EngineGone, ensure_engine
from sample_configs import path as sample
from sandbox import process
from sandbox.ready import Ready
from tui.hooks import Fault

BASE_PORT = 7480  # the one that the sample plan names
RPS = 500  # with fewer, a healthy canary's proof at 5% takes longer than anybody watches a demo
ADMIN_LIMIT_S = 3.0
ENDED = ("promoted", "rolled_back", "cancelled")
ABOUT = "a demo: lines and bakes of seconds, which its traffic can prove; sandbox-full.yaml has the real ones"
WAIVERS = {
    "regression": "demo: the sandbox shop has no regression suite",
    "performance": "demo: no load test is run beside the traffic",
    "security": "demo: nothing of the shop is built, so nothing is scanned",
    "rollback-tested": "demo: R and y roll back at any time; try it",
}


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its process and its gateway."""

    pid: int
    gateway: str

    def faults(self) -> Mapping[str, Fault]:
        """All faults by name. Raises ConnectionError."""
        found = self._admin("GET", None)["faults"]
        return {name: Fault(fault["on"], fault["help"]) for name, fault in found.items()}

    def set_fault(self, name: str, on: bool) -> None:
        """Switch one on or off. Raises ConnectionError."""
        self._admin("PUT", {name: on})

    def stop(self) -> None:
        """End its process; harmless when it has ended."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and _is_running(self.pid):
            time.sleep(0.02)

    def _admin(self, method: str, body: Mapping[str, bool] | None) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            answer = httpx.request(
                method, f"{self.gateway}/admin/faults", json=body, timeout=ADMIN_LIMIT_S, trust_env=False
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ConnectionError(f"the sandbox does not answer: {error}") from error
        found: dict[str, dict[str, dict[str, Any]]] = answer.json()
        return found


def _is_running(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that has ended is still there until it is asked for
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(slots=True)
class Demo:
    """A demo under way; it is what the cockpit calls its hooks."""

    client: EngineClient
    sandbox: Sandbox
    release: str
    about: str = ABOUT

    async def faults(self) -> Mapping[str, Fault]:
        """All faults by name."""
        return await asyncio.to_thread(self.sandbox.faults)

    async def set_fault(self, name: str, on: bool) -> None:
        """Switch one on or off."""
        await asyncio.to_thread(self.sandbox.set_fault, name, on)

    async def stop(self) -> None:
        """Stop the sandbox, and the engine when nothing else is under way in it."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """As `stop`. A release that is still under way is taken back first: its shop is about to go."""
        try:
            self._take_back()
            self.sandbox.stop()
            if all(one.phase in ENDED for one in self.client.held()):
                self.client.ask("POST", "/v1/stop")
        except EngineGone:
            self.sandbox.stop()

    def _take_back(self) -> None:
        phase = self.client.look(self.release)["phase"]
        if phase in ENDED:
            return
        self.client.give(self.release, "rollback", reason="the demo was stopped")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.client.look(self.release)["phase"] not in ENDED:
            time.sleep(0.05)


def running_demo(client: EngineClient) -> Demo | None:
    """A demo that was left running, with its release still under way."""
    sandbox = _left_running(client.folder)
    if sandbox is None or not client.is_there():
        return None
    target = f"sandbox {sandbox.gateway}/admin/route"
    live = [one for one in client.held() if one.target == target and one.phase not in ENDED]
    return Demo(client, sandbox, live[-1].release) if live else None


def begin_demo(client: EngineClient) -> Demo:
    """Start a fresh sandbox, an engine when none runs, and the release. Raises SandboxError, EngineGone."""
    left = _left_running(client.folder)
    if left is not None:
        left.stop()
    folder = client.folder / "sandbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    started = _start_sandbox(folder)
    sandbox = Sandbox(started.pid, started.urls.gateway)
    try:
        ensure_engine(client)
        release = client.begin(_plan(started), "sample_configs/sandbox.yaml")
        for item, reason in WAIVERS.items():
            client.give(release, "waive", item=item, reason=reason)
    except BaseException:
        sandbox.stop()
        raise
    return Demo(client, sandbox, release)


def _start_sandbox(folder: Path) -> process.Running:
    try:
        return process.start(folder, base_port=BASE_PORT, rps=RPS)
    except process.SandboxError:
        return process.start(folder, base_port=0, rps=RPS)  # the usual ports are taken; any will do


def _plan(started: process.Running) -> str:
    """The sample plan at the addresses that this sandbox has."""
    text = sample("sandbox.yaml").read_text()
    addresses = [started.urls.gateway, *(started.urls.backends[name] for name in ("shop-a", "shop-b"))]
    for number, address in enumerate(addresses):
        text = text.replace(f"127.0.0.1:{BASE_PORT + number}", address.removeprefix("http://"))
    return text


def _left_running(folder: Path) -> Sandbox | None:
    """The sandbox of an earlier demo that nobody stopped."""
    try:
        ready = Ready.read((folder / "sandbox" / process.READY_NAME).read_text())
    except (OSError, ValueError, KeyError):
        return None
    sandbox = Sandbox(ready.pid, ready.urls.gateway)
    try:
        sandbox.faults()
    except ConnectionError:
        return None
    return sandbox
