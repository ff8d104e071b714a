"""A real engine in a process of its own: to kill, to starve, to start again; and one on a real sandbox."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from engine.client import EngineClient, EngineGone
from engine.controller import events_of
from engine.events import Event, ShiftConfirmed
from engine.journal.store import Journal
from engine.script import script_path
from sandbox import process as sandbox_process

STABLE, CANARY = "shop-a", "shop-b"
PLAN = """
service: shop
version: {{canary: v1.5.0}}
router:
  sandbox: {{url: "{gateway}", stable: shop-a, canary: shop-b}}
source:
  scrape: {{urls: ["{gateway}/metrics"], interval: 1s, timeout: 500ms}}
stages:
  - {{weight: 20, warmup: 0s, bake: 1s, min_requests: 20}}
  - {{weight: 60, warmup: 0s, bake: 1s, min_requests: 40}}
  - {{weight: 100, warmup: 0s, bake: 1s, min_requests: 60}}
advance: {advance}
keep_old: 10m
converge: 5s
wait_for_canary: 30s
metrics:
  error_rate:
    total: http_requests_total{{version="$version"}}
    bad: http_requests_total{{version="$version",code=~"[45].."}}
    baseline: 0.1%
    alert: "> 5%"
  latency_p95: {{histogram: http_request_duration_seconds, quantile: 0.95, baseline: 150ms, alert: "> 1s"}}
rollback: {{budget: 2s, hard_limit: 4s}}
blind: {{after: 4s, then: hold}}
checklist: {{drop: [regression, smoke, performance, security, rollback-tested]}}
checks:
  stage:
    - http: {{path: /healthz}}
"""


@dataclass
class EngineStand:
    """An engine's state folder, the engine when one runs, and the release that is looked at."""

    home: Path
    client: EngineClient = field(init=False)
    engine: subprocess.Popen[bytes] | None = None
    release: str = ""
    arguments: tuple[str, ...] = ()  # of `laneshift serve`

    def __post_init__(self) -> None:
        self.client = EngineClient(folder=self.home, who="ada")

    # --- the engine

    def boot(self) -> None:
        """Start an engine and wait until it answers."""
        self.engine = self.spawn()
        self.until(self.client.is_there, 20)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start an engine and wait for nothing."""
        with (self.home / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", "serve", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env={**os.environ, "LANESHIFT_HOME": str(self.home)},
            )

    def kill(self) -> None:
        """kill -9."""
        assert self.engine is not None
        self.engine.kill()
        self.engine.wait()
        self.engine = None

    def limit_disk(self, full: bool) -> None:
        """From now on the engine can write no byte to any file; or it can again."""
        assert self.engine is not None
        _, hard = resource.prlimit(self.engine.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.engine.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    # --- the release

    def look(self) -> dict[str, Any]:
        return self.client.look(self.release)

    def order(self, verb: str, **said: Any) -> None:
        answer = self.client.give(self.release, verb, **said)
        assert answer.accepted, answer.why

    def ends(self, phase: str, limit: float = 60) -> None:
        self.until(lambda: self.look()["phase"] == phase, limit)

    def at_stage(self, stage: int) -> None:
        """Until this stage's weight is in effect, and recorded: what is shown may be some ms ahead of the journal."""
        self.until(lambda: self.look()["stage"] == stage and self.look()["step"] != "shift")
        self.until(lambda: sum(isinstance(event, ShiftConfirmed) for event in self.history()) > stage)

    def history(self) -> list[Event]:
        """All events, as the journal has them, engine or no engine."""
        with Journal.open(self.home / "journal.db", readonly=True) as journal:
            return [said.event for said in events_of(journal.read(self.release))]

    def run_script(self) -> subprocess.CompletedProcess[str]:
        path = script_path(self.home, self.release)
        return subprocess.run(["/bin/sh", str(path)], capture_output=True, text=True, timeout=60, check=False)

    # --- waiting

    def until(self, holds: Callable[[], object], limit: float = 40) -> None:
        """Ask again and again until it holds; fails after `limit` seconds with what is seen then."""
        deadline = time.monotonic() + limit
        while not holds():
            assert time.monotonic() < deadline, self._seen()
            time.sleep(0.05)

    def never(self, holds: Callable[[], object], seconds: float) -> None:
        """Fails as soon as it holds within `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert not holds(), self._seen()
            time.sleep(0.1)

    def _seen(self) -> str:
        log = (self.home / "engine.log").read_text()[-3000:]
        try:
            return f"{self.look()}\n{log}" if self.release else log
        except EngineGone:
            return log


@dataclass
class Stand(EngineStand):
    """A sandbox beside it."""

    sandbox: sandbox_process.Running = field(kw_only=True)

    def start(self, advance: str = "auto", route: str = "") -> None:
        """Begin a release; `route` is another way to the gateway's weights."""
        gateway = self.sandbox.urls.gateway
        plan = PLAN.format(gateway=gateway, advance=advance)
        plan = plan.replace(f'sandbox: {{url: "{gateway}"', f'sandbox: {{url: "{route or gateway}"')
        self.release = self.client.begin(plan, "plan.yaml")

    # --- the shop

    def weight(self) -> int:
        """Percent on the canary, as the gateway has it."""
        route = httpx.get(f"{self.sandbox.urls.gateway}/admin/route", timeout=15).json()
        return int(route["backends"][CANARY]["weight"])

    def set_weight(self, weight: int) -> None:
        """Somebody moves the traffic past laneshift."""
        body = {"weights": {STABLE: 100 - weight, CANARY: weight}}
        httpx.put(f"{self.sandbox.urls.gateway}/admin/route", json=body, timeout=15).raise_for_status()

    def fault(self, name: str, on: bool) -> None:
        """`stopped` is a gateway whose process stands still; any other is one of the sandbox' own."""
        if name == "stopped":
            os.kill(self.sandbox.pid, signal.SIGSTOP if on else signal.SIGCONT)
            return
        httpx.put(f"{self.sandbox.urls.gateway}/admin/faults", json={name: on}, timeout=15).raise_for_status()


@contextmanager
def stand() -> Iterator[Stand]:
    """A stand whose engine is not started yet; all of it is gone when the block ends. The folder's name is short, for a
    unix socket's path must be."""
    home = Path(tempfile.mkdtemp(prefix="ls-"))
    with sandbox_process.running(home, base_port=0, rps=150, seed=11) as started:
        made = Stand(home, sandbox=started)
        try:
            yield made
        finally:
            os.kill(started.pid, signal.SIGCONT)
            if made.engine is not None:
                made.kill()
    shutil.rmtree(home)
