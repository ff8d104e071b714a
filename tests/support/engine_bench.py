"""One release with its controller on a fake shop, in virtual time: run it, break it, kill its engine, look at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, cast

from engine import events as ev
from engine.controller import Controller, Said, events_of, record_of
from engine.events import Event, Item, Rules, StageRule
from engine.inputs import Order
from engine.journal.recorder import Recorder
from engine.journal.records import JournalUnavailable, Record
from engine.journal.writer import JournalWriter
from engine.state import Phase, State, fold
from tests.support.fake_shop import QUERIES, Shop, parts
from tests.support.virtual_time import LoopTime

E = TypeVar("E", bound=Event)
RELEASE = "shop-1"
STAGES = (StageRule(5, 2, 6, 100), StageRule(25, 0, 6, 100), StageRule(100, 0, 6, 100))
CHECKS: Mapping[str, tuple[str, ...]] = {"pre": ("smoke",), "stage": ("health",), "post": ("integrity",)}
ITEMS = (Item("smoke", "pre", "smoke tests pass", ("check:smoke",)),)


def rules(**changes: Any) -> Rules:
    """Three stages of seconds that go on by themselves."""
    kept: dict[str, Any] = {"stages": STAGES, "items": ITEMS, "checks": CHECKS, "interval_s": 2.0, "converge_s": 20.0}
    kept |= {"metrics": tuple(query.metric for query in QUERIES), "auto_advance": True, "keep_old_s": 30.0}
    kept |= {"blind_after_s": 20.0, "budget_s": 20.0, "hard_limit_s": 60.0}
    return Rules(**{**kept, **changes})


def creation(plan: Rules, at: float) -> ev.Created:
    return ev.Created(
        at=at,
        release=RELEASE,
        service="shop",
        summary="",
        target="fake route",
        plan_digest="0123456789abcdef",
        canary_wanted="v2",
        who="ada",
        rules=plan,
        manual_rollback="by hand",
    )


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class MemoryJournal:
    """Stands for the journal's writer: what it holds survives the engine. It hangs while `answers` is not set.

    `heard` is called after each append.
    """

    records: list[Record] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    spooled: list[Record] = field(default_factory=list)
    is_full: bool = False
    answers: asyncio.Event = field(default_factory=_set)
    heard: Callable[[], None] = lambda: None

    async def append(
        self, _release: str, records: Sequence[Record], keep: Mapping[str, Any], *, epoch: int | None = None
    ) -> None:
        await asyncio.sleep(0.005)
        await self.answers.wait()
        if self.is_full:
            raise JournalUnavailable("the disk is full")
        self._store(records, keep)

    async def append_or_spool(
        self,
        release: str,
        records: Sequence[Record],
        keep: Mapping[str, Any],
        *,
        epoch: int | None = None,
        patience: float,
    ) -> bool:
        try:
            async with asyncio.timeout(patience):
                await self.append(release, records, keep)
        except (TimeoutError, JournalUnavailable):
            self.spooled += records
            return False
        return True

    def _store(self, records: Sequence[Record], keep: Mapping[str, Any]) -> None:
        for record in (*self.spooled, *records):
            stored = Record(**json.loads(json.dumps(asdict(record))))
            if record.seq <= len(self.records):
                assert self.records[record.seq - 1] == stored
                continue
            assert record.seq == len(self.records) + 1
            self.records.append(stored)
        self.spooled = []
        self.kept |= json.loads(json.dumps(keep))
        self.heard()


class Bench:
    """A release on its shop. `boot` starts an engine on what the journal holds, `kill` ends it at once."""

    def __init__(
        self, plan: Rules | None = None, *, shop: Shop | None = None, journal: MemoryJournal | None = None
    ) -> None:
        self.shop = shop or Shop()
        self.journal = journal or MemoryJournal()
        self.scripts: list[int] = []
        self.said: list[Event] = []
        self._orders = 0
        self._running: asyncio.Task[None] | None = None
        self._recorder: Recorder | None = None
        if not self.journal.records:
            self.journal.records.append(record_of(Said(1, creation(plan or rules(), LoopTime().now()))))

    def boot(self) -> None:
        """A new engine: all it knows is the journal."""
        said = events_of(self.journal.records)
        state = fold(one.event for one in said)
        assert state is not None
        writer = cast("JournalWriter", self.journal)
        self._recorder = Recorder(RELEASE, writer, self._trouble)
        self.controller = Controller(
            state,
            parts(self.shop, *(name for names in state.rules.checks.values() for name in names)),
            self._recorder,
            LoopTime(),
            publish=lambda news: self.said.extend(one.event for one in news),
            script=self._script,
            kept=json.loads(json.dumps(self.journal.kept)),
            seq=said[-1].seq,
        )
        self._running = asyncio.create_task(self.controller.run(state.epoch + 1))

    def _trouble(self, reason: str) -> None:
        self.controller.journal_trouble(reason)

    async def _script(self, state: State) -> None:
        self.scripts.append(state.stage)

    async def kill(self) -> None:
        """kill -9: nothing more is written or recorded."""
        assert self._running is not None
        assert self._recorder is not None
        self._recorder._task.cancel()
        self._running.cancel()
        await asyncio.gather(self._running, self._recorder._task, return_exceptions=True)

    async def stop(self) -> None:
        """End it, and say what went wrong in it."""
        if self._running is not None and self._running.done() and not self._running.cancelled():
            self._running.result()
        await self.kill()

    @property
    def state(self) -> State:
        return self.controller.state

    @property
    def history(self) -> list[Event]:
        """What the journal tells, the first engine's events included."""
        return [one.event for one in events_of(self.journal.records)]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.history if isinstance(event, kind)]

    async def until(self, holds: Callable[[], object], limit: float = 600.0) -> None:
        """Go on until something holds. Fails when it does not within `limit` seconds, or when the watch has ended."""
        loop = asyncio.get_running_loop()
        due = loop.time() + limit
        while not holds():
            assert loop.time() < due, f"still {self.state.phase}, {self.state.step}: holds {dict(self.state.holds)}"
            if self._running is not None and self._running.done():
                self._running.result()
            await asyncio.sleep(0.05)

    async def ends(self, phase: Phase, limit: float = 600.0) -> None:
        """Until the release is there, and the journal says so."""
        await self.until(lambda: self.state.phase is phase and len(self.journal.records) == self.controller.seq, limit)

    async def at_stage(self, stage: int) -> None:
        """Until this stage's weight is in effect."""
        await self.until(lambda: self.state.stage == stage and not self.state.shifting)

    async def order(self, verb: str, **said: Any) -> list[Event]:
        """A person's order, meant for what is shown now."""
        self._orders += 1
        now = self.state
        meant = {"stage": now.stage, "revision": now.revision} if verb == "advance" else {}
        order = Order(at=LoopTime().now(), id=f"o{self._orders}", verb=verb, who="ada", **{**meant, **said})
        return await self.controller.order(order)


@asynccontextmanager
async def bench(plan: Rules | None = None, **given: Any) -> AsyncIterator[Bench]:
    """A release with a running engine."""
    made = Bench(plan, **given)
    made.boot()
    try:
        yield made
    finally:
        await made.stop()


def stages_entered(history: Sequence[Event]) -> list[int]:
    return [event.stage for event in history if isinstance(event, ev.StageEntered)]


Story = Callable[[Bench], Awaitable[None]]
