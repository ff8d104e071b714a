"""A service with a route, traffic, counters and checks, in memory: what an engine works with, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from engine.checks import CheckResult, Place
from engine.controller import Parts
from engine.events import SCRIPT, CheckOutcome
from engine.inputs import Observation
from engine.judge.metric import Metric, Threshold
from engine.plan.selector import Selector, Subject
from engine.routers import Router, RouterConflict, RouterError, Write
from engine.sources import Source
from engine.sources.reading import Query, Reading, Side
from tests.support.virtual_time import LoopTime

ANY = Selector("any")
ERRORS = Query(Metric("errors", "bad", (Threshold(0.02),), baseline=0.001), total=ANY, part=ANY)
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=ANY)
QUERIES = (ERRORS, POOL)
REQUESTS_PER_S = 500.0


@dataclass
class Shop:
    """The world. `router_fault`: `lost`, `hangs`, `ignores`, `late` (a write lands after its limit), `unanswered` (it
    lands and says nothing), `breaks` (a bug), `not-taken` (it is shown, and no gateway has taken it: `served` is what
    they do). `source_fault`: `silent`, `hangs`, `breaks`, `nan`, `gauges-only`, `canary-silent` (its counters stand),
    `canary-gone` (they are not there).
    `past_share` is the share of bad requests in stable's past, None where the source keeps none.
    `writes` are all weights that landed, `asked` all that were tried."""

    weight: float = 0.0
    generation: int = 1
    mark: str = ""
    by: str = ""
    marked_release: str = ""
    canary: str = "v2"
    stable: str = "v1"
    ready: int = 1
    stable_ready: int = 1
    bad_share: dict[str, float] = field(default_factory=lambda: {"canary": 0.001, "stable": 0.001})
    router_fault: str = ""
    source_fault: str = ""
    past_share: float | None = None
    check_says: dict[str, list[CheckOutcome | str]] = field(default_factory=dict)
    counted: dict[str, list[float]] = field(default_factory=lambda: {"canary": [0.0, 0.0], "stable": [0.0, 0.0]})
    counted_at: float | None = None
    served: float = 0.0
    writes: list[float] = field(default_factory=list)
    asked: list[Write] = field(default_factory=list)

    def copy(self) -> Shop:
        return deepcopy(self)

    def set_weight(self, weight: float, mark: str = "", by: str = "somebody", release: str = "") -> None:
        """Whoever moves the traffic."""
        self.serve(LoopTime().now())
        self.weight, self.mark, self.by, self.marked_release = float(weight), mark, by, release
        self.served = self.served if self.router_fault == "not-taken" else self.weight
        self.generation += 1
        self.writes.append(self.weight)

    def run_script(self, release: str) -> None:
        """rollback.sh."""
        self.set_weight(0, SCRIPT, SCRIPT, release)

    def land(self, write: Write) -> None:
        """A write reaches the route. Raises RouterConflict."""
        if write.generation not in (None, str(self.generation)):
            raise RouterConflict(f"the route is at generation {self.generation}")
        self.set_weight(write.weight, write.number, "laneshift", write.release)

    def serve(self, now: float) -> None:
        """Count the traffic up to now."""
        seconds = now - self.counted_at if self.counted_at is not None else 0.0
        self.counted_at = now
        canary = 0.0 if self.source_fault == "canary-silent" else self.served / 100
        for side, share in (("canary", canary), ("stable", 1 - self.served / 100)):
            requests = REQUESTS_PER_S * seconds * share
            self.counted[side][0] += requests
            self.counted[side][1] += requests * self.bad_share[side]


@dataclass
class FakeRouter(Router):
    shop: Shop
    target: str = "fake route"
    closed: bool = False

    async def observe(self) -> Observation:
        await self._trouble(reading=True)
        shop = self.shop
        return Observation(
            weight=shop.weight,
            canary=shop.canary,
            stable=shop.stable,
            canary_ready=shop.ready,
            stable_ready=shop.stable_ready,
            generation=str(shop.generation),
            mark=shop.mark,
            by=shop.by,
            marked_release=shop.marked_release,
            pending="no gateway has taken it" if shop.served != shop.weight else "",
        )

    async def shift(self, write: Write) -> str:
        self.shop.asked.append(write)
        await self._trouble(reading=False, write=write)
        if self.shop.router_fault != "ignores":
            self.shop.land(write)
        if self.shop.router_fault == "unanswered":
            await asyncio.Event().wait()
        return "written"

    async def _trouble(self, *, reading: bool, write: Write | None = None) -> None:
        fault = self.shop.router_fault
        await asyncio.sleep(0.01)
        if fault == "hangs":
            await asyncio.Event().wait()
        elif fault == "lost":
            raise RouterError("connection refused")
        elif fault == "breaks":
            raise ZeroDivisionError("a bug")
        elif fault == "late" and write is not None:
            asyncio.get_running_loop().call_later(8.0, self._land_late, write)
            await asyncio.Event().wait()

    def _land_late(self, write: Write) -> None:
        try:
            self.shop.land(write)
        except RouterConflict:
            self.shop.asked.append(write)  # refused by the route, as it should be

    async def addresses(self) -> dict[str, str]:
        return {"canary": "http://canary", "stable": "http://stable", "public": "http://public"}

    def manual_rollback(self, release: str) -> str:
        return f"roll {release} back"

    def rollback_script(self, release: str) -> str:
        return "ok=1"

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeSource(Source):
    shop: Shop
    closed: bool = False

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        now = LoopTime().now()
        self.shop.serve(now)
        fault = self.shop.source_fault
        if fault == "silent":
            return Reading(now, {}, "connection refused")
        if fault == "hangs":
            await asyncio.Event().wait()
        if fault == "breaks":
            raise ZeroDivisionError("a bug")
        return Reading(now, self._values(fault), lost={"0": "the gateway is silent"} if fault == "gauges-only" else {})

    async def past(self, queries: tuple[Query, ...], *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        if self.shop.source_fault == "hangs":
            await asyncio.Event().wait()
        if self.shop.past_share is None:
            return []
        now, requests = LoopTime().now(), REQUESTS_PER_S * step
        counts = [(number, number * requests) for number in range(round(seconds / step))]
        return [
            Reading(
                now - seconds + number * step,
                {
                    ("errors", "stable", "total"): {"0 total": total},
                    ("errors", "stable", "part"): {"0 part": round(total * self.shop.past_share)},
                },
            )
            for number, total in counts
        ]

    def _values(self, fault: str) -> Mapping[tuple[str, Side, str], Mapping[str, float]]:
        counted = self.shop.counted
        sides: tuple[Side, Side] = ("canary", "stable")
        found: dict[tuple[str, Side, str], dict[str, float]] = {
            ("pool", side, "gauge"): {"1 p": 50.0} for side in sides
        }
        for number, role in enumerate(("total", "part") if fault != "gauges-only" else ()):
            for side in sides if fault != "canary-gone" else sides[1:]:
                value = float("nan") if fault == "nan" else float(round(counted[side][number]))
                found["errors", side, role] = {f"0 {role} {self.shop.canary}": value}
        return found

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeCheck:
    """Says what the shop's script for it says next, and yes after that: an outcome, `hangs`, `breaks` or `no-json`."""

    name: str
    shop: Shop
    runs: int = 0

    async def run(self, place: Place) -> CheckResult:
        self.runs += 1
        await asyncio.sleep(0.05)
        script = self.shop.check_says.get(self.name, [])
        says = script.pop(0) if script else CheckOutcome.PASS
        if says == "hangs":
            await asyncio.Event().wait()
        if says == "breaks":
            raise ZeroDivisionError("a bug")
        evidence: dict[str, Any] = {"what": object()} if says == "no-json" else {"version": place.canary}
        outcome = says if isinstance(says, CheckOutcome) else CheckOutcome.PASS
        return CheckResult(outcome, f"{self.name} says {outcome}", evidence)


def parts(shop: Shop, *checks: str, router: Callable[[Shop], FakeRouter] = FakeRouter) -> Parts:
    """All that a release on this shop works with."""
    return Parts(router(shop), FakeSource(shop), QUERIES, {name: FakeCheck(name, shop) for name in checks})
