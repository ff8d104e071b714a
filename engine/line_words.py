"""What went wrong on the way to an engine, and what to do about it."""

from __future__ import annotations

import grp
import os
import stat

from engine.line import SYSTEM_SOCKET, TLS, EngineGone, own_address, user

START_OWN = "start one: laneshift serve (or laneshift start PLAN)"
START_SYSTEM = "start it: systemctl start laneshift; why it ended: journalctl -u laneshift"


def not_reached(place: str, error: OSError) -> EngineGone:
    """Why nothing was to be heard at a socket."""
    if isinstance(error, PermissionError):
        return EngineGone(f"{user()} may not open {place}: permission denied", _who_may(place))
    said = f"no engine answers at {place}: {error.strerror or error}"
    if place == SYSTEM_SOCKET:
        return EngineGone(said, START_SYSTEM)
    if place == own_address():
        return EngineGone(said, START_OWN)
    return EngineGone(said, f"start an engine there: laneshift serve --socket {place}")


def not_allowed(place: str, status: int, message: str) -> str:
    """What to do when the engine does not know who asks (401) or who asks may not do it (403)."""
    if status == 403:
        return f"{message or 'this is not allowed to you'}; your name and roles there: laneshift status --engine"
    if place.startswith(TLS):
        said = message or "the engine does not know this token"
        return f"{said}\n  the token: $LANESHIFT_TOKEN or the file that $LANESHIFT_TOKEN_FILE names"
    return message


def _who_may(place: str) -> str:
    """Whose the socket is and how one gets in."""
    try:
        found = os.stat(place)  # noqa: PTH116  # a path as text, as addresses are
    except OSError:
        return f"its folder is closed to you: ask who runs the engine, or look at it: ls -ld {os.path.dirname(place)}"  # noqa: PTH120  # the same
    if not stat.S_ISSOCK(found.st_mode):
        return "it is no socket: name an engine's with LANESHIFT_ENGINE, or unset it"
    if not found.st_mode & stat.S_IWGRP:
        return "only its owner may: it is somebody's own engine"
    try:
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return f"its group, {found.st_gid}, has no name here: ask who runs the engine"
    if user() in group.gr_mem:
        name = group.gr_name
        return f"you were added to its group, {name}, after you logged in: log in again (or: newgrp {name})"
    return f"its group is {group.gr_name}: sudo usermod -aG {group.gr_name} {user()}, then log in again"
