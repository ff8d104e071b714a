"""One function per route of `/v1`. Each knows its caller before it reads a body."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine import events as ev
from engine.host import Host, StartOrder
from engine.inputs import Order
from engine.plan.model import parse_plan
from engine.plan.problem import printable
from engine.presence import Here, Presence
from engine.serving.bodies import LONGEST_START, LONGEST_WHERE, OrderBody, PlanBody, PruneBody, StartBody, read
from engine.serving.files import contents
from engine.serving.identity import Identity, from_there
from engine.serving.problems import problem
from engine.serving.pruning import prune
from engine.serving.stream import EventStream, Streams
from engine.state import FINAL
from engine.view import look, row


class Api:
    """Answers for `host`. Its streams end when `stopping` is set; POST /v1/stop calls `stop`."""

    def __init__(
        self,
        host: Host,
        identity: Identity,
        presence: Presence,
        stopping: asyncio.Event,
        stop: Callable[[], None],
        socket_group: str = "",
    ) -> None:
        self._host = host
        self._identity = identity
        self._presence = presence
        self._streams = Streams(host, presence, stopping, self._notices)
        self._stop = stop
        self._socket_group = socket_group
        self._started_at = host.now()
        self._version = version("laneshift")

    async def engine(self, request: Request) -> Response:
        """Who this engine is, since when, what is wrong with it, and who the caller is to it."""
        caller = self._identity.caller(request, request.query_params.get("where", "")[:LONGEST_WHERE])
        return JSONResponse(
            {
                "pid": os.getpid(),
                "epoch": self._host.epoch,
                "started_at": self._started_at,
                "notices": self._notices(),
                "releases": len(self._host.ids()),
                "identity": self._host.identity,
                "supervised": self._host.supervised,
                "shared": self._host.journal.shared,
                "store": "postgresql" if self._host.journal.shared else "sqlite",
                "version": self._version,
                "you": {"who": caller.who, "roles": sorted(caller.roles), "where": caller.where},
            }
        )

    async def releases(self, request: Request) -> Response:
        """All releases, a line each."""
        self._identity.allowed(request, "look")
        return JSONResponse([self._row(release) for release in self._host.ids()])

    async def release(self, request: Request, release: str) -> Response:
        """One look at a release: everything that decides."""
        self._identity.allowed(request, "look")
        state = await self._host.find(release)
        here = self._presence.here(release)
        return JSONResponse(look(state, self._host.now(), self._notices(), here, self._host.holder(release)))

    async def start(self, request: Request) -> Response:
        """Start a release of a plan, or only judge what something else drives."""
        caller = self._identity.allowed(request, "start")
        body = await read(request, StartBody, LONGEST_START)
        caller = from_there(caller, body.where)
        order = StartOrder(
            plan=body.plan.encode(),
            plan_name=body.name,
            who=caller.who,
            where=caller.where,
            files=contents(body.files),
            canary=body.canary,
            key=body.key,
            observe=body.observe,
        )
        return JSONResponse({"release": await self._host.start(order)}, status_code=201)

    async def order(self, request: Request, release: str) -> Response:
        """Give a release an order."""
        caller = self._identity.caller(request)
        body = await read(request, OrderBody)
        caller = from_there(caller, body.where)
        listed = (await self._host.find(release)).rules.rollback_who
        order = Order(
            at=self._host.now(),
            id=body.id,
            verb=body.verb,
            who=caller.who,
            where=caller.where,
            reason=body.reason,
            stage=body.stage,
            revision=body.revision or None,
            item=body.item,
            override=body.override,
            asked_at=body.asked_at,
            forbidden=self._identity.access.refusal(caller, body.verb, rollback_who=listed, release=release),
            break_glass=body.break_glass,
        )
        why = self._refusal(release, order, await self._host.order(release, order))
        if why:
            return problem(403 if order.forbidden and why.startswith(order.forbidden) else 409, why)
        return JSONResponse({"accepted": body.verb, "phase": self._host.state(release).phase.value})

    async def events(self, request: Request, release: str) -> Response:
        """Every event after a number, then live, and a beat each second, as server-sent events."""
        self._identity.allowed(request, "look")
        await self._host.find(release)
        asked = request.query_params
        seen = request.headers.get("Last-Event-ID") or asked.get("after", "0")
        if not seen.isascii() or not seen.isdecimal() or len(seen) > 15:
            return problem(422, f"after is the number of the last event seen, not {printable(seen)}")
        caller = self._identity.caller(request, asked.get("where", "")[:LONGEST_WHERE])
        arrived = Here(caller.who, caller.where, self._host.now(), read_only=asked.get("watching") == "1")
        return EventStream(self._streams.of(release, int(seen), arrived))

    async def doctor(self, request: Request) -> Response:
        """Try what a release of a plan will need; changes nothing."""
        from engine.doctor import Place, examine

        self._identity.allowed(request, "doctor")
        body = await read(request, PlanBody)
        plan = parse_plan(body.plan.encode(), body.name)
        place = Place(
            self._host.journal.path.parent,
            self._notices(),
            self._busy(),
            self._identity.config,
            socket_group=self._socket_group,
            supervised=self._host.supervised,
        )
        findings = await examine(plan, place, body.canary, observe=body.observe)
        return JSONResponse({"findings": [asdict(one) for one in findings]})

    async def prune(self, request: Request) -> Response:
        """Forget what the journal need not keep of releases that have ended."""
        self._identity.allowed(request, "prune")
        body = await read(request, PruneBody)
        return JSONResponse(await prune(self._host, self._identity.config.retention, body))

    async def stop(self, request: Request) -> Response:
        """Stop this engine; its releases stand until one is started again."""
        self._identity.allowed(request, "stop")
        self._stop()
        return JSONResponse({"stopping": True})

    def _notices(self) -> list[str]:
        return [*self._host.notices, *filter(None, [self._identity.trouble])]

    def _row(self, release: str) -> dict[str, Any]:
        return row(self._host.state(release), self._presence.count(release), self._host.holder(release))

    def _refusal(self, release: str, order: Order, followed: list[ev.Event]) -> str:
        """Why it was refused; a repeat is answered as it was the first time."""
        for event in followed:
            if isinstance(event, ev.OrderRefused) and event.order == order.id:
                return event.why
        return self._host.state(release).answer_to(order.id) or ""

    def _busy(self) -> dict[str, str]:
        """The live release of each target."""
        states = map(self._host.state, self._host.ids())
        return {state.target: state.release for state in states if state.phase not in FINAL}
