"""All releases of one engine: starts them, resumes them after a restart, hands each its orders."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import events as ev
from engine.assembly import parts_of, router_of, rules_of, unneeded, watched_rules_of
from engine.config import EngineConfigError
from engine.controller import Controller, Parts, Said, Time, events_of, record_of
from engine.identity import identity
from engine.inputs import Observation, Order, SupersedeOld
from engine.journal.recorder import Recorder
from engine.journal.store import Journal
from engine.journal.writer import JournalWriter
from engine.plan.model import Plan, parse_plan
from engine.routers import Router, RouterError
from engine.routers.watched import WatchedRouter
from engine.script import script_path, write_script
from engine.secrets import SecretMissingError, Secrets
from engine.state import FINAL, State, fold

log = logging.getLogger(__name__)

NEVER_HELD_BACK = ("rollback", "pause")  # orders that make nothing worse
ENDS = (ev.RolledBack, ev.Cancelled, ev.OldSideReleased)
BEHIND_S = 2.0  # a journal whose oldest record waits longer than this takes no orders

CLAIM_LIMIT_S = 10.0
AGAIN_S = 1.0  # between a failure of a release's watch and the next attempt


class RefusedError(Exception):
    """A start or an order that the engine does not take; the message says why and what to do."""


class UnknownReleaseError(LookupError):
    """There is no release of that id."""


class WallTime:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What a start carries: the plan's own bytes and name, who asks, and what names the repeat of the same start.
    With `observe` something else drives the release: it is only judged."""

    plan: bytes
    plan_name: str
    who: str
    canary: str = ""
    key: str = ""
    observe: bool = False


@dataclass(slots=True)
class _Held:
    """A release in this engine's hands; `running` until nothing more can happen to it."""

    controller: Controller
    running: asyncio.Task[None] | None = None
    listeners: set[Callable[[Sequence[Said]], None]] = field(default_factory=set)
    trouble: str = ""  # what the journal says now
    failure: str = ""  # a fault of the engine itself; it stays, for somebody must look into it


class Host:
    """The releases of one journal. One engine holds them all: the journal's lock."""

    def __init__(self, home: Path, clock: Time | None = None) -> None:
        """`home` is the state folder. Opens the journal in it: raises its errors."""
        self._home = home
        self._time = clock or WallTime()
        self.journal = Journal.open(home / "journal.db")
        self.epoch = self.journal.engine_epoch()
        self.identity = identity(home)
        self._writer = JournalWriter(self.journal)
        self._held: dict[str, _Held] = {}
        self._lost: dict[str, str] = {}
        self._starting = asyncio.Lock()

    def now(self) -> float:
        """The engine's time, in seconds since the epoch."""
        return self._time.now()

    @property
    def notices(self) -> list[str]:
        """What opening the journal found, and what it says now; loud in every front end."""
        found = []
        if self.journal.recovered is not None:
            found.append(str(self.journal.recovered))
        if self.journal.drained is not None and self.journal.drained.refused:
            found.append(str(self.journal.drained))
        found += self._lost.values()
        found += sorted({said for held in self._held.values() for said in (held.failure, held.trouble) if said})
        return found

    async def resume(self) -> None:
        """Take every release that has not ended, as the journal has it."""
        for row in await asyncio.to_thread(self.journal.releases):
            try:
                held = await self._load(row.id)
            except Exception as error:  # whatever is wrong with one release, the others are guarded
                log.exception("%s can't be taken up", row.id)
                if not await asyncio.to_thread(self._has_ended, row.id):
                    script = script_path(self._home, row.id)
                    self._lost[row.id] = f"{row.id} can't be taken up, nothing guards it: {error}; by hand: sh {script}"
                continue
            if not held.controller.over:
                self._run(held)

    def _has_ended(self, release: str) -> bool:
        """By the kinds of its events alone, for a release that can't be read otherwise."""
        kinds = {kind.__name__ for kind in (ev.RollbackStarted, *ENDS)}
        records = self.journal.read(release, types=kinds)
        return bool(records) and records[-1].type != ev.RollbackStarted.__name__

    async def close(self) -> None:
        """Let go of all releases; they go on when the next engine takes them."""
        running = [held.running for held in self._held.values() if held.running is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for held in self._held.values():
            await held.controller.close()
        await asyncio.to_thread(self._writer.close)
        self.journal.close()

    # --- questions

    def ids(self) -> list[str]:
        """The releases in this engine's hands, oldest first."""
        return list(self._held)

    def state(self, release: str) -> State:
        """A release now. Raises UnknownReleaseError."""
        return self._of(release).controller.state

    async def history(self, release: str, after: int) -> list[Said]:
        """All recorded events later than number `after`, those that still wait beside the journal included."""
        held = self._of(release)
        recent = [said for said in held.controller.recent if said.seq > after]
        if recent and recent[0].seq == after + 1:
            return recent
        stored = events_of(await asyncio.to_thread(self.journal.read, release, after))
        last = stored[-1].seq if stored else after
        return [*stored, *(said for said in held.controller.recent if said.seq > last)]

    def listen(self, release: str, listener: Callable[[Sequence[Said]], None]) -> Callable[[], None]:
        """Call `listener` with everything recorded from now on; returns what ends that."""
        listeners = self._of(release).listeners
        listeners.add(listener)
        return lambda: listeners.discard(listener)

    # --- orders

    async def order(self, release: str, order: Order) -> list[ev.Event]:
        """Hand an order to its release; returns what followed. Raises UnknownReleaseError, and RefusedError while the
        journal takes nothing: an order that can't be recorded would take effect whenever it can."""
        controller = self._of(release).controller
        behind = controller.behind_s
        if order.verb not in NEVER_HELD_BACK and behind > BEHIND_S:
            raise RefusedError(
                f"the journal has taken nothing for {behind:.0f} s: only a roll back or a pause goes now"
            )
        return await controller.order(order)

    async def start(self, order: StartOrder) -> str:
        """Start a release and return its id; a start repeated with the same key returns the first one's.

        Raises PlanError, RefusedError.
        """
        plan = parse_plan(order.plan, order.plan_name)
        if not order.observe and getattr(plan.router.config, "only_watched", False):
            raise RefusedError(f"router {plan.router.kind} can move nothing, it only watches: start it with --observe")
        async with self._starting:
            repeated = await self._started_before(plan.service, order.key)
            if repeated:
                return repeated
            secrets = Secrets(self._home)
            try:
                router = router_of(plan, secrets, order.canary)
                router = WatchedRouter(router) if order.observe else router
                parts = parts_of(plan, router, secrets)
            except (EngineConfigError, SecretMissingError) as error:
                raise RefusedError(str(error)) from error
            try:
                if not order.observe:
                    await self._may_start(router)
                created = await self._created(plan, router, order)
                await self._claim(router, created)
            except BaseException:
                await asyncio.gather(router.close(), parts.source.close())
                raise
            first = [Said(seq, event) for seq, event in enumerate([created, *_not_applicable(plan, created)], 1)]
            await self._store(order, created, first)
            if not order.observe:
                self._supersede(created)
            self._run(self._hold(created.release, first, parts, {}))
            return created.release

    async def _started_before(self, service: str, key: str) -> str:
        if not key:
            return ""
        rows = await asyncio.to_thread(self.journal.releases)
        return next((row.id for row in rows if (row.service, row.key) == (service, key)), "")

    async def _may_start(self, router: Router) -> None:
        self._refuse_second(router, lambda state: state.target == router.target)
        try:
            seen: Observation = await router.observe()
        except RouterError as error:
            raise RefusedError(f"the router can't be read: {error}") from error
        if seen.engine == self.identity:  # two plans may name one target differently, its mark is one
            self._refuse_second(router, lambda state: state.release == seen.marked_release)
        if seen.weight != 0 and not seen.finished:  # finished: the release before has ended there, by its own account
            raise RefusedError(
                f"stable ({seen.stable}) does not carry the traffic: {seen.weight:g}% goes to the canary's side "
                f"({seen.canary}); if that is the version in service now, exchange stable and canary in the plan"
            )

    def _refuse_second(self, router: Router, same: Callable[[State], bool]) -> None:
        for held in self._held.values():
            state = held.controller.state
            if same(state) and state.phase not in FINAL and not state.rules.watched:
                raise RefusedError(f"{state.release} is under way on {router.target}: attach to it, or end it first")

    async def _claim(self, router: Router, created: ev.Created) -> None:
        try:
            async with asyncio.timeout(CLAIM_LIMIT_S):
                await router.claim(created.release, self.identity)
        except RouterError as error:
            raise RefusedError(str(error)) from error
        except TimeoutError:
            raise RefusedError(f"{created.target} could not be marked within {CLAIM_LIMIT_S:g} s: try again") from None

    async def _created(self, plan: Plan, router: Router, order: StartOrder) -> ev.Created:
        release = await asyncio.to_thread(self.journal.next_id, plan.service)
        return ev.Created(
            at=self._time.now(),
            release=release,
            service=plan.service,
            summary=plan.change.summary or "",
            target=router.target,
            plan_digest=plan.digest,
            canary_wanted=order.canary or (plan.version.canary if plan.version else ""),
            who=order.who,
            rules=watched_rules_of(plan) if order.observe else rules_of(plan),
            manual_rollback=router.manual_rollback(release),
        )

    async def _store(self, order: StartOrder, created: ev.Created, first: Sequence[Said]) -> None:
        kept = {"plan": {"text": order.plan.decode(), "name": order.plan_name}}
        await asyncio.to_thread(
            self.journal.create_release,
            created.release,
            created.target,
            created.service,
            created.at,
            order.key or None,
            records=[record_of(one) for one in first],
            keep=kept,
        )

    def _supersede(self, created: ev.Created) -> None:
        """Earlier releases on this target keep, guard and give back nothing there any more."""
        for held in self._held.values():
            if held.controller.state.target == created.target and not held.controller.over:
                held.controller.tell(SupersedeOld(at=self._time.now(), by=created.release))

    # --- holding

    def _of(self, release: str) -> _Held:
        held = self._held.get(release)
        if held is None:
            known = ", ".join(list(self._held)[-5:]) or "none"
            raise UnknownReleaseError(f"there is no release {release!r}; the latest are: {known}")
        return held

    async def _load(self, release: str) -> _Held:
        records = await asyncio.to_thread(self.journal.read, release)
        kept: dict[str, Any] = await asyncio.to_thread(self.journal.kept, release)
        plan = parse_plan(kept["plan"]["text"].encode(), kept["plan"]["name"])
        said = events_of(records)
        created = next(one.event for one in said if isinstance(one.event, ev.Created))
        secrets = Secrets(self._home)
        router = router_of(plan, secrets, created.canary_wanted)
        parts = parts_of(plan, WatchedRouter(router) if created.rules.watched else router, secrets)
        return self._hold(release, said, parts, kept)

    def _hold(self, release: str, said: list[Said], parts: Parts, kept: dict[str, Any]) -> _Held:
        state = fold(one.event for one in said)
        if state is None:
            raise ValueError(f"{release} has no events")

        def publish(news: Sequence[Said]) -> None:
            for listener in tuple(held.listeners):
                listener(news)

        def trouble(reason: str) -> None:
            held.trouble = reason
            held.controller.journal_trouble(reason)

        recorder = Recorder(release, self._writer, trouble)
        controller = Controller(
            state,
            parts,
            recorder,
            self._time,
            publish=publish,
            script=lambda now: asyncio.to_thread(write_script, self._home, now, parts.router),
            kept=kept,
            seq=said[-1].seq,
            engine=self.identity,
        )
        held = self._held[release] = _Held(controller)
        return held

    def _run(self, held: _Held) -> None:
        held.running = asyncio.create_task(self._see_through(held), name=held.controller.state.release)

    async def _see_through(self, held: _Held) -> None:
        """Run a release to its end. A fault of the engine is said and the release taken up again: it stays guarded."""
        name = held.controller.state.release
        while True:
            try:
                await held.controller.run(self.epoch)
                return
            except Exception as error:
                log.exception("the watch of %s failed", name)
                held.failure = f"{name}: the engine failed and took it up again, see its log: {error!r}"
            await self._time.sleep(AGAIN_S)


def _not_applicable(plan: Plan, created: ev.Created) -> list[ev.Event]:
    reasons = unneeded(plan, created.rules.items)
    return [ev.ItemNotApplicable(at=created.at, item=item, reason=reason) for item, reason in reasons.items()]
