"""What the terminal can show: refused when it is dumb, ASCII signs when it has no Unicode."""

from __future__ import annotations

from collections.abc import Mapping

from widgets.glyphs import ASCII, UNICODE, Glyphs


class TerminalUnfit(Exception):
    """A full-screen cockpit is impossible here; the message names what to use instead."""


def require_fit(environment: Mapping[str, str], *, interactive: bool, release: str) -> None:
    """Raise TerminalUnfit for a terminal that can't move its cursor, or for none at all."""
    instead = f"use `laneshift status {release} --watch`, which prints a line per event"
    if not interactive:
        raise TerminalUnfit(f"this is no terminal: {instead}")
    if environment.get("TERM", "") in ("", "dumb"):
        raise TerminalUnfit(f"TERM={environment.get('TERM', '') or '(unset)'} can't draw a full screen: {instead}")


def glyphs_for(environment: Mapping[str, str]) -> Glyphs:
    """The signs that this terminal shows: the Linux console and locales without UTF-8 get ASCII."""
    if environment.get("TERM", "") == "linux":
        return ASCII
    named = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    return UNICODE if "utf8" in named.lower().replace("-", "") else ASCII
