"""The backends behind the gateway, as it knows them: where they are, what they run, how much traffic each gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from sandbox.client import ConnectionPool
from sandbox.route import Route
from sandbox.wire import CHECK_HEADER, BadMessageError, Request, Response

PROBE_TIMEOUT = 1.0  # seconds
_PROBE = Request("GET", "/healthz", {CHECK_HEADER: "probe"})


class Backend:
    """One side. `version` and `ready` are what its last probe, or a refused connection since, told."""

    def __init__(self, name: str, port: int, version: str) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.version = version
        self.ready = False
        self._connections = ConnectionPool(port)

    async def send(self, request: Request) -> Response:
        """The backend's answer; raises what ConnectionPool.send does."""
        try:
            return await self._connections.send(request)
        except ConnectionRefusedError:
            self.ready = False
            raise

    async def probe(self) -> None:
        """Asks the backend whether it is up, and which version it runs."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                answer = await self.send(_PROBE)
        except (OSError, BadMessageError):
            self.ready = False
        else:
            self.ready = answer.status == 200
            self.version = answer.headers.get("x-version", self.version)

    def close(self) -> None:
        self._connections.close()


class Fleet:
    """The backends by name and the route over them."""

    def __init__(self, backends: Iterable[Backend], route: Route) -> None:
        self.backends = {backend.name: backend for backend in backends}
        self.route = route

    def weight(self, name: str) -> int:
        return self.route.weights[name]

    def pick(self, chance: float) -> Backend:
        """The backend for one request; `chance` is uniform in [0, 1)."""
        return self.backends[self.route.pick(chance)]

    async def probe(self) -> None:
        """Probes every backend once."""
        await asyncio.gather(*(backend.probe() for backend in self.backends.values()))

    def close(self) -> None:
        for backend in self.backends.values():
            backend.close()

    def view(self, route: Route | None = None) -> dict[str, Any]:
        """What /admin/route tells of the route in force (or of `route`)."""
        shown = route or self.route
        return {
            "route": "shop",
            "backends": {
                name: {
                    "weight": shown.weights[name],
                    "version": backend.version,
                    "ready": int(backend.ready),
                    "url": backend.url,
                }
                for name, backend in self.backends.items()
            },
            "mark": shown.mark_view(),
            "generation": shown.generation,
            "owner": "",
        }
