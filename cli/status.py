"""`laneshift status`: one look at a release, or a line for everything that happens in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import click

from cli.ending import OUTCOMES, Exit, show, warn
from cli.pick import ENDED, pick
from cli.team import engine_lines, team_lines
from engine.client import EngineClient, EngineGone

if TYPE_CHECKING:
    from engine.client import Beat, Said, Summary
    from engine.events import Event
    from engine.state import State

AWAY_LIMIT_S = 60.0  # so long a line log waits for an engine that went away
AGAIN_S = 0.5


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--watch", "watching", is_flag=True, help="a line per event until the release has ended")
@click.option("--engine", "of_engine", is_flag=True, help="which engine answers, and as whom it knows you")
@click.option("--json", "as_json", is_flag=True, help="print JSON (with --watch: an object per line)")
def status(release: str | None, watching: bool, of_engine: bool, as_json: bool) -> None:
    """One look at a release; the exit code is its outcome so far. Without a name and with several: a line for each."""
    client = EngineClient()
    if of_engine:
        if release is not None or watching:
            raise click.UsageError("--engine is of the engine: it goes with no release and without --watch")
        _show_engine(client, as_json)
        return
    if release is None and not watching and len(held := client.held()) != 1:
        if not held and not as_json:
            show(False, None, "no releases")
            _show_engine(client, as_json)
            return
        show(as_json, [_row(one) for one in held], "\n".join(map(_line, held)))
        return
    ident = pick(client.address, release, ended=ENDED)
    if watching:
        raise SystemExit(asyncio.run(_log(client, ident, as_json)))
    seen = client.look(ident)
    show(as_json, seen, "\n".join(_lines(seen)))
    raise SystemExit(OUTCOMES.get(seen["phase"], Exit.DONE))


def _show_engine(client: EngineClient, as_json: bool) -> None:
    found = {"address": client.address, **client.ask("GET", "/v1/engine")}
    show(as_json, found, "\n".join(engine_lines(found)))


def _row(one: Summary) -> dict[str, Any]:
    row = {"release": one.release, "phase": one.phase, "weight": one.weight, "target": one.target}
    return row | {"here": one.here, "holder": one.holder}


def _line(one: Summary) -> str:
    weight = "?" if one.weight is None else f"{one.weight:g}%"
    here = f"  {one.here} here" if one.here else ""
    return f"{one.release:<20} {one.phase:<14} {weight:>5}  {one.target}{here}"


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
    yield from team_lines(seen)
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
    """Print every event until the release has ended; returns the outcome's exit code. Raises EngineGone when the engine
    is away for longer than AWAY_LIMIT_S.

    A stream that ends (the engine is started again, or this one read too slowly) is taken up behind the last event."""
    from engine.client import Beat
    from engine.state import FINAL

    state: State | None = None
    async for heard in _steadily(client, release):
        if isinstance(heard, Beat):
            if state is not None and state.phase in FINAL:
                return OUTCOMES.get(state.phase.value, Exit.DONE)
            continue
        state = _folded(state, heard.event)
        _print_event(heard, state, as_json)
    raise AssertionError("a stream without an end has ended")


async def _steadily(client: EngineClient, release: str) -> AsyncIterator[Said | Beat]:
    """The events of a release, over the losses of its engine; after one, behind the last that was heard."""
    from engine.client import Said

    last = 0
    away_since: float | None = None
    while True:
        try:
            async for heard in client.events(release, last):
                if away_since is not None:
                    warn(f"the engine is back after {time.monotonic() - away_since:.0f} s; nothing is lost")
                    away_since = None
                last = heard.seq if isinstance(heard, Said) else last
                yield heard
        except EngineGone as gone:
            if away_since is None:
                away_since = time.monotonic()
                warn(f"{gone}; trying again for {AWAY_LIMIT_S:g} s: nothing guards {release} unless an engine runs")
            elif time.monotonic() - away_since > AWAY_LIMIT_S:
                raise
        await asyncio.sleep(AGAIN_S)


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
