"""What `POST /v1/prune` forgets: of releases that ended a while ago, what the configuration does not keep."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError
from starlette.exceptions import HTTPException

from engine import config
from engine.host import Host, RefusedError, UnknownReleaseError
from engine.journal.records import JournalError, Retention
from engine.serving.bodies import PruneBody
from engine.state import FINAL, State

AT_REST_S: Final = 3600.0  # after its end a release may still be guarded, and its last records may be on their way


async def prune(host: Host, kept: config.Retention | None, asked: PruneBody) -> dict[str, Any]:
    """Forget what is not kept; returns what that was. Raises RefusedError when nothing says what is kept."""
    rules = _rules(kept, asked)
    now = host.now()
    ended = await _at_rest(host, now)
    done = await asyncio.to_thread(host.journal.prune, rules, now, ended, dry_run=asked.dry_run)
    return {"releases": list(done.releases), "ticks": done.ticks, "freed": done.freed, "dry_run": asked.dry_run}


def _rules(kept: config.Retention | None, asked: PruneBody) -> Retention:
    said = {name: value for name in ("ticks", "releases", "size") if (value := getattr(asked, name)) is not None}
    try:
        wanted = config.Retention.model_validate(said) if said else kept
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HTTPException(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if wanted is None or not (wanted.ticks or wanted.releases or wanted.size):
        raise RefusedError(
            "nothing says what is kept: laneshift prune --older-than 400d (over HTTP: releases), "
            "or `retention` in engine.yaml"
        )
    return Retention(ticks_s=wanted.ticks, releases_s=wanted.releases, size_bytes=wanted.size)


async def _at_rest(host: Host, now: float) -> list[str]:
    """What can't be read is left alone: it may be under way."""
    live = {state.release for state in host.states()}
    found = []
    for row in await asyncio.to_thread(host.journal.releases):
        if row.id not in live:
            with suppress(UnknownReleaseError, JournalError, ValueError):
                found += [row.id] if _is_at_rest(await host.find(row.id), now) else []
    return found


def _is_at_rest(state: State, now: float) -> bool:
    """Ended, given back and guarded no more."""
    if state.phase not in FINAL or state.ended_at is None or state.guarded(now):
        return False
    return max(state.ended_at, state.keep_until or 0.0) < now - AT_REST_S
