"""An engine as clients meet it: the real host and server on a real unix socket, over a route that is a number."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.checklist import default_items
from engine.client import EngineClient
from engine.events import StageRule
from engine.host import Host
from engine.inputs import Observation
from engine.plan.selector import Subject
from engine.routers import Router
from engine.serving import Server, bind
from engine.sources import Source
from engine.sources.reading import PART, TOTAL, Reading

PRE = [item.id for item in default_items((StageRule(100, 0.0, 1.0, 0),), ()) if item.list == "pre"]
PLAN = f"""
service: shop
version: {{canary: v2}}
router: {{sandbox: {{url: "http://127.0.0.1:1", stable: shop-a, canary: shop-b}}}}
source: {{scrape: {{urls: ["http://127.0.0.1:1/metrics"], interval: 1s}}}}
stages: [{{weight: 5, bake: 10m}}, {{weight: 100, bake: 10m}}]
metrics:
  errors: {{total: "requests", bad: "bad", alert: "> 2%"}}
checklist: {{drop: [{", ".join(PRE)}]}}
"""


@dataclass
class PaperRoute(Router):
    """A route whose weight is whatever was written last."""

    weight: int = 0
    generation: int = 1
    written: list[int] = field(default_factory=list)
    target: str = "paper"
    marked: str = ""
    engine: str = ""

    def __call__(self, _config: Any) -> PaperRoute:
        return self

    async def observe(self) -> Observation:
        return Observation(
            weight=float(self.weight),
            canary="v2",
            stable="v1",
            canary_ready=1,
            stable_ready=1,
            generation=str(self.generation),
            mark="",
            by="",
            marked_release=self.marked,
            engine=self.engine,
        )

    async def shift(self, write: Any) -> str:
        self.weight = write.weight
        self.generation += 1
        self.written.append(write.weight)
        return "written"

    async def addresses(self) -> dict[str, str]:
        return {}

    def manual_rollback(self, release: str) -> str:
        return f"set {release} to 0"

    def rollback_script(self, release: str) -> str:
        return "ok=1"

    async def close(self) -> None: ...


class SteadySource(Source):
    """Stable serves 100 requests a look, none bad; of the canary nothing is seen."""

    def __init__(self, _config: Any) -> None:
        self._requests = 0.0

    async def read(self, _queries: Any, *, canary: Subject, stable: Subject) -> Reading:
        self._requests += 100
        counts = {TOTAL: self._requests, PART: 0.0}
        return Reading(time.time(), {("errors", "stable", role): {"one": count} for role, count in counts.items()})

    async def close(self) -> None: ...


@dataclass
class Served:
    """An engine that answers at `client.socket`."""

    host: Host
    server: Server
    route: PaperRoute
    client: EngineClient
    running: asyncio.Task[None]

    @property
    def port(self) -> int:
        """Of TLS, when it is configured."""
        return self.server.addresses["listen"][1]

    async def begin(self, **said: str) -> str:
        """A release of PLAN."""
        return await asyncio.to_thread(lambda: self.client.begin(PLAN, "plan.yaml", **said))

    async def ready(self, release: str) -> dict[str, Any]:
        """Wait until the release may be advanced."""
        return await self.until(release, orders=["advance", "cancel"])

    async def until(self, release: str, **wanted: Any) -> dict[str, Any]:
        """Wait until the look at a release has these values."""
        async with asyncio.timeout(20):
            while True:
                seen = await asyncio.to_thread(self.client.look, release)
                if all(seen[name] == value for name, value in wanted.items()):
                    return seen
                await asyncio.sleep(0.01)

    async def raw(self, request: bytes) -> tuple[int, Any]:
        """What is answered to these bytes: the status, and the JSON."""
        reader, writer = await asyncio.open_unix_connection(self.client.address)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(content)

    async def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """POST bytes, whatever they are."""
        head = f"POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self.raw(head.encode() + body)


@asynccontextmanager
async def served(monkeypatch: Any, settings: str = "") -> AsyncIterator[Served]:
    """An engine on a new state folder for as long as the block lasts; `settings` is its engine.yaml."""
    route = PaperRoute()
    monkeypatch.setattr("engine.routers.sandbox.SandboxRouter", route)
    monkeypatch.setattr("engine.sources.scrape.ScrapeSource", SteadySource)
    with tempfile.TemporaryDirectory(prefix="ls-", dir="/tmp") as folder:  # a socket's path is short
        if settings:
            (Path(folder) / "engine.yaml").write_text(settings)
        client = EngineClient(folder=Path(folder), who="ann")
        host = Host(Path(folder))
        server = Server(host, Path(folder))
        try:
            with bind(Path(client.address)) as listening, ExitStack() as more:
                server.listen(more)
                running = asyncio.create_task(server.serve(listening))
                try:
                    yield Served(host, server, route, client, running)
                finally:
                    server.stop()
                    with suppress(asyncio.CancelledError):
                        await running
        finally:
            await host.close()
