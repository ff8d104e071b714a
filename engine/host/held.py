"""The releases in this engine's own hands: their controllers, from the journal to the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import events as ev
from engine.assembly import parts_of, router_of
from engine.controller import UNLIMITED, Controller, Parts, Said, Time, events_of
from engine.host.leases import HeldLease
from engine.host.starting import files_of
from engine.inputs import Order
from engine.journal.recorder import Recorder
from engine.journal.store import Journal
from engine.journal.writer import JournalWriter
from engine.plan.model import parse_plan
from engine.routers.watched import WatchedRouter
from engine.script import write_script
from engine.secrets import Secrets
from engine.state import GOING_BACK, fold
from engine.telemetry import Watcher

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # between a failure of a release's watch and the next attempt


@dataclass(slots=True)
class Held:
    """A release in this engine's hands; `running` until nothing more can happen to it."""

    controller: Controller
    epoch: int
    running: asyncio.Task[None] | None = None
    trouble: str = ""  # what the journal says now
    failure: str = ""  # a fault of the engine itself; it stays, for somebody must look into it


@dataclass(frozen=True, slots=True)
class Read:
    """All that the journal has of a release."""

    said: list[Said]
    kept: Mapping[str, Any]


def read_release(journal: Journal, release: str) -> Read:
    """Slow: for a thread. Raises the journal's errors, KeyError for an event of a newer laneshift."""
    return Read(events_of(journal.read(release)), journal.kept(release))


@dataclass(slots=True)
class Hooks:
    """What the holder tells: events that were recorded, a release that another engine took, one that is over."""

    publish: Callable[[str, Sequence[Said]], None]
    fenced: Callable[[str], None] = lambda _: None
    over: Callable[[str], None] = lambda _: None


class Holder:
    """Builds and runs the controllers. `identity` is the name in marks on routes, `process` that in leases."""

    def __init__(
        self,
        home: Path,
        identity: str,
        process: str,
        time: Time,
        writer: JournalWriter,
        hooks: Hooks,
        watcher: Watcher,
        *,
        shared: bool,
    ) -> None:
        self.held: dict[str, Held] = {}
        self._home = home
        self._identity = identity
        self._process = process
        self._time = time
        self._writer = writer
        self._hooks = hooks
        self._watcher = watcher
        self._shared = shared

    def load(self, release: str, read: Read, lease: HeldLease) -> Held:
        """A release as the journal has it, in this engine's hands. Raises what its plan, its secrets or its router
        raise."""
        plan = parse_plan(read.kept["plan"]["text"].encode(), read.kept["plan"]["name"])
        created = next(one.event for one in read.said if isinstance(one.event, ev.Created))
        secrets = Secrets(self._home)
        router = router_of(plan, secrets, created.canary_wanted)
        router = WatchedRouter(router) if created.rules.watched else router
        return self.hold(release, read, parts_of(plan, router, secrets, files_of(read.kept)), lease)

    def hold(self, release: str, read: Read, parts: Parts, lease: HeldLease) -> Held:
        """A release with what it works with."""
        state = fold(one.event for one in read.said)
        if state is None:
            raise ValueError(f"{release} has no events")

        def trouble(reason: str) -> None:
            held.trouble = reason
            held.controller.journal_trouble(reason)

        recorder = Recorder(
            release, self._writer, trouble, epoch=lease.epoch, on_fenced=lambda _: self._hooks.fenced(release)
        )
        controller = Controller(
            state,
            parts,
            recorder,
            self._time,
            publish=lambda news: self._hooks.publish(release, news),
            script=lambda now: asyncio.to_thread(write_script, self._home, now, parts.router),
            kept=read.kept,
            seq=read.said[-1].seq,
            engine=self._identity,
            lease=lease if self._shared else UNLIMITED,
            watcher=self._watcher,
        )
        held = self.held[release] = Held(controller, lease.epoch)
        return held

    def run(self, held: Held, raise_after: float = 0.0) -> None:
        """See it through, from now on."""
        name = held.controller.state.release
        held.running = asyncio.create_task(self._see_through(held, raise_after), name=name)

    async def _see_through(self, held: Held, raise_after: float) -> None:
        """Run a release to its end. A fault of the engine is said and the release taken up again: it stays guarded."""
        name = held.controller.state.release
        while True:
            try:
                await held.controller.run(held.epoch, engine=self._process, raise_after=raise_after)
            except Exception as error:
                log.exception("the watch of %s failed", name)
                held.failure = f"{name}: the engine failed and took it up again, see its log: {error!r}"
            else:
                self._hooks.over(name)
                return
            await self._time.sleep(AGAIN_S)

    def lose(self, release: str) -> tuple[Held, list[Order]] | None:
        """Another engine has it: what is under way is cut off now, but for a way back. Returns what was held, and the
        orders that were taken and never recorded."""
        held = self.held.pop(release, None)
        if held is None:
            return None
        self._watcher.fenced()
        orders = held.controller.lose()
        if held.running is not None and held.controller.state.phase not in GOING_BACK:
            held.running.cancel()
        return held, orders

    async def put_down(self, release: str) -> None:
        """Stop what is under way for a release, and let go of its connections."""
        held = self.held.pop(release, None)
        if held is not None:
            await self.end(held)

    async def end(self, held: Held) -> None:
        """Stop a watch and let go of its connections."""
        if held.running is not None and held.running is not asyncio.current_task():
            held.running.cancel()
            await asyncio.gather(held.running, return_exceptions=True)
        await held.controller.close()

    async def close(self) -> None:
        """Put all of them down."""
        running = [held.running for held in self.held.values() if held.running is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for held in self.held.values():
            await held.controller.close()
