"""The two sides of the shop, as processes of a version would be: a port, and the instance behind it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from sandbox.faults import Faults
from sandbox.load import RequestRate
from sandbox.metrics import RequestMetrics, spoiled
from sandbox.server import HttpServer
from sandbox.shop import Shop
from sandbox.wire import Request, Response

SHARE_MEMORY = 2.0  # seconds


class Side:
    """One side: a port, and behind it the instance that runs now. A replaced one ends what it was doing."""

    def __init__(self, bound: socket.socket, shop: Shop) -> None:
        self.server = HttpServer(self.answer, bound)
        self.run(shop)

    def run(self, shop: Shop) -> None:
        """Put another instance in its place."""
        self.shop = shop

    async def answer(self, request: Request) -> Response:
        """Its instance's answer to any request."""
        return await self.shop.handle(request)


class CountingSide(Side):
    """A side behind a gateway that is not the sandbox's: it counts its requests itself, and the faults of metrics are
    its page's. `clock` is seconds, monotonic."""

    def __init__(
        self, bound: socket.socket, shop: Shop, faults: Faults, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._faults = faults
        self._clock = clock
        self._rate = RequestRate(SHARE_MEMORY)
        super().__init__(bound, shop)

    def run(self, shop: Shop) -> None:
        """Put another instance in its place, whose counters begin with zeros."""
        super().run(shop)
        self._requests = RequestMetrics(shop.registry)
        self._requests.know(shop.version)

    async def answer(self, request: Request) -> Response:
        """Its instance's answer, counted."""
        if request.path == "/metrics":
            await self._faults.until_off("metrics-hang")
            return spoiled(await super().answer(request), self._faults)
        began, requests = self._clock(), self._requests
        if not request.is_check:
            self._rate.count(began)
        answer = await super().answer(request)
        if not request.is_check:
            requests.answered(request, answer, self._clock() - began)
        return answer

    def requests_per_second(self) -> float:
        """As they came in the last seconds."""
        return self._rate.per_second(self._clock())
