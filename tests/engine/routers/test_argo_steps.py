"""The steps of a Rollout that laneshift can order, and why it refuses others."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from engine.routers.argo_steps import StepsError, Stop, next_stop, stop_at, stops_of, wanted_steps

PAUSE: dict[str, Any] = {"pause": {}}


def at(weight: int) -> dict[str, Any]:
    return {"setWeight": weight}


@pytest.mark.parametrize("routed", [True, False])
def test_the_steps_that_the_doctor_prints_stop_before_and_after_every_weight(routed: bool) -> None:
    steps = yaml.safe_load(wanted_steps((5, 25, 100), routed=routed))["steps"]
    stops = stops_of(steps)
    assert [stop.weight for stop in stops] == [0, 5, 25, 100]
    assert all(steps[stop.index] == PAUSE for stop in stops)
    assert stops[-1].index == len(steps) - 1


def test_from_one_stop_to_the_next() -> None:
    stops = stops_of([PAUSE, at(50), PAUSE, at(100), PAUSE])
    assert next_stop(stops, 0) == Stop(2, 50)
    assert next_stop(stops, 4) is None
    assert next_stop(stops, 1) is None
    assert (stop_at(stops, 2), stop_at(stops, 3)) == (Stop(2, 50), None)


def test_weights_of_another_total_are_percent() -> None:
    assert [stop.weight for stop in stops_of([PAUSE, at(250), PAUSE, at(1000), PAUSE], 1000)] == [0, 25, 100]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "no `pause: {}` follows the last step"),
        ([at(5), PAUSE, at(100), PAUSE], "step 1 sets 5%, and no `pause: {}` comes before it"),
        ([PAUSE, at(5), at(100), PAUSE], "step 3 sets 100%, and 5% has no `pause: {}` after it"),
        ([PAUSE, at(5), PAUSE, at(100)], "Argo would finish 100% by itself"),
        ([PAUSE, at(5), PAUSE], "the last weight is 5%"),
        ([PAUSE, at(50), PAUSE, at(25), PAUSE, at(100), PAUSE], "0, 50, 25, 100 do not rise"),
        ([PAUSE, at(50), {"pause": {"duration": "10m"}}, at(100), PAUSE], "step 3 pauses for 10m only"),
        ([PAUSE, at(50), PAUSE, PAUSE, at(100), PAUSE], "step 4 is a second pause at 50%"),
        (
            [PAUSE, {"analysis": {"templates": []}}, at(100), PAUSE],
            "step 2 is analysis, which laneshift does not order",
        ),
        ([{"setCanaryScale": {"replicas": 1}}, PAUSE, at(100), PAUSE], "the canary's size is still fixed at 1 pods"),
        ([{"setCanaryScale": {"weight": 5}}, PAUSE, at(100), PAUSE], "still fixed at 5%"),
    ],
)
def test_steps_that_would_not_stop_are_refused_with_the_reason(steps: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(StepsError) as told:
        stops_of(steps)
    assert why in str(told.value)


def test_a_weight_that_is_no_whole_percent_is_refused() -> None:
    with pytest.raises(StepsError, match="step 2 sets a weight that is no whole percent of 1000"):
        stops_of([PAUSE, at(255), PAUSE], 1000)
