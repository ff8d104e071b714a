"""Which release a command means: named, of a service, or the only one under way."""

from __future__ import annotations

from cli.ending import Exit, fail
from engine.line import ask

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `cli.ending`
    from collections.abc import Collection
    from typing import Any

ENDED = ("promoted", "rolled_back", "cancelled")


def pick(address: str, name: str | None, *, ended: Collection[str] = ()) -> str:
    """The id of the release that `name` means: an id, a service with one release under way, or None with only one in
    all. The latest one that has ended will do where a service is named, and without a name if it ended in a phase of
    `ended`. Ends the command when that is not clear. Raises EngineGone."""
    held = ask(address, "GET", "/v1/releases")
    if name is not None and any(one["release"] == name for one in held):
        return name
    found = [one for one in held if name in (None, one["service"])]
    live = [one for one in found if one["phase"] not in ENDED]
    if len(live) == 1:
        return str(live[0]["release"])
    if not live and found and (name is not None or found[-1]["phase"] in ended):
        return str(found[-1]["release"])
    fail(Exit.BAD_INPUT, _unclear(name, live, held))


def _unclear(name: str | None, live: list[dict[str, Any]], held: list[dict[str, Any]]) -> str:
    if len(live) > 1:
        return f"which release? name one: {', '.join(one['release'] for one in live)}"
    if name is not None:
        known = ", ".join(one["release"] for one in held[-10:]) or "none"
        return f"there is no release or service {name!r}; the latest releases are: {known}"
    if held:
        return f"no release is under way; the last was {held[-1]['release']} ({held[-1]['phase']}): name it"
    return "no release is under way: laneshift start PLAN begins one"
