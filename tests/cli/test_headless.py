from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from cli import headless
from cli.headless import Breakage, Headless, exit_code
from engine.client import Answer
from tests.cli.fake_engine import look


@dataclass
class FakeDemo:
    """Shows one look after the other, the last one for ever; `refused` are the verbs that are not taken."""

    looks: list[dict[str, Any]]
    refused: tuple[str, ...] = ()
    release: str = "shop-1"
    faults: list[tuple[str, float]] = field(default_factory=list)
    orders: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def client(self) -> FakeDemo:
        return self

    @property
    def sandbox(self) -> FakeDemo:
        return self

    def look(self, _release: str) -> dict[str, Any]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def give(self, _release: str, verb: str, **said: Any) -> Answer:
        self.orders.append((verb, said))
        if verb in self.refused:
            return Answer(False, "no")
        if verb in ("rollback", "cancel"):
            self.looks = [look(phase="rolled_back" if verb == "rollback" else "cancelled", ending=said["reason"])]
        return Answer(True)

    def set_fault(self, name: str, on: bool) -> None:
        assert on
        self.faults.append((name, self.looks[0]["weight"]["observed"]))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(headless, "POLL_S", 0.001)


def ready(stage: int, weight: float) -> dict[str, Any]:
    return look(stage=stage, step="gate", weight={"desired": weight, "observed": weight}, orders=["advance"])


def test_it_advances_what_is_ready_for_that_stage_and_that_revision(capsys):
    done = look(phase="promoted", weights=[5.0, 12.5, 100.0])
    demo = FakeDemo([look(phase="preflight", stage=-1), ready(0, 5), ready(1, 100), done])
    result = Headless(demo, None, 60).run()
    assert demo.orders == [("advance", {"stage": stage, "revision": "r1"}) for stage in (0, 1)]
    assert result == {
        "release": "shop-1",
        "outcome": "promoted",
        "weights": [5, 12.5, 100],
        "reason": "",
        "fault_to_decision_s": None,
        "rollback_s": None,
        "canary_requests": 10,
        "canary_bad": 1,
        "checklist": {"done": 9, "total": 24},
    }
    assert "stage 1 gate, 5%: bake" in capsys.readouterr().out


def test_what_is_held_is_not_advanced():
    held = ready(0, 5) | {"holds": {"incident": "on both versions"}, "waits_for": "held: incident on both versions"}
    demo = FakeDemo([held])
    result = Headless(demo, None, 0.02).run()
    assert [verb for verb, _ in demo.orders] == ["rollback"]
    assert result["outcome"] == "rolled_back"
    assert result["reason"] == "no progress for 0.02 s: held: incident on both versions"


def test_where_there_is_nothing_to_roll_back_it_is_cancelled():
    demo = FakeDemo([look(phase="preflight", stage=-1)], refused=("rollback",))
    assert Headless(demo, None, 0.01).run()["outcome"] == "cancelled"
    assert [verb for verb, _ in demo.orders] == ["rollback", "cancel"]


def test_a_roll_back_under_way_is_not_hurried():
    looks = [look(phase="rolling_back") for _ in range(30)]
    demo = FakeDemo([*looks, look(phase="rolled_back")])
    assert Headless(demo, None, 0.005).run()["outcome"] == "rolled_back"
    assert demo.orders == []


def test_the_canary_breaks_once_at_its_weight_and_the_laps_are_told(monkeypatch):
    monkeypatch.setattr(headless.time, "time", lambda: 100.0)
    back = look(phase="rolled_back", rollback={"accepted": 103.456, "observed": 103.956}, ending="errors")
    demo = FakeDemo([ready(0, 5), ready(1, 25), ready(1, 25), back])
    result = Headless(demo, Breakage("errors", 25.0), 60).run()
    assert [name for name, _ in demo.faults] == ["errors"]
    assert (result["fault_to_decision_s"], result["rollback_s"]) == (3.46, 0.5)


@pytest.mark.parametrize(
    ("outcome", "code"), [("promoted", 0), ("rolled_back", 1), ("cancelled", 1), ("rollback_failed", 5)]
)
def test_the_exit_code(outcome, code):
    assert exit_code(outcome) == code


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--headless --fault nonsense", "there is no fault 'nonsense'; there are errors, "),
        ("--headless --fault @25", "there is no fault ''"),
        ("--headless --fault errors@", "from 1 to 100"),
        ("--headless --fault errors@0", "from 1 to 100"),
        ("--headless --fault errors@nan", "from 1 to 100"),
        ("--headless --fault errors@101%", "from 1 to 100"),
        ("--headless --max-wait 5", "such as 500ms, 90s"),
        ("--json", "need --headless"),
        ("--max-wait 3m", "need --headless"),
        ("--fault errors@25", "need --headless"),
        ("--fault errors", "this is no terminal: use laneshift demo --headless"),
        ("", "this is no terminal: use laneshift demo --headless"),
    ],
)
def test_what_the_demo_does_not_understand_ends_with_2_before_anything_starts(laneshift, home, line, why):
    ended = laneshift("demo", *line.split())
    assert ended.code == 2
    assert why in ended.err
    assert list(home.iterdir()) == []


def test_help_of_the_demo_lists_every_fault(laneshift):
    from sandbox.faults import CATALOGUE

    text = " ".join(laneshift("demo", "--help").out.replace("-\n", "-").split()).replace("- ", "-")
    assert all(f"{name}:" in text for name in CATALOGUE)
