"""A real engine beside a gateway, a source and a disk that fail: no advance, an explanation, and a way back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

import pytest

from engine.client import EngineClient, EngineGone
from engine.script import script_path
from tests.support.engine_bench import stages_entered
from tests.support.engine_process import Stand, stand

pytestmark = pytest.mark.real
REFUSED = 4  # the exit code of a second engine

SOURCES = {
    "metrics-hang": "did not answer within 0.5 s",
    "metrics-garbage": "answers no metrics",
    "metrics-nan": "nan",
    "metrics-empty": "answers no metrics",
}
GATEWAYS = {
    "gateway-ignores": "60% was not in effect within 5 s: it shows 20%",
    "gateway-slow": "answer within 5 s",
    "stopped": "answer within 5 s",
}


def at_first_gate(place: Stand) -> None:
    """The first stage has its proof, and waits for a person."""
    place.boot()
    place.start(advance="manual")
    advance_when_ready(place)
    place.until(lambda: "advance" in place.look()["orders"])
    assert (place.look()["stage"], place.weight()) == (0, 20)


def advance_when_ready(place: Stand) -> None:
    place.until(lambda: "advance" in place.look()["orders"])
    seen = place.look()
    place.order("advance", stage=seen["stage"], revision=seen["revision"])


def advance_refused(place: Stand) -> str:
    """Why an advance is refused; it must be."""
    seen = place.look()
    answer = place.client.give(place.release, "advance", stage=seen["stage"], revision=seen["revision"])
    assert not answer.accepted
    return answer.why


def given_up(ask: Callable[[], object]) -> None:
    with suppress(EngineGone):
        ask()


def explained(look: dict[str, Any]) -> str:
    return " | ".join([look["waits_for"], *look["holds"].values()])


@pytest.mark.parametrize("fault", SOURCES)
def test_a_source_that_shows_nothing_stops_the_release_says_why_and_is_no_obstacle_to_a_way_back(fault: str) -> None:
    with stand() as place:
        at_first_gate(place)
        place.fault(fault, on=True)
        place.until(lambda: SOURCES[fault] in explained(place.look()).lower())
        assert "shows nothing" in advance_refused(place)
        place.until(lambda: "blind" in place.look()["holds"])
        assert stages_entered(place.history()) == [0]
        assert place.weight() == 20
        place.order("rollback")
        place.ends("rolled_back", 10)
        assert place.weight() == 0


@pytest.mark.parametrize("fault", GATEWAYS)
def test_a_gateway_that_does_not_do_as_told_is_said_and_a_way_back_is_loud_until_it_is_done(fault: str) -> None:
    with stand() as place:
        at_first_gate(place)
        place.fault(fault, on=True)
        if fault == "gateway-ignores":
            advance_when_ready(place)
            place.until(lambda: GATEWAYS[fault] in explained(place.look()))
        else:
            place.until(lambda: place.look()["waits_for"] != "ready")
            place.until(lambda: GATEWAYS[fault] in advance_refused(place), 15)
        place.order("rollback", reason="smells")
        place.ends("rollback_failed", 15)
        seen = place.look()
        assert "still trying" in seen["waits_for"]
        assert seen["manual_rollback"] in seen["waits_for"]
        place.fault(fault, on=False)
        place.ends("rolled_back", 30)
        assert place.weight() == 0


def test_a_full_disk_stops_no_way_back_and_is_said() -> None:
    with stand() as place:
        at_first_gate(place)
        place.limit_disk(full=True)
        place.until(lambda: place.look()["notices"])
        assert place.weight() == 20
        place.order("rollback", reason="smells")
        place.until(lambda: place.weight() == 0, 5)
        place.ends("rolled_back", 10)
        assert any("journal" in notice for notice in place.look()["notices"])
        place.limit_disk(full=False)
        place.until(lambda: not place.look()["notices"])
        place.until(lambda: "RolledBack" in [type(event).__name__ for event in place.history()])


def test_a_full_disk_lets_nothing_be_raised() -> None:
    with stand() as place:
        at_first_gate(place)
        seen = place.look()
        place.limit_disk(full=True)
        place.until(lambda: place.look()["notices"])
        advance = partial(place.client.give, place.release, "advance", stage=seen["stage"], revision=seen["revision"])
        asking = Thread(target=lambda: given_up(advance))
        asking.start()
        place.never(lambda: place.weight() != 20, 2)
        assert asking.is_alive()  # nothing is acknowledged that is not recorded
        place.kill()
        asking.join()
        place.boot()
        place.never(lambda: place.weight() != 20, 2)
        assert stages_entered(place.history()) == [0]


def test_a_second_engine_on_the_same_journal_refuses_and_harms_nothing() -> None:
    with stand() as place:
        place.boot()
        place.start()
        place.at_stage(0)
        assert place.engine is not None
        assert place.spawn().wait(20) == REFUSED
        assert f"process {place.engine.pid}" in (place.home / "engine.log").read_text()
        assert EngineClient(folder=place.home).ask("GET", "/v1/engine")["pid"] == place.engine.pid
        place.order("rollback")
        place.ends("rolled_back")
        assert script_path(place.home, place.release).exists()
