"""`laneshift status`: one look at a release, or a line for everything that happens in it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from cli.ending import OUTCOMES, Exit, show
from cli.pick import pick
from engine.client import EngineClient


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--watch", "watching", is_flag=True, help="a line per event until the release has ended")
@click.option("--json", "as_json", is_flag=True, help="print JSON (with --watch: an object per line)")
def status(release: str | None, watching: bool, as_json: bool) -> None:
    """One look at a release; the exit code is its outcome so far. Without a name and with several: a line for each."""
    client = EngineClient()
    if release is None and not watching and len(held := client.held()) != 1:
        lines = [f"{one.release:<20} {one.phase:<14} {one.weight or 0:g}%  {one.target}" for one in held]
        text = "\n".join(lines) or "no releases"
        show(as_json, [{"release": one.release, "phase": one.phase, "weight": one.weight} for one in held], text)
        return
    ident = pick(client, release, ended=True)
    if watching:
        raise SystemExit(asyncio.run(_log(client, ident, as_json)))
    seen = client.look(ident)
    show(as_json, seen, "\n".join(_lines(seen)))
    raise SystemExit(OUTCOMES.get(seen["phase"], Exit.DONE))


def _lines(seen: dict[str, Any]) -> Iterator[str]:
    weight = seen["weight"]
    observed = "unknown" if weight["observed"] is None else f"{weight['observed']:g}%"
    yield f"{seen['release']}: {seen['phase'].replace('_', ' ')}, {_where(seen)}"
    yield f"  canary   {seen['canary'] or '?'} with {observed}, wanted {weight['desired']}%"
    yield f"  stable   {seen['stable'] or '?'}"
    until = "" if seen["until"] is None else f" until {time.strftime('%H:%M:%S', time.localtime(seen['until']))}"
    yield f"  waits    {seen['waits_for']}{until}; then {seen['then']}"
    if seen["orders"]:
        yield f"  orders   {', '.join(seen['orders'])}"
    for verdict in seen["verdicts"].values():
        bell = "ALERT " if verdict["metric"] in seen["alerts"] else ""
        yield f"  {verdict['outcome']:<12} {bell}{verdict['reason']}"
    yield f"  checklist {seen['checklist']['done']} of {seen['checklist']['total']}"
    if seen["phase"] in ("rolling_back", "rollback_failed"):
        yield f"  by hand  {seen['manual_rollback']}"
    for notice in seen["notices"]:
        yield f"  NOTICE   {notice}"


def _where(seen: dict[str, Any]) -> str:
    if seen["phase"] != "stage":
        return seen["ending"] or f"{len(seen['stages'])} stages"
    paused = f", paused by {seen['paused_by']}" if seen["paused_by"] else ""
    return f"stage {seen['stage'] + 1} of {len(seen['stages'])}, {seen['step']}{paused}"


async def _log(client: EngineClient, release: str, as_json: bool) -> int:
    """Print every event; returns the outcome's exit code."""
    from engine.client import Said
    from engine.events import Created, Ticked, to_data
    from engine.state import FINAL, State, apply, created
    from tui.wording import sentence

    state: State | None = None
    async for said in client.events(release):
        if not isinstance(said, Said):
            if state is not None and state.phase in FINAL:
                return int(OUTCOMES.get(state.phase.value, Exit.DONE))
            continue
        event = said.event
        state = created(event) if isinstance(event, Created) else apply(_known(state), event)
        if isinstance(event, Ticked):
            continue
        kind, at, data = to_data(event)
        clock = time.strftime("%H:%M:%S", time.localtime(at))
        line = json.dumps({"seq": said.seq, "type": kind, "at": at, **data}) if as_json else sentence(event, state)
        sys.stdout.write(line + "\n" if as_json else f"{clock} {line}\n")
        sys.stdout.flush()
    return int(Exit.NO_ENGINE)


def _known(state: Any) -> Any:
    if state is None:
        raise ValueError("a history without a beginning")
    return state
