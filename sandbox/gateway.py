"""The gateway: sends each public request to one of the backends by weight, and counts what became of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from sandbox.admin import PREFIX, Admin
from sandbox.backends import Backend, Fleet
from sandbox.faults import Faults
from sandbox.metrics import GatewayMetrics, expose, spoiled
from sandbox.wire import BadMessageError, Request, Response, json_response


class Gateway:
    """Serves /metrics and /admin itself and passes everything else on. `clock` is seconds, monotonic."""

    def __init__(
        self,
        fleet: Fleet,
        admin: Admin,
        metrics: GatewayMetrics,
        faults: Faults,
        rng: random.Random,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._fleet = fleet
        self._admin = admin
        self._metrics = metrics
        self._faults = faults
        self._rng = rng
        self._clock = clock
        self._known_versions: set[str] = set()

    async def handle(self, request: Request) -> Response:
        """The answer to any request."""
        if request.path == "/metrics":
            return await self._expose(request.headers.get("accept", ""))
        if request.path.startswith(PREFIX):
            return await self._admin.handle(request)
        return await self._pass_on(request)

    async def probe(self) -> None:
        """Looks after every backend, and gives a new version its zeros."""
        await self._fleet.probe()
        for backend in self._fleet.backends.values():
            if backend.version not in self._known_versions:
                self._known_versions.add(backend.version)
                self._metrics.know(backend.version)

    async def _pass_on(self, request: Request) -> Response:
        backend = self._fleet.pick(self._rng.random())
        began = self._clock()
        try:
            answer = await backend.send(request)
        except ConnectionRefusedError:
            answer = _unavailable(backend, 503, "refuses connections")
        except (OSError, BadMessageError):
            answer = _unavailable(backend, 502, "broke off")
        answer.headers.setdefault("x-version", backend.version)
        if not request.is_check:
            self._metrics.answered(request, answer, self._clock() - began)
        return answer

    async def _expose(self, accept: str) -> Response:
        await self._faults.until_off("metrics-hang")
        self._metrics.show_up({backend.version: backend.ready for backend in self._fleet.backends.values()})
        return spoiled(expose(self._metrics.registry, accept), self._faults)


def _unavailable(backend: Backend, status: int, what: str) -> Response:
    return json_response({"error": f"{backend.name} {what}", "version": backend.version}, status)
