"""The gateway's admin endpoints: the route, the backends' versions, the faults, who answered the traffic."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.backends import Fleet
from sandbox.faults import Faults, read_switches
from sandbox.route import ConflictError, read_order
from sandbox.wire import Request, Response, json_response

SLOW_SECONDS = 10.0
PREFIX = "/admin/"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class Admin:
    """Answers /admin/*, to this machine's own programs only.

    `deploy(backend, version)` and `switch(faults)` do what is not the gateway's to do, `traffic()` tells who answered
    the traffic; `sleep` is how a slow one waits.
    """

    def __init__(
        self,
        fleet: Fleet,
        faults: Faults,
        *,
        deploy: Callable[[str, str], Awaitable[None]],
        switch: Callable[[Mapping[str, bool]], Awaitable[None]],
        traffic: Callable[[], Mapping[str, Any]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._fleet = fleet
        self._faults = faults
        self._deploy = deploy
        self._switch = switch
        self._traffic = traffic
        self._sleep = sleep

    async def handle(self, request: Request) -> Response:
        """The answer to one admin request; what can't be read is answered 422 with a sentence."""
        if not _is_local(request):
            return _error(403, "the admin endpoints answer to loopback names only")
        try:
            return await self._route(request)
        except ValueError as error:
            return _error(422, str(error))

    async def _route(self, request: Request) -> Response:
        what = request.path.removeprefix(PREFIX)
        match request.method, what.split("/"):
            case "GET", ["route"]:
                await self._wait_when_slow()
                return json_response(self._fleet.view())
            case "PUT", ["route"]:
                return await self._write_route(request)
            case "POST", ["backends", name] if name in self._fleet.backends:
                await self._deploy(name, _read_version(_read_object(request)))
                return json_response(self._fleet.view())
            case "GET", ["faults"]:
                return json_response(self._faults.view())
            case "PUT", ["faults"]:
                await self._switch(read_switches(_read_object(request)))
                return json_response(self._faults.view())
            case "GET", ["traffic"]:
                return json_response(self._traffic())
            case method, _:
                return _error(404, f"there is no {method} {request.path}")

    async def _write_route(self, request: Request) -> Response:
        order = read_order(_read_object(request), self._fleet.backends)
        # The wait comes before the write: a write whose writer gave up must be able to land late.
        await self._wait_when_slow()
        try:
            route = self._fleet.route.after(order)
        except ConflictError as error:
            return json_response({"error": str(error), **self._fleet.view()}, 409)
        if not self._faults.is_on("gateway-ignores"):
            self._fleet.route = route
        return json_response(self._fleet.view(route))

    async def _wait_when_slow(self) -> None:
        if self._faults.is_on("gateway-slow"):
            await self._sleep(SLOW_SECONDS)


def _is_local(request: Request) -> bool:
    """False for what a web page could make a browser send: by a name it rebound, or from another origin."""
    origin = request.headers.get("origin")
    host = f"//{request.headers.get('host', '')}"
    return _host_name(host) in _LOOPBACK and (origin is None or _host_name(origin) in _LOOPBACK)


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _read_object(request: Request) -> dict[str, Any]:
    body = request.json_object()
    if body is None:
        raise ValueError("the body must be a JSON object")
    return body


def _read_version(body: Mapping[str, Any]) -> str:
    version = body.get("version")
    if set(body) != {"version"} or not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ValueError('send an object such as {"version": "v1.5.1"}')
    return version


def _error(status: int, sentence: str) -> Response:
    return json_response({"error": sentence}, status)
