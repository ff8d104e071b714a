"""Carries out what was recorded: writes of the weight, sizes, finishes, checks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal

from engine import events as ev
from engine.checks import CheckResult, Place
from engine.controller.lease import limit_of_raise
from engine.controller.parts import Live, Parts
from engine.events import CheckList, CheckOutcome, Event
from engine.inputs import Answered, Checked, FinishTried, LetGo, Scaled
from engine.routers import Ending, RouterConflict, RouterError, Write
from engine.state import Phase, State

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 60.0
HEAD_START_S = 0.02  # of a way back's write before stable is scaled beside it

Answer = tuple[bool, str, bool]  # was it done, what was answered, had the route changed


class Hands:
    """The effects of one release. `moved` is set when a write is on its way or was answered."""

    def __init__(
        self, release: Live, parts: Parts, *, engine: str, moved: asyncio.Event, script: Callable[[], Awaitable[None]]
    ) -> None:
        """`engine` is the name in the marks that routers leave; `script` writes rollback.sh."""
        self._release = release
        self._parts = parts
        self._engine = engine
        self._moved = moved
        self._script = script
        self._scripting = asyncio.Lock()
        self._scaling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _state(self) -> State:
        return self._release.state

    def act(self, event: Event) -> None:
        """Carry out a recorded intent."""
        if isinstance(event, ev.ShiftIntended):
            if event.weight > 0:
                self._moved.set()  # a way back is read once it is answered: before that a reading would only delay it
            self._start(self._shift(event), f"shift {event.number}")
        elif isinstance(event, ev.ChecksStarted):
            for name in event.names:
                self._start(self._check(event.list, name, event.attempt), f"check {name}")
        elif isinstance(event, ev.CapacityAwaited):
            if event.scale:
                if self._scaling is not None:
                    self._scaling.cancel()  # it would land on top of what is wanted now
                self._scaling = self._start(self._scale(event.weight), f"scale for {event.weight}%")
        elif isinstance(event, ev.FinishIntended):
            self._start(self._finish(event), f"finish {event.number}")
        elif isinstance(event, ev.LetGoIntended):
            if self._scaling is not None:
                self._scaling.cancel()
            self._start(self._let_go(event.canary_to_zero), "let go")
        elif isinstance(event, ev.StageEntered | ev.EngineTook):
            self._start(self._write_script(), "rollback.sh")

    async def stop(self) -> None:
        """Cancel what is under way; a command's process group is killed by that."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def rehearse(self) -> tuple[bool, str]:
        """Try the way back's write without effect: would it get through, and what was answered."""
        write = self._write(f"{self._state.epoch}.0", 0, None)
        ok, detail, _ = await self._asked_of_router(self._parts.router.rehearse(write), self._effort_s)
        return ok, detail

    # --- tasks

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def _write_script(self) -> None:
        async with self._scripting:
            await self._script()

    # --- the router

    async def _shift(self, intent: ev.ShiftIntended) -> None:
        now = self._state.intent
        if now is not None and now.number == intent.number:
            ok, detail, conflict = await self._written(intent)
        else:
            ok, detail, conflict = False, "another write took its place before it was made", False
        said = self._parts.bounded(detail)
        self._release.tell(Answered(at=self._now(), number=intent.number, ok=ok, detail=said, conflict=conflict))
        self._moved.set()

    async def _written(self, intent: ev.ShiftIntended) -> Answer:
        """Make the write; returns whether it was taken, what was answered, and whether the route had changed."""
        # Only stable's weight is written over anything, lease or no lease: any other that comes late would land on a
        # person's 0, or on another engine's way back.
        guard = intent.generation if intent.weight > 0 else None
        write = self._write(intent.number, intent.weight, guard)
        limit = self._parts.router.shift_limit_s
        if intent.weight == 0:
            return await self._asked_of_router(self._parts.router.shift(write), limit)
        return await self._asked_if_held(lambda: self._parts.router.shift(write), limit)

    async def _scale(self, weight: int) -> None:
        if weight == 0:
            await self._release.time.sleep(HEAD_START_S)
        ok, detail, _ = await self._asked_of_router(self._parts.router.scale(weight), self._effort_s)
        self._release.tell(Scaled(at=self._now(), weight=weight, ok=ok, detail=self._parts.bounded(detail)))

    async def _finish(self, intent: ev.FinishIntended) -> None:
        write = self._write(intent.number, self._state.desired, self._state.generation)
        if self._state.phase is Phase.FINISHING:
            ok, detail, _ = await self._asked_if_held(lambda: self._parts.router.finish(write), self._effort_s)
        else:
            ok, detail = False, "the release went another way before it began"
        self._release.tell(FinishTried(at=self._now(), number=intent.number, ok=ok, detail=self._parts.bounded(detail)))
        self._moved.set()

    async def _let_go(self, canary_to_zero: bool) -> None:
        ending = Ending(self._state.release, _outcome(self._state.phase), canary_to_zero)
        ok, detail, _ = await self._asked_if_held(lambda: self._parts.router.let_go(ending), self._effort_s)
        self._release.tell(LetGo(at=self._now(), ok=ok, detail=self._parts.bounded(detail)))

    def _write(self, number: str, weight: int, generation: str | None) -> Write:
        return Write(self._state.release, number, weight, generation, self._engine)

    async def _asked_if_held(self, ask: Callable[[], Awaitable[str]], wanted_s: float) -> Answer:
        """What only the release's holder may do, and only while it is sure to be that."""
        lease = self._release.lease
        limit = limit_of_raise(lease, wanted_s)
        if limit == 0.0:
            return False, f"not begun: this engine is sure to hold the release for {lease.left_s():.1f} s only", False
        return await self._asked_of_router(ask(), limit)

    async def _asked_of_router(self, asked: Awaitable[str], limit: float) -> Answer:
        """What the router is asked to do, within `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                return True, await asked, False
        except TimeoutError:
            return False, f"no answer within {limit:g} s", False
        except RouterError as error:
            return False, str(error), isinstance(error, RouterConflict)
        except Exception as error:  # a router of another package: its bug must not stop the way back
            log.exception("the router failed")
            return False, f"the router failed: {type(error).__name__}: {error}", False

    @property
    def _effort_s(self) -> float:
        return self._parts.router.effort_limit_s

    def _now(self) -> float:
        return self._release.time.now()

    # --- checks

    async def _check(self, listed: CheckList, name: str, attempt: int) -> None:
        result = await self._asked(name)
        self._release.tell(
            Checked(
                at=self._now(),
                list=listed,
                name=name,
                attempt=attempt,
                outcome=result.outcome,
                summary=self._parts.bounded(result.summary),
                evidence=self._parts.hide(result.evidence),
            )
        )

    async def _asked(self, name: str) -> CheckResult:
        check = self._parts.checks.get(name)
        if check is None:
            return CheckResult(CheckOutcome.ERROR, "the plan has no such check")
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                addresses = await self._parts.router.addresses()
                result = await check.run(self._place(addresses))
            json.dumps(result.evidence)  # what is no JSON could not be recorded
            return result
        except TimeoutError:
            return CheckResult(CheckOutcome.ERROR, f"no answer within {CHECK_LIMIT_S:g} s")
        except RouterError as error:
            return CheckResult(CheckOutcome.ERROR, str(error))
        except Exception as error:  # a check of another package: it could not answer, and that is an answer
            log.exception("check %s failed", name)
            return CheckResult(CheckOutcome.ERROR, f"{type(error).__name__}: {error}")

    def _place(self, addresses: Mapping[str, str]) -> Place:
        state = self._state
        return Place(
            addresses,
            state.canary,
            state.stable,
            self._parts.files,
            canary_build=state.canary_build,
            sent_at=state.created_at,
            now=self._now(),
        )


def _outcome(phase: Phase) -> Literal["promoted", "rolled_back", "cancelled"]:
    if phase is Phase.PROMOTED:
        return "promoted"
    return "rolled_back" if phase is Phase.ROLLED_BACK else "cancelled"
