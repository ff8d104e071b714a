"""One function per route of `/v1`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine import events as ev
from engine.host import Host, StartOrder
from engine.inputs import Order
from engine.plan.model import parse_plan
from engine.plan.problem import printable
from engine.serving.bodies import OrderBody, PlanBody, StartBody, read
from engine.serving.problems import problem
from engine.serving.stream import EventStream, stream
from engine.state import FINAL
from engine.view import look, summary


class Api:
    """Answers for `host`. Its streams end when `stopping` is set; POST /v1/stop calls `stop`."""

    def __init__(self, host: Host, stopping: asyncio.Event, stop: Callable[[], None]) -> None:
        self._host = host
        self._stopping = stopping
        self._stop = stop
        self._started_at = host.now()

    async def engine(self, _request: Request) -> Response:
        """Who this engine is, since when, what is wrong with it."""
        return JSONResponse(
            {
                "pid": os.getpid(),
                "epoch": self._host.epoch,
                "started_at": self._started_at,
                "notices": self._host.notices,
                "releases": len(self._host.ids()),
            }
        )

    async def releases(self, _request: Request) -> Response:
        """All releases, a line each."""
        return JSONResponse([summary(self._host.state(release)) for release in self._host.ids()])

    async def release(self, _request: Request, release: str) -> Response:
        """One look at a release: everything that decides."""
        return JSONResponse(look(self._host.state(release), self._host.now(), self._host.notices))

    async def start(self, request: Request) -> Response:
        """Start a release of a plan, or only judge what something else drives."""
        body = await read(request, StartBody)
        order = StartOrder(
            plan=body.plan.encode(),
            plan_name=body.name,
            who=body.who,
            canary=body.canary,
            key=body.key,
            observe=body.observe,
        )
        return JSONResponse({"release": await self._host.start(order)}, status_code=201)

    async def order(self, request: Request, release: str) -> Response:
        """Give a release an order."""
        body = await read(request, OrderBody)
        order = Order(
            at=self._host.now(),
            id=body.id,
            verb=body.verb,
            who=body.who,
            reason=body.reason,
            stage=body.stage,
            revision=body.revision or None,
            item=body.item,
            override=body.override,
            asked_at=body.asked_at,
        )
        events = await self._host.order(release, order)
        refused = next((event for event in events if isinstance(event, ev.OrderRefused)), None)
        if refused is not None:
            return problem(409, refused.why)
        return JSONResponse({"accepted": body.verb, "phase": self._host.state(release).phase.value})

    async def events(self, request: Request, release: str) -> Response:
        """Every event after a number, then live, and a beat each second, as server-sent events."""
        self._host.state(release)
        seen = request.headers.get("Last-Event-ID") or request.query_params.get("after", "0")
        if not seen.isascii() or not seen.isdecimal() or len(seen) > 15:
            return problem(422, f"after is the number of the last event seen, not {printable(seen)}")
        return EventStream(stream(self._host, release, int(seen), self._stopping))

    async def doctor(self, request: Request) -> Response:
        """Try what a release of a plan will need; changes nothing."""
        from engine.doctor import Place, examine

        body = await read(request, PlanBody)
        plan = parse_plan(body.plan.encode(), body.name)
        place = Place(self._host.journal.path.parent, self._host.notices, self._busy())
        findings = await examine(plan, place, body.canary, observe=body.observe)
        return JSONResponse({"findings": [asdict(one) for one in findings]})

    async def stop(self, _request: Request) -> Response:
        """Stop this engine; its releases stand until one is started again."""
        self._stop()
        return JSONResponse({"stopping": True})

    def _busy(self) -> dict[str, str]:
        """The live release of each target."""
        states = map(self._host.state, self._host.ids())
        return {state.target: state.release for state in states if state.phase not in FINAL}
