"""A journal that an earlier laneshift wrote folds: what it did not know yet takes its default."""

from __future__ import annotations

import json
from typing import Any

from engine import events as ev
from engine.state import Phase, State, fold
from tests.engine.release_driver import Driver

NEW = {
    "Created": ("where",),
    "EngineTook": ("engine", "raise_after"),
    "OrderAccepted": ("where",),
    "OrderRefused": ("where",),
    "Ticked": ("held",),
}
NEW_RULES = ("gate", "production", "rollback_who")


def _as_written_before(event: ev.Event) -> ev.Event:
    kind, at, data = json.loads(json.dumps(ev.to_data(event)))
    for name in NEW.get(kind, ()):
        del data[name]
    if kind == "Created":
        _forget(data["rules"])
    return ev.from_data(kind, at, data)


def _forget(rules: dict[str, Any]) -> None:
    for name in NEW_RULES:
        del rules[name]
    for stage in rules["stages"]:
        del stage["gate"]


def test_a_journal_without_the_fields_of_gates_and_leases_folds_to_the_same_state() -> None:
    release = Driver().at_gate()
    release.order("resume")
    release.order("rollback", reason="it smells")
    again = fold([_as_written_before(event) for event in release.events])
    assert isinstance(again, State)
    assert again == release.state
    assert (again.phase, again.gate, again.approvals, again.raise_after) == (Phase.ROLLING_BACK, None, (), 0.0)
    assert again.answer_to("o3") == "nothing is paused"
