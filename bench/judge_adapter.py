"""laneshift's tests of one metric behind the plain callable that a simulator of releases drives (counter deltas in,
`continue`, `advance` or `rollback` out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from engine.judge.readings import ReadingsTest
from engine.judge.sequential import Limits, SequentialTest

Answer = Literal["continue", "advance", "rollback"]
Drive = Callable[[int, float, float, float, float, float], Answer]


def factory(spec: dict[str, Any]) -> Drive:
    """A fresh judge of the metric that `spec` describes; one per release."""
    return _gauge(spec) if spec["kind"] == "gauge" else _events(spec)


def _events(spec: dict[str, Any]) -> Drive:
    test = SequentialTest(Limits(spec["threshold"], spec["ratio"], spec["alpha"], spec["beta"], usual=spec["baseline"]))
    shares, least = spec["stages"], spec["min_requests"]
    current, requests = -1, 0.0

    def drive(stage: int, seconds: float, n_s: float, x_s: float, n_c: float, x_c: float) -> Answer:
        nonlocal current, requests
        if stage != current:
            current, requests = stage, 0.0
            test.enter_stage(100 * shares[stage])
        test.scrape(seconds, (n_s, x_s), (n_c, x_c, x_c))
        requests += n_c
        if test.evidence >= test.wanted:
            return "rollback"
        return "advance" if requests >= least and test.healthy() else "continue"

    return drive


def _gauge(spec: dict[str, Any]) -> Drive:
    test = ReadingsTest(spec["alpha"], spec["ratio"], spec["threshold"])
    current = -1

    def drive(stage: int, seconds: float, _n_s: float, x_s: float, n_c: float, x_c: float) -> Answer:
        nonlocal current
        if stage != current:
            current = stage
            test.enter_stage()
        if n_c:
            test.read(seconds, past=x_c > 0, stable_past=x_s > 0)
        if test.evidence >= test.wanted:
            return "rollback"
        return "advance" if test.healthy() else "continue"

    return drive
