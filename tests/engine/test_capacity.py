from __future__ import annotations

from dataclasses import replace

import pytest

from engine.capacity import canary_needs, short_of
from engine.events import Rules
from engine.state import State
from tests.engine.release_driver import Driver, rules


def sized(plan: Rules, **shown: int | None) -> State:
    return replace(Driver(plan).state, **shown)  # type: ignore[arg-type]  # fields of a state by name


@pytest.mark.parametrize(("weight", "needs"), [(0, 0), (1, 1), (5, 1), (25, 3), (50, 5), (51, 6), (100, 10)])
def test_the_canary_needs_its_share_of_what_carries_all_rounded_up(weight: int, needs: int) -> None:
    assert canary_needs(sized(rules(scale="proportional"), full=10), weight) == needs


@pytest.mark.parametrize(("asked", "needs"), [(None, 1), (0, 1), (4, 4)])
def test_where_laneshift_does_not_scale_the_canary_needs_what_its_owner_wants(asked: int | None, needs: int) -> None:
    assert canary_needs(sized(rules(), full=10, canary_asked=asked), 25) == needs


def test_a_router_that_knows_no_replicas_is_never_short() -> None:
    assert short_of(sized(rules(), full=None, canary_ready=0, stable_ready=0), 100) == ""


def test_what_is_missing_is_said_in_numbers() -> None:
    plan = rules(scale="proportional")
    canary = short_of(sized(plan, full=10, canary_ready=2, stable_ready=10), 25)
    assert canary == "the canary has 2 of the 3 ready replicas that 25% needs"
    stable = short_of(sized(plan, full=10, canary_ready=3, stable_ready=9), 25)
    assert stable == "stable has 9 of the 10 ready replicas that the way back needs"
    assert short_of(sized(plan, full=10, canary_ready=3, stable_ready=10), 25) == ""
    assert short_of(sized(plan, full=10, canary_ready=None, stable_ready=10), 25)
