"""The whole sandbox in one loop: two sides of the shop, the gateway before them, the traffic."""

from __future__ import annotations

import asyncio
import random
import resource
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.admin import Admin
from sandbox.backends import Backend, Fleet
from sandbox.client import ConnectionPool
from sandbox.faults import CANARY, Faults
from sandbox.gateway import Gateway
from sandbox.metrics import GatewayMetrics
from sandbox.ready import Urls
from sandbox.route import Route
from sandbox.server import HttpServer, bind_loopback
from sandbox.shop import Shop
from sandbox.side import CountingSide, Side
from sandbox.store import Store
from sandbox.traffic import Traffic

STABLE = "shop-a"
VERSIONS = {STABLE: "v1.4.0", CANARY: "v1.5.0"}  # at the start, when the stable one has all the traffic
PROBE_SECONDS = 1.0
MAX_IN_FLIGHT = 1000
_FILES_PER_REQUEST = 4  # both ends of both connections are in this process
_FILES_WANTED = 8192


class PortTakenError(Exception):
    """Another program listens on a port the sandbox needs."""


@dataclass(frozen=True)
class Options:
    """`base_port` is the gateway's, the sides have the next two; 0 takes any free ones. `seed` None is random.

    With `outside_gateway`, a port, the traffic goes to somebody else's gateway; the sides then count it themselves.
    """

    rps: float = 300.0
    seed: int | None = None
    base_port: int = 7480
    outside_gateway: int | None = None


class World:
    """The sandbox, from `start` to `stop`."""

    def __init__(self, options: Options) -> None:
        """Binds the ports; PortTakenError when one is not free."""
        self._outside = options.outside_gateway
        self._seed = options.seed if options.seed is not None else random.getrandbits(64)
        gateway_port, *side_ports = _bind(options.base_port, 1 + len(VERSIONS))
        self._store = Store()
        self._faults = Faults()
        self._fleet = Fleet(
            [
                Backend(name, _port(bound), version)
                for (name, version), bound in zip(VERSIONS.items(), side_ports, strict=True)
            ],
            Route(dict.fromkeys(VERSIONS, 0) | {STABLE: 100}),
        )
        self._sides = {
            name: self._side(bound, self._new_shop(name, version))
            for (name, version), bound in zip(VERSIONS.items(), side_ports, strict=True)
        }
        metrics = GatewayMetrics()
        admin = Admin(self._fleet, self._faults, deploy=self.deploy, switch=self.switch, traffic=self._seen_by_traffic)
        self._gateway = Gateway(self._fleet, admin, metrics, self._faults, self._rng("gateway"))
        self._public = HttpServer(self._gateway.handle, gateway_port)
        self._traffic = Traffic(
            ConnectionPool(self._outside or self._public.port),
            options.rps,
            self._rng("traffic"),
            max_in_flight=_max_in_flight(),
            on_drop=metrics.drop,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Opens everything; when it returns, both sides have been probed and traffic flows."""
        for side in self._sides.values():
            await side.server.open()
        await self._gateway.probe()
        await self._public.open()
        self._tasks = [asyncio.create_task(self._keep_probing()), asyncio.create_task(self._traffic.run())]

    async def stop(self) -> None:
        """Ends traffic first, then the gateway, then the shop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._traffic.close()
        self._public.close()
        self._fleet.close()
        for side in self._sides.values():
            side.server.close()

    async def failed(self) -> None:
        """Returns only by raising: what ended probes or traffic, which else run for ever."""
        await asyncio.gather(*self._tasks)

    def urls(self) -> Urls:
        """Where to find the gateway, and each side past it."""
        sides = {name: backend.url for name, backend in self._fleet.backends.items()}
        return Urls(f"http://127.0.0.1:{self._public.port}", sides)

    async def deploy(self, name: str, version: str) -> None:
        """Replaces what a side runs, as a deployment in mid-release would."""
        self._sides[name].run(self._new_shop(name, version))
        await self._gateway.probe()

    async def switch(self, wanted: Mapping[str, bool]) -> None:
        """Switches faults; a crash takes effect, and ends, at once."""
        for side in self._sides.values():
            side.shop.follow_faults()
        self._faults.switch(wanted)
        canary = self._sides[CANARY]
        if self._faults.is_on("crash"):
            canary.server.crash()
        elif not canary.server.is_open:
            canary.run(self._new_shop(CANARY, canary.shop.version))
            await canary.server.open()
        await self._gateway.probe()

    async def _keep_probing(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await self._gateway.probe()

    def _new_shop(self, name: str, version: str) -> Shop:
        return Shop(version, self._store, self._rng(name), lambda: self._faults.harm(name, self._share(name)))

    def _side(self, bound: socket.socket, shop: Shop) -> Side:
        return Side(bound, shop) if self._outside is None else CountingSide(bound, shop, self._faults)

    def _share(self, name: str) -> float:
        """Percent of the traffic on a side: as the route says, or as it comes from a gateway that is not ours."""
        rates = {
            name: side.requests_per_second() for name, side in self._sides.items() if isinstance(side, CountingSide)
        }
        if not rates:
            return self._fleet.weight(name)
        return 100 * rates[name] / max(sum(rates.values()), 1.0)

    def _seen_by_traffic(self) -> dict[str, Any]:
        return self._traffic.tally.view()

    def _rng(self, purpose: str) -> random.Random:
        # One stream each, so that what a scrape or a person does changes no other part's chances.
        return random.Random(f"{self._seed}/{purpose}")


def _bind(base_port: int, number: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    for offset in range(number):
        port = base_port + offset if base_port else 0
        try:
            bound.append(bind_loopback(port))
        except OSError as error:
            for other in bound:
                other.close()
            raise PortTakenError(f"port {port} on 127.0.0.1 can't be used: {error.strerror}") from error
    return bound


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _max_in_flight() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES_WANTED:
        soft = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(10, min(MAX_IN_FLIGHT, soft // _FILES_PER_REQUEST - 50))
