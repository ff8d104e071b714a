"""Which release a command means: named, of a service, or the only one under way."""

from __future__ import annotations

from cli.ending import Exit, fail
from engine.client import EngineClient, Summary

ENDED = ("promoted", "rolled_back", "cancelled")


def pick(client: EngineClient, name: str | None, *, ended: bool = False) -> str:
    """The id of the release that `name` means: an id, a service with one release under way, or None with only one in
    all. With `ended` the latest one that has ended will do too. Ends the command when that is not clear."""
    held = client.held()
    if name is not None and any(one.release == name for one in held):
        return name
    of_service = [one for one in held if name is None or one.service == name]
    live = [one for one in of_service if one.phase not in ENDED]
    if len(live) == 1:
        return live[0].release
    if not live and of_service and (ended or name is not None):
        return of_service[-1].release
    fail(Exit.BAD_INPUT, _unclear(name, live, held))


def _unclear(name: str | None, live: list[Summary], held: list[Summary]) -> str:
    if len(live) > 1:
        return f"which release? {', '.join(one.release for one in live)}"
    if name is not None:
        return f"there is no release or service {name!r}; there are {', '.join(one.release for one in held) or 'none'}"
    if held:
        return f"no release is under way; the last was {held[-1].release} ({held[-1].phase}): name it"
    return "no release is under way"
