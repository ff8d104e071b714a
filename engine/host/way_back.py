"""The way back from an engine that does not hold the release: when the one that does can't be reached.

Stable's weight is written over anything and needs no lease: it is right from any engine, at any time, twice. The number
that it leaves on the route is one that no other engine can have, so that whatever was read before it is stale.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path

from engine.assembly import router_of
from engine.controller import Time
from engine.host.followed import Followed
from engine.plan.model import parse_plan
from engine.routers import Router, RouterError, Write
from engine.secrets import Secrets
from engine.state import State

log = logging.getLogger(__name__)

AGAIN_S = 1.0


async def write_stable(home: Path, release: Followed, identity: str, time: Time, first: asyncio.Future[str]) -> None:
    """Write stable's weight until it is read back, for as long as the plan's hard limit; `first` becomes what was
    answered to the first write that was taken, or its error."""
    router: Router | None = None
    try:
        router = _router(home, release)
        until = time.now() + release.state.rules.hard_limit_s
        while not await _tried(router, release.state, identity, first) and time.now() < until:
            await time.sleep(AGAIN_S)
    except Exception as error:  # whatever it is, who asked must hear it
        log.exception("%s can't be rolled back from here", release.state.release)
        if not first.done():
            first.set_exception(RouterError(str(error)))
    finally:
        if router is not None:
            await router.close()


def _router(home: Path, release: Followed) -> Router:
    text, name = release.plan
    return router_of(parse_plan(text.encode(), name), Secrets(home), release.created.canary_wanted)


async def _tried(router: Router, state: State, identity: str, first: asyncio.Future[str]) -> bool:
    """Write once and read back; is all traffic on stable?"""
    number = f"{state.epoch}.{state.intents}-{secrets.token_hex(4)}"
    try:
        async with asyncio.timeout(router.shift_limit_s):
            said = await router.shift(Write(state.release, number, 0, None, identity))
        if not first.done():
            first.set_result(said)
        async with asyncio.timeout(router.observe_limit_s):
            seen = await router.observe()
        return seen.weight == 0 and not seen.pending
    except (RouterError, TimeoutError) as error:
        log.warning("%s: stable's weight is not written yet: %s", state.release, str(error) or "no answer in time")
        return False
