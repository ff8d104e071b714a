"""The ids of checklist items that a plan names: each must be one that its checklist has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_core import InitErrorDetails

from engine.plan.part import Loc, fault
from engine.plan.parts import Checklist, Checks
from engine.plan.problem import nearest


def item_faults(checks: Checks, checklist: Checklist, default: Sequence[str]) -> Iterator[InitErrorDetails]:
    """Ids that nothing has, or that are taken; `default` are those of the default checklist for this plan."""
    own = [item.id for item in checklist.add]
    for index, each in enumerate(own):
        if each in default:
            yield fault(("checklist", "add", index, "id"), each, "an id that no default item has")
    for index, each in enumerate(checklist.drop):
        if each not in default:
            yield _unknown(("checklist", "drop", index), each, default)
    left = [each for each in (*default, *own) if each not in checklist.drop]
    for loc, each in _ticks(checks):
        if each not in left:
            yield _unknown(loc, each, left)


def _ticks(checks: Checks) -> Iterator[tuple[Loc, str]]:
    for name, listed in (("pre", checks.pre), ("stage", checks.stage), ("post", checks.post)):
        for number, check in enumerate(listed):
            for index, each in enumerate(check.ticks):
                yield ("checks", name, number, "ticks", index), each


def _unknown(loc: Loc, found: str, known: Sequence[str]) -> InitErrorDetails:
    return fault(loc, found, f"an item's id: {', '.join(known)}", nearest(found, known))
