"""The loop of one release: an input is decided on, what follows is recorded, published and carried out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from engine import events as ev
from engine.controller.eyes import Eyes
from engine.controller.hands import Hands
from engine.controller.lease import UNLIMITED, Lease
from engine.controller.parts import Parts, Said, Time, record_of
from engine.events import Event
from engine.inputs import Clock, Input, JournalSlow, Order, Rehearsed, Took
from engine.journal.recorder import Recorder
from engine.release import LET_GO_TRIES, decide
from engine.state import FINAL, FORWARD, GOING_BACK, Phase, State, apply
from engine.telemetry import UNWATCHED, Watcher

CLOCK_S = 0.5
IDLE_S = 10.0  # between two observations of a promoted release
AFTERMATH_S = 60.0  # how long a rolled back release is still read, for the last laps
REHEARSE_AGAIN_S = 5.0  # after a trial of the way back that failed, which is in the way of every advance
RECENT = 2000  # records kept in memory for clients that come late


class LostError(Exception):
    """The release went to another engine before the order was recorded."""


class Controller:
    """One live release. `order` is the way in for people; `publish` hears every event once it is recorded."""

    def __init__(
        self,
        state: State,
        parts: Parts,
        recorder: Recorder,
        time: Time,
        *,
        publish: Callable[[Sequence[Said]], None],
        script: Callable[[State], Awaitable[None]],
        kept: Mapping[str, Any] | None = None,
        seq: int,
        engine: str = "",
        lease: Lease = UNLIMITED,
        watcher: Watcher = UNWATCHED,
    ) -> None:
        """`kept` is what was stored beside the last tick: raw counters and the judge's state; `seq` the last number.

        `script` writes rollback.sh; it is called when the release is taken and at each stage. `engine` names the
        journal in the marks that routers leave. What moves the release forward needs the `lease`; `watcher` hears how
        it goes.
        """
        self.state = state
        self.seq = seq
        self.recent: deque[Said] = deque(maxlen=RECENT)
        self.time = time
        self.lease = lease
        self.watcher = watcher
        self._unrecorded: dict[str, tuple[Order, asyncio.Future[None]]] = {}
        self._parts = parts
        self._recorder = recorder
        self._publish = publish
        self._script = script
        self._moved = asyncio.Event()
        self._lost = False
        self._eyes = Eyes(self, parts, kept or {})
        self._hands = Hands(self, parts, engine=engine, moved=self._moved, script=lambda: self._script(self.state))

    # --- life

    async def run(self, epoch: int, *, engine: str = "", raise_after: float = 0.0) -> None:
        """Take the release and see it through; returns when nothing more can happen to it."""
        self.tell(Took(at=self.time.now(), epoch=epoch, engine=engine, raise_after=raise_after))
        loops = [self._observing(), self._looking(), self._ticking(), self._rehearsing()]
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await self._hands.stop()

    async def close(self) -> None:
        """Stop what is under way and let go of connections."""
        await self._hands.stop()
        await self._recorder.close()
        await asyncio.gather(self._parts.router.close(), self._parts.source.close(), return_exceptions=True)

    async def settle(self) -> None:
        """Wait for the effects that are under way."""
        await self._hands.settle()

    def lose(self) -> list[Order]:
        """Another engine has the release: from this moment on nothing is decided here, and nothing done. Returns the
        orders that were taken and never recorded; who gave them hears of a LostError."""
        self._lost = True
        left = list(self._unrecorded.values())
        for _, recorded in left:
            if not recorded.done():
                recorded.set_exception(LostError(f"another engine has {self.state.release} now"))
                recorded.exception()  # nobody may be left to hear it
        return [order for order, _ in left]

    @property
    def behind_s(self) -> float:
        """How long the oldest of its records has waited for the journal, in seconds."""
        return self._recorder.behind_s

    @property
    def longest_write_s(self) -> float:
        """For how long a write that takes the release forward may still land after its engine is gone, in seconds."""
        router = self._parts.router
        return max(router.shift_limit_s, router.effort_limit_s if self.state.rules.finish != "swap" else 0.0)

    async def order(self, order: Order) -> list[Event]:
        """Decide on a person's order; returns what followed, once it is recorded: nothing acknowledged is lost. Raises
        LostError when another engine has the release."""
        earlier = self._unrecorded.get(order.id)
        if earlier is not None:  # a repeat is answered no sooner than the order itself
            await asyncio.shield(earlier[1])
        events, recorded = self._decide(order)
        self._unrecorded[order.id] = (order, recorded)
        recorded.add_done_callback(lambda _: self._unrecorded.pop(order.id, None))
        await asyncio.shield(recorded)
        return events

    def tell(self, given: Input, keep: dict[str, Any] | None = None) -> None:
        """Decide and fold; what follows is published and acted on when it is recorded. Never waits: with a journal
        that hangs the canary is watched still."""
        if not self._lost:
            self._decide(given, keep)

    def _decide(self, given: Input, keep: dict[str, Any] | None = None) -> tuple[list[Event], asyncio.Future[None]]:
        if self._lost:
            raise LostError(f"another engine has {self.state.release} now")
        was = self.state.phase
        events = decide(self.state, given)
        if not events:
            nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            return [], nothing
        first = self.seq + 1
        for event in events:
            self.state = apply(self.state, event)
            self._follow(event)
        self.seq += len(events)
        said = [Said(first + number, event) for number, event in enumerate(events)]
        urgent = was in GOING_BACK or self.state.phase in GOING_BACK
        records = [record_of(one) for one in said]
        at = asyncio.get_running_loop().time()
        return events, self._recorder.put(records, keep, then=lambda: self._recorded(said, at), urgent=urgent)

    def _recorded(self, said: Sequence[Said], decided_at: float) -> None:
        self.recent.extend(said)
        self._publish(said)
        for one in said:
            if not self._lost:
                self._hands.act(one.event)
        waited = asyncio.get_running_loop().time() - decided_at
        self.watcher.recorded([one.event for one in said], self.state, waited, self.time.now())

    def _follow(self, event: Event) -> None:
        """What the judge must know, in the order of events."""
        if isinstance(event, ev.StageEntered):
            if event.stage == 0:
                asyncio.get_running_loop().call_soon(self._eyes.learned)  # what preflight showed is past now
            self._eyes.enter_stage()
        elif isinstance(event, ev.RevisionChanged):
            self._eyes.forget()

    def journal_trouble(self, reason: str) -> None:
        """The journal does not take records (or, with "", does again). Said at once, and recorded when it can be."""
        if reason != self.state.journal_late:
            self.tell(JournalSlow(at=self.time.now(), reason=reason))

    # --- the loops

    async def _observing(self) -> None:
        while not self.over:
            await self._eyes.observe()
            await self._until_moved(self._observe_pause())

    def _observe_pause(self) -> float:
        state = self.state
        under_way = state.shifting and (state.phase is not Phase.ROLLED_BACK or state.disturbed)
        if state.phase in GOING_BACK or under_way:
            return self._parts.router.observe_pause_s
        return IDLE_S if state.phase is Phase.PROMOTED else min(1.0, state.rules.interval_s)

    async def _until_moved(self, seconds: float) -> None:
        """Wait, but no longer than until a weight is on its way."""
        self._moved.clear()
        waiting = [asyncio.ensure_future(self.time.sleep(seconds)), asyncio.ensure_future(self._moved.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _looking(self) -> None:
        while not self.over:
            if self.state.canary and self.state.past_s is None and self.state.phase is Phase.PREFLIGHT:
                await self._eyes.read_past()
            if self.state.canary and not watched_enough(self.state, self.time.now()):
                await self._eyes.look()
            await self.time.sleep(self.state.rules.interval_s)

    async def _rehearsing(self) -> None:
        """The way back's write, tried without effect while there is a way back."""
        every = self.state.rules.rehearse_s
        while every and not self.over:
            ok = True
            if self.state.phase in FORWARD or self.state.keep_until is not None:
                ok, detail = await self._hands.rehearse()
                self.tell(Rehearsed(at=self.time.now(), ok=ok, detail=self._parts.bounded(detail)))
            await self.time.sleep(every if ok else min(every, REHEARSE_AGAIN_S))

    async def _ticking(self) -> None:
        while not self.over:
            self.tell(Clock(at=self.time.now()))
            await self.time.sleep(CLOCK_S)

    @property
    def over(self) -> bool:
        """Can nothing more happen to it?"""
        return is_over(self.state, self.time.now())


def is_over(state: State, at: float) -> bool:
    """Can nothing more happen to a release by itself?"""
    if not watched_enough(state, at) or not gave_back(state):
        return False
    if state.phase is not Phase.ROLLED_BACK:
        return state.keep_until is None
    return not state.moved or at - (state.ended_at or 0.0) > state.rules.guard_s


def watched_enough(state: State, at: float) -> bool:
    """Is there nothing more to read from the source?"""
    if state.phase is not Phase.ROLLED_BACK:
        return state.phase in FINAL
    if state.rollback is None or state.ended_at is None or not state.moved:
        return True
    laps = state.rollback.last_canary_request is not None and state.rollback.recovered is not None
    return laps or at - state.ended_at > AFTERMATH_S


def gave_back(state: State) -> bool:
    """Nothing is held of the target any more, or giving it back was tried often enough."""
    effort = state.letting_go
    if not state.rules.holds_target:
        return True
    return effort is not None and effort.answered_at is not None and (effort.ok or effort.tries >= LET_GO_TRIES)
