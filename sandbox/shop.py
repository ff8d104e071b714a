"""One instance of the shop: what a process of one version would be, with counters of its own.

A restart or a deployment is a new `Shop` on the same store, so its counters start again from zero.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from sandbox.business import Business, Reply
from sandbox.faults import Harm
from sandbox.load import ActiveUsers, DatabasePool, RequestRate
from sandbox.metrics import ShopMetrics, expose
from sandbox.store import Store
from sandbox.wire import Request, Response, json_response

ERROR_SHARE = 0.001
DECLINED_SHARE = 0.019  # with the errors, which fail a purchase too, 98% of checkouts succeed
LATENCY_P50 = 0.00816  # seconds; with LATENCY_LOG_SD: p95 150 ms, p99 500 ms
LATENCY_LOG_SD = 1.77
LATENCY_CAP = 5.0
SLOW_FACTOR = 3.0
SLOW_AT_LEAST = 0.3  # seconds more: (SLOW_FACTOR - 1) * p95, where factor and floor meet


class Shop:
    """Answers one instance's requests.

    `harm` says what faults do to it now; `sleep` and `clock` (seconds, monotonic) are how it waits and reads the time.
    """

    def __init__(
        self,
        version: str,
        store: Store,
        rng: random.Random,
        harm: Callable[[], Harm],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self._store = store
        self._business = Business(store, self._pays)
        self._rng = rng
        self._harm = harm
        self._sleep = sleep
        self._clock = clock
        self._in_flight = 0
        self._rate = RequestRate()
        self._active = ActiveUsers()
        self._pool = DatabasePool(rng, clock())
        self._metrics = ShopMetrics(version)

    @property
    def registry(self) -> CollectorRegistry:
        """What its /metrics shows."""
        return self._metrics.registry

    async def handle(self, request: Request) -> Response:
        """The answer to any request; each carries X-Version, and each JSON body `version`."""
        if request.path == "/metrics":
            answer = self._expose(request.headers.get("accept", ""))
        else:
            reply = await self._serve(request)
            answer = json_response({"version": self.version, **reply.value}, reply.status)
            if reply.success is not None:
                answer.headers["x-outcome"] = "success" if reply.success else "failure"
            if not request.is_check:
                self._count(reply)
        answer.headers["x-version"] = self.version
        return answer

    def follow_faults(self) -> None:
        """Accounts for leaked connections until now; to be called before `harm` changes."""
        self._pool.advance(self._clock(), leaks=self._harm().leaks)

    async def _serve(self, request: Request) -> Reply:
        match request.method, request.path:
            # A process that is up says so at once whatever its answers are worth: no fault and no wait here.
            case "GET", "/healthz":
                return Reply({"status": "ok"})
            case "GET", "/integrity":
                return Reply(self._store.integrity())
            case "GET", "/browse":
                return await self._after_work(lambda _: self._business.browse(), request)
            case "POST", "/signup":
                return await self._after_work(self._business.sign_up, request)
            case "POST", "/login":
                return await self._after_work(self._business.log_in, request)
            case "POST", "/checkout":
                return await self._after_work(self._business.check_out, request)
            case method, path:
                return Reply({"error": f"there is no {method} {path}"}, 404)

    async def _after_work(self, act: Callable[[Mapping[str, Any]], Reply], request: Request) -> Reply:
        self._in_flight += 1
        try:
            await self._sleep(self._service_time())
        finally:
            self._in_flight -= 1
        if self._rng.random() < max(ERROR_SHARE, self._harm().error_share):
            return Reply({"error": "internal"}, 500, success=False)
        body = request.json_object() if request.body else {}
        if body is None:
            return Reply({"error": "the body is no JSON object"}, 400, success=False)
        return act(body)

    def _service_time(self) -> float:
        seconds = LATENCY_P50 * self._rng.lognormvariate(0.0, LATENCY_LOG_SD)
        if self._harm().slow:
            # Tripling alone would lift 5.7% of answers past 400 ms: a p95 of three times the baseline that no short
            # look could tell from 5%. With the floor it is 7.8%, at the same p95 and p99.
            seconds = max(SLOW_FACTOR * seconds, seconds + SLOW_AT_LEAST)
        return min(seconds, LATENCY_CAP)

    def _pays(self) -> bool:
        return self._rng.random() >= DECLINED_SHARE and self._rng.random() >= self._harm().lost_purchases

    def _count(self, reply: Reply) -> None:
        now = self._clock()
        self._metrics.count(reply.status)
        self._rate.count(now)
        if reply.user:
            self._active.see(reply.user, now)

    def _expose(self, accept: str) -> Response:
        # All instances share one real process, so CPU and memory are worked out from this one's requests: plausible,
        # and moving with its traffic.
        now = self._clock()
        users = self._active.number(now)
        self.follow_faults()
        self._metrics.pool_in_use.set(self._pool.in_use())
        self._metrics.active_users.set(users)
        self._metrics.cpu.set(min(0.03 + 0.0012 * self._rate.per_second(now), 1.0))
        self._metrics.memory.set(160 * 2**20 + 2**18 * self._in_flight + 2**12 * users)
        return expose(self._metrics.registry, accept)
