"""The signs that the cockpit draws with, in two sets: Unicode, and ASCII where the terminal has no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Each sign is one cell wide. `levels` are the eight heights of a bar, lowest first."""

    done: str = "✔"
    failed: str = "✘"
    now: str = "▶"
    ahead: str = "○"
    back: str = "◀"
    paused: str = "‖"
    held: str = "■"
    asks: str = "?"
    alert: str = "!"
    nothing: str = "·"
    error: str = "✗"
    open: str = "☐"
    waived: str = "~"
    pointer: str = "▸"
    full: str = "━"
    empty: str = "╌"
    lane: str = "█"
    road: str = "·"
    wanted: str = "┆"
    past: str = "▲"
    edge: str = "│"
    line: str = "▁"
    levels: str = "▁▂▃▄▅▆▇█"
    arrow: str = "→"
    dot: str = "·"


UNICODE = Glyphs()
ASCII = Glyphs(
    done="+",
    failed="x",
    now=">",
    ahead="o",
    back="<",
    paused="=",
    held="#",
    asks="?",
    alert="!",
    nothing="-",
    error="x",
    open="-",
    waived="~",
    pointer=">",
    full="=",
    empty="-",
    lane="#",
    road=".",
    wanted="|",
    past="^",
    edge="|",
    line="_",
    levels="_.,-~=*#",
    arrow="->",
    dot="-",
)
