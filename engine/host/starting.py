"""From a start order to a release in the journal."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import events as ev
from engine.assembly import parts_of, router_of, rules_of, unneeded, watched_rules_of
from engine.config import EngineConfigError
from engine.controller import Parts, Said, Time
from engine.host.words import RefusedError, StartOrder
from engine.inputs import Observation
from engine.plan.files import LONGEST_FILE, LONGEST_FILES
from engine.plan.model import Plan, parse_plan
from engine.routers import Router, RouterError
from engine.routers.watched import WatchedRouter
from engine.secrets import SecretMissingError, Secrets
from engine.state import FINAL, State

CLAIM_LIMIT_S = 10.0
UNSUPERVISED = (
    "the plan says production: true, and this engine was started by a terminal: it ends with a logout and does not "
    "come back after a reboot. Run one that does: laneshift serve --install"
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """A release that may begin: its first events, what it works with, and what is kept beside them; `known` are the
    earlier releases on its target, None when it moves nothing there."""

    created: ev.Created
    first: list[Said]
    parts: Parts
    keep: dict[str, Any]
    known: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Starter:
    """What a start needs to know of its engine. `states` are all the releases that the engine knows, anybody's; `look`
    makes known what the store has on a target, and returns the ids of all releases there."""

    home: Path
    identity: str
    time: Time
    states: Callable[[], Iterable[State]]
    supervised: bool
    look: Callable[[str], Awaitable[frozenset[str]]]

    def plan_of(self, order: StartOrder) -> Plan:
        """The order's plan, where this engine may run it. Raises PlanError, RefusedError."""
        plan = parse_plan(order.plan, order.plan_name)
        if order.forbidden:
            raise RefusedError(order.forbidden)
        if plan.production and not self.supervised and not order.observe:
            raise RefusedError(UNSUPERVISED)
        if not order.observe and getattr(plan.router.config, "only_watched", False):
            raise RefusedError(f"router {plan.router.kind} can move nothing, it only watches: start it with --observe")
        _check_sizes(order.files)
        return plan

    async def prepare(self, plan: Plan, order: StartOrder, release: str) -> Beginning:
        """Try everything that a release of this plan needs, and mark its target. Raises RefusedError."""
        secrets = Secrets(self.home)
        try:
            router = router_of(plan, secrets, order.canary)
            router = WatchedRouter(router) if order.observe else router
            parts = parts_of(plan, router, secrets, order.files)
        except (EngineConfigError, SecretMissingError) as error:
            raise RefusedError(str(error)) from error
        try:
            known = None if order.observe else await self._may_start(router)
            created = self._created(plan, router, order, release)
            await self._claim(router, created)
        except BaseException:
            await asyncio.gather(router.close(), parts.source.close())
            raise
        first = [Said(seq, event) for seq, event in enumerate([created, *_not_applicable(plan, created)], 1)]
        keep: dict[str, Any] = {"plan": {"text": order.plan.decode(), "name": order.plan_name}}
        if order.files:
            keep["files"] = kept_files(order.files)
        return Beginning(created, first, parts, keep, known)

    async def _may_start(self, router: Router) -> frozenset[str]:
        known = await self.look(router.target)
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
        return known

    def _refuse_second(self, router: Router, same: Callable[[State], bool]) -> None:
        for state in self.states():
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

    def _created(self, plan: Plan, router: Router, order: StartOrder, release: str) -> ev.Created:
        return ev.Created(
            at=self.time.now(),
            release=release,
            service=plan.service,
            summary=plan.change.summary or "",
            target=router.target,
            plan_digest=plan.digest,
            canary_wanted=order.canary or (plan.version.canary if plan.version else ""),
            who=order.who,
            where=order.where,
            rules=watched_rules_of(plan) if order.observe else rules_of(plan),
            manual_rollback=router.manual_rollback(release),
            files={name: hashlib.sha256(content).hexdigest() for name, content in order.files.items()},
        )


def kept_files(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Files as the journal keeps them beside the plan."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "base64": base64.b64encode(content).decode()}
        for name, content in files.items()
    }


def files_of(kept: Mapping[str, Any]) -> dict[str, bytes]:
    """The files that came with a plan, as the journal kept them."""
    return {name: base64.b64decode(one["base64"]) for name, one in kept.get("files", {}).items()}


def _check_sizes(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if len(content) > LONGEST_FILE:
            raise RefusedError(f"{name} has {len(content)} bytes; a file of a plan has {LONGEST_FILE} at most")
    whole = sum(map(len, files.values()))
    if whole > LONGEST_FILES:
        raise RefusedError(f"the plan's files have {whole} bytes; all of them have {LONGEST_FILES} at most")


def _not_applicable(plan: Plan, created: ev.Created) -> list[ev.Event]:
    reasons = unneeded(plan, created.rules.items)
    return [ev.ItemNotApplicable(at=created.at, item=item, reason=reason) for item, reason in reasons.items()]
