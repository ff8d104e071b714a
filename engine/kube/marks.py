"""What laneshift writes on the objects it moves, and who wrote them last.

The annotations say which release moves the object, from which engine, and carry the number of its last write, so that
another engine's release is refused and a delayed raise can't land after a roll back. A number starts with the engine's
fencing epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.kube.cluster import MANAGER

Object = Mapping[str, Any]
Operation = dict[str, Any]

PREFIX: Final = "laneshift.dev/"
BY: Final = f"{PREFIX}by"
ENGINE: Final = f"{PREFIX}engine"
FULL: Final = f"{PREFIX}full"
INTENT: Final = f"{PREFIX}intent"
RELEASE: Final = f"{PREFIX}release"
WEIGHT: Final = f"{PREFIX}weight"
MARKS: Final = (BY, ENGINE, FULL, INTENT, RELEASE, WEIGHT)


@dataclass(frozen=True, slots=True)
class Marks:
    """The annotations of one object; empty where it has none. `full`: replicas that carry all of the traffic."""

    release: str = ""
    engine: str = ""
    intent: str = ""
    by: str = ""
    weight: str = ""
    full: int | None = None


def marks_of(item: Object) -> Marks:
    """What an object carries."""
    found = annotations_of(item)
    full = found.get(FULL, "")
    return Marks(
        release=found.get(RELEASE, ""),
        engine=found.get(ENGINE, ""),
        intent=found.get(INTENT, ""),
        by=found.get(BY, ""),
        weight=found.get(WEIGHT, ""),
        full=int(full) if full.isdigit() else None,
    )


def annotations_of(item: Object) -> Mapping[str, str]:
    """All of them."""
    found: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return found


def pointer(*parts: str | int) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def annotate(values: Mapping[str, str], *, first: bool) -> list[Operation]:
    """JSON Patch operations that set annotations; `first`: the object has none yet (RFC 6902: `add` needs a parent).

    Tested, for `add` would take away those that somebody else has put there meanwhile.
    """
    where = "/metadata/annotations"
    opened: list[Operation] = [{"op": "test", "path": where, "value": None}, {"op": "add", "path": where, "value": {}}]
    return (opened if first else []) + [
        {"op": "add", "path": pointer("metadata", "annotations", name), "value": value}
        for name, value in sorted(values.items())
    ]


def as_read(item: Object, *names: str) -> list[Operation]:
    """Tests that these annotations are as `item` has them, absent ones included; its status may have moved on."""
    there = annotations_of(item)
    if not there:
        return [{"op": "test", "path": "/metadata/annotations", "value": None}]
    return [
        {"op": "test", "path": pointer("metadata", "annotations", name), "value": there.get(name)} for name in names
    ]


def same_spec(item: Object) -> Operation:
    """Tests that the spec is as `item` has it."""
    return {"op": "test", "path": "/metadata/generation", "value": item["metadata"]["generation"]}


def unmark(item: Object, *more: str) -> list[Operation]:
    """Operations that take laneshift's marks (and `more` annotations) off an object that carries them."""
    there = annotations_of(item)
    return [
        {"op": "remove", "path": pointer("metadata", "annotations", name)} for name in (*MARKS, *more) if name in there
    ]


def changed_by(item: Object, *path: str) -> tuple[str, str]:
    """(manager, time) of the last write of a field by somebody else than laneshift, from managedFields.

    `path` as its keys: `spec`, `rules`. Empty when laneshift was the last, or nothing says who was.
    """
    written = [
        (str(each.get("time", "")), str(each.get("manager", "")))
        for each in item["metadata"].get("managedFields") or ()
        if not each.get("subresource") and _holds(each.get("fieldsV1") or {}, path)
    ]
    if not written:
        return "", ""
    time, manager = max(written)
    return ("", "") if manager == MANAGER else (manager, time)


def _holds(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for key in path:
        if f"f:{key}" not in fields:
            return False
        fields = fields[f"f:{key}"]
    return True
