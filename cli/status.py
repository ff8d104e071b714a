"""`laneshift status`: one look at a release, or a line for everything that happens in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cli.ending import OUTCOMES, Exit, show
from cli.pick import ENDED, pick
from engine.client import EngineClient

if TYPE_CHECKING:
    from engine.client import Said, Summary
    from engine.events import Event
    from engine.state import State


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--watch", "watching", is_flag=True, help="a line per event until the release has ended")
@click.option("--json", "as_json", is_flag=True, help="print JSON (with --watch: an object per line)")
def status(release: str | None, watching: bool, as_json: bool) -> None:
    """One look at a release; the exit code is its outcome so far. Without a name and with several: a line for each."""
    client = EngineClient()
    if release is None and not watching and len(held := client.held()) != 1:
        text = "\n".join(map(_line, held)) or "no releases"
        show(as_json, [{"release": one.release, "phase": one.phase, "weight": one.weight} for one in held], text)
        return
    ident = pick(client.address, release, ended=ENDED)
    if watching:
        raise SystemExit(asyncio.run(_log(client, ident, as_json)))
    seen = client.look(ident)
    show(as_json, seen, "\n".join(_lines(seen)))
    raise SystemExit(OUTCOMES.get(seen["phase"], Exit.DONE))


def _line(one: Summary) -> str:
    weight = "?" if one.weight is None else f"{one.weight:g}%"
    return f"{one.release:<20} {one.phase:<14} {weight:>5}  {one.target}"


def _lines(seen: dict[str, Any]) -> Iterator[str]:
    weight = seen["weight"]
    observed = "unknown" if weight["observed"] is None else f"{weight['observed']:g}%"
    yield f"{seen['release']}: {seen['phase'].replace('_', ' ')}, {_where(seen)}"
    yield f"  canary   {seen['canary'] or '?'} with {observed}, wanted {weight['desired']}%"
    yield f"  stable   {seen['stable'] or '?'}"
    until = "" if seen["until"] is None else f" until {time.strftime('%H:%M:%S', time.localtime(seen['until']))}"
    yield f"  next     {seen['waits_for']}{until}; then {seen['then']}"
    if seen["orders"]:
        yield f"  orders   {', '.join(seen['orders'])}"
    for verdict in seen["verdicts"].values():
        bell = "ALERT " if verdict["metric"] in seen["alerts"] else ""
        name, reason = verdict["metric"], verdict["reason"]
        yield f"  {verdict['outcome']:<12} {bell}{reason if name in reason else f'{name}: {reason}'}"
    yield f"  checklist {seen['checklist']['done']} of {seen['checklist']['total']}"
    for would in seen["would"]:
        at = time.strftime("%H:%M:%S", time.localtime(would["at"]))
        verb = {"advance": "advanced", "rollback": "rolled back"}[would["act"]]
        yield f"  {at} at {would['weight']}% laneshift would have {verb}: {would['reason']}"
    if seen["phase"] in ("rolling_back", "rollback_failed"):
        yield f"  by hand  {seen['manual_rollback']}"
    for notice in seen["notices"]:
        yield f"  NOTICE   {notice}"


def _where(seen: dict[str, Any]) -> str:
    if seen["phase"] != "stage":
        return seen["ending"] or f"{len(seen['stages'])} stages"
    paused = f", paused by {seen['paused_by']}" if seen["paused_by"] else ""
    return f"stage {seen['stage'] + 1} of {len(seen['stages'])}, {seen['step']}{paused}"


async def _log(client: EngineClient, release: str, as_json: bool) -> Exit:
    """Print every event until the release has ended; returns the outcome's exit code. Raises EngineGone.

    A stream that the engine ends (one that read too slowly) is taken up again behind the last event."""
    from engine.client import Beat
    from engine.state import FINAL

    state: State | None = None
    last = 0
    while True:
        async for heard in client.events(release, last):
            if isinstance(heard, Beat):
                if state is not None and state.phase in FINAL:
                    return OUTCOMES.get(state.phase.value, Exit.DONE)
                continue
            last = heard.seq
            state = _folded(state, heard.event)
            _print_event(heard, state, as_json)


def _folded(state: State | None, event: Event) -> State:
    from engine.state import apply, fold

    after = apply(state, event) if state is not None else fold([event])
    assert after is not None  # a fold of one event
    return after


def _print_event(said: Said, state: State, as_json: bool) -> None:
    from engine.events import Ticked, to_data
    from tui.wording import sentence

    if isinstance(said.event, Ticked):
        return
    kind, at, data = to_data(said.event)
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    show(as_json, {"seq": said.seq, "type": kind, "at": at, **data}, f"{clock} {sentence(said.event, state)}")
