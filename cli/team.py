"""What `status` says of people: who is attached, what a gate waits for, which engine holds what."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any


def team_lines(seen: Mapping[str, Any]) -> Iterator[str]:
    """Of one release: its gate, who is here, who holds it. Engines of an earlier version say nothing of these."""
    gate = seen.get("gate")
    if gate:
        yield f"  gate     {_gate(gate)}"
    for said in (gate or {}).get("approved", ()):
        yield f"           approved by {said['who']} at {_clock(said['at'])}"
    for one in seen.get("here", ()):
        place = f" ({one['where']})" if one["where"] else ""
        yield f"  here     {one['who']}{place} since {_clock(one['since'])}, {_doing(one)}"
    if seen.get("holder"):
        yield f"  holder   {seen['holder']}"


def engine_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Of the engine: which one it is, and as whom it knows who asks."""
    name = found.get("identity", "an engine")
    yield f"engine   {name} {found.get('version', '')}".rstrip() + f" at {found['address']}, process {found['pid']}"
    if "started_at" in found:
        yield f"since    {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(found['started_at']))}"
    if "store" in found:
        yield f"store    {found['store']}{', shared with other engines' if found.get('shared') else ''}"
    if "supervised" in found:
        kept = (
            "something starts it again" if found["supervised"] else "started by a terminal: it takes no production plan"
        )
        yield f"kept     {kept}"
    you = found.get("you")
    if you:
        yield f"you      {you['who']}: {', '.join(you['roles']) or 'no role; rollback --break-glass is open to you'}"
    for notice in found.get("notices", ()):
        yield f"NOTICE   {notice}"


def _gate(gate: Mapping[str, Any]) -> str:
    if gate["expired"]:
        return "expired"
    missing = gate["missing"]
    until = f", open until {_clock(gate['until'])}" if gate["until"] is not None else ""
    wanted = f"{missing} of {gate['approvers']} approvals missing" if missing else "open"
    return f"{wanted}{until}"


def _doing(one: Mapping[str, Any]) -> str:
    return "driving" if one["driving"] else "watching"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
