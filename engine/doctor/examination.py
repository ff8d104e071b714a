"""Tries all of a plan side by side, each part with a limit of time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.assembly import parts_of, router_of, rules_of
from engine.config import FILE, EngineConfig, EngineConfigError, SocketPlace, config_path, read_engine_config
from engine.controller import Parts
from engine.doctor.keys import examine_keys
from engine.doctor.links import examine_links
from engine.doctor.people import examine_people
from engine.doctor.place import examine_folder, examine_journal, examine_secrets
from engine.doctor.standing import examine_addresses, examine_standing
from engine.doctor.traffic import examine_traffic
from engine.doctor.way_back import examine_script
from engine.finding import Finding
from engine.inputs import Observation
from engine.plan.model import Plan
from engine.plan.selector import Subject
from engine.plan.units import show_duration
from engine.routers import Router, RouterError
from engine.routers.watched import WatchedRouter
from engine.secrets import SecretMissingError, Secrets

log = logging.getLogger(__name__)

OBSERVE_LIMIT_S = 6.0
PART_LIMIT_S = 8.0
WHOLE_LIMIT_S = 15.0  # less than a front end waits for an answer
TARGET = "target"
NOBODY = Subject("laneshift-doctor", "laneshift-doctor", "laneshift-doctor")


@dataclass(frozen=True, slots=True)
class Place:
    """The engine that examines: its state folder, what it says of itself, and the live release of each target.

    config:        its configuration; read from its file when it is not given
    shared_socket: a group may open its socket, not one user alone; which one when `socket_group` is not empty
    supervised:    something starts it again when it ends
    """

    home: Path
    notices: Sequence[str]
    busy: Mapping[str, str]
    config: EngineConfig | None = None
    shared_socket: bool = False
    socket_group: str = ""
    supervised: bool = False


async def examine(plan: Plan, place: Place, canary: str = "", *, observe: bool = False) -> list[Finding]:
    """Everything a release of `plan` will need, in the order of a release; `canary` is the version of the start order,
    `observe` says that something else drives it.

    Nothing is changed, and it never raises. No secret is in what it says.
    """
    secrets = Secrets(place.home)
    here = [
        Finding("ok", "plan", f"valid: {len(plan.stages)} stages, {show_duration(plan.least_seconds)} at least"),
        *await asyncio.to_thread(examine_folder, place.home),
        *examine_journal(place.notices),
        *await asyncio.to_thread(examine_secrets, plan, secrets),
        *await asyncio.to_thread(_of_the_engine, plan, place),
    ]
    there, opened = await asyncio.gather(
        _within("router", _of_parts(plan, place, secrets, canary, observe=observe), WHOLE_LIMIT_S),
        _within("links", examine_links(plan.links)),
    )
    return [Finding(**secrets.hide(asdict(one))) for one in (*here, *there, *opened)]


def _of_the_engine(plan: Plan, place: Place) -> list[Finding]:
    """Who can be there, and what opens its doors."""
    file = config_path(place.home)
    try:
        config = place.config or read_engine_config(file)
    except EngineConfigError as error:
        return [Finding("bad", FILE, str(error))]
    named = {"socket": SocketPlace(group=place.socket_group)} if place.socket_group else {}
    of_people = config.model_copy(update=named)
    people = examine_people(plan, of_people, shared_socket=place.shared_socket, supervised=place.supervised)
    return [*people, *examine_keys(config, file, place.home, time.time())]


async def _of_parts(plan: Plan, place: Place, secrets: Secrets, canary: str, *, observe: bool) -> list[Finding]:
    """What the router and the source say, and what follows from both."""
    router = router_of(plan, secrets, canary)
    router = WatchedRouter(router) if observe else router
    wanted = canary or (plan.version.canary if plan.version else "")
    try:
        own, script, others = await asyncio.gather(
            _within("router", router.examine()),
            _within("rollback.sh", examine_script(router, plan.service)),
            _seen(plan, place, secrets, router, wanted),
        )
    finally:
        await _closed(router.close())
    return [*own, *script, *_without_echo(own, others)]


def _without_echo(own: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """That the target can't be read is said once: by the router's own lines, unless they have no reason for it."""
    explained = any(one.grade == "bad" and one.what != "router" for one in own)
    return [one for one in others if not (explained and one.what == TARGET)]


async def _seen(plan: Plan, place: Place, secrets: Secrets, router: Router, wanted: str) -> list[Finding]:
    """What depends on what the router shows."""
    seen, problem = await _observed(router)
    if seen is None:
        standing = [Finding("bad", TARGET, problem)]
    elif isinstance(router, WatchedRouter):
        standing = []  # whose it is and where it stands is its driver's business
    else:
        standing = examine_standing(plan, router, seen, wanted, place.busy)
    of_source = _within("source", _of_source(plan, secrets, router, seen, wanted), WHOLE_LIMIT_S)
    return [*standing, *await of_source]


async def _of_source(
    plan: Plan, secrets: Secrets, router: Router, seen: Observation | None, wanted: str
) -> list[Finding]:
    parts = parts_of(plan, router, secrets)
    try:
        if seen is None:
            return await _within("source", _reached(parts))
        return await _with_both_sides(plan, parts, seen, wanted)
    finally:
        await _closed(parts.source.close())


async def _observed(router: Router) -> tuple[Observation | None, str]:
    """What the router shows, or None and why not."""
    try:
        async with asyncio.timeout(OBSERVE_LIMIT_S):
            return await router.observe(), ""
    except TimeoutError:
        return None, f"can't be read within {OBSERVE_LIMIT_S:g} s"
    except RouterError as error:
        return None, str(error)
    except Exception as error:
        log.exception("the router failed")
        return None, f"failed: {type(error).__name__}: {error}"


async def _with_both_sides(plan: Plan, parts: Parts, seen: Observation, wanted: str) -> list[Finding]:
    stable = Subject(seen.stable, seen.stable_build, seen.stable_workload)
    canary = Subject(seen.canary or wanted, seen.canary_build, seen.canary_workload)
    source = parts.source
    interval_s = rules_of(plan).interval_s
    found = await asyncio.gather(
        _within("checks", _addresses(plan, parts.router)),
        _within("source", source.examine(parts.queries, canary=canary, stable=stable)),
        _within("traffic", examine_traffic(plan, source, parts.queries, stable, interval_s)),
    )
    return [finding for part in found for finding in part]


async def _addresses(plan: Plan, router: Router) -> list[Finding]:
    return examine_addresses(plan, await router.addresses())


async def _reached(parts: Parts) -> list[Finding]:
    """Without a version to ask for: does the source answer at all?"""
    reading = await parts.source.read(parts.queries, canary=NOBODY, stable=NOBODY)
    if reading.problem:
        return [Finding("bad", "source", reading.problem)]
    said = "answers; its metrics are not tried, for the router does not say which versions serve"
    return [Finding("warn", "source", said)]


async def _within(what: str, trying: Awaitable[list[Finding]], limit_s: float | None = None) -> list[Finding]:
    """What was found within the limit; a fault of a part is a finding too, and stops no other part."""
    limit_s = limit_s or PART_LIMIT_S
    try:
        async with asyncio.timeout(limit_s):
            return await trying
    except TimeoutError:
        return [Finding("bad", what, f"no answer within {limit_s:g} s")]
    except SecretMissingError:  # which has a line of its own
        return [Finding("warn", what, "not tried without its secrets")]
    except (EngineConfigError, RouterError) as error:
        return [Finding("bad", what, str(error))]
    except Exception as error:  # a part of another package, too
        log.exception("the examination of %s failed", what)
        return [Finding("bad", what, f"failed: {type(error).__name__}: {error}", "the engine's log says more")]


async def _closed(closing: Awaitable[None]) -> None:
    with suppress(Exception):  # whatever a part of another package does at its end, the findings stand
        await closing
