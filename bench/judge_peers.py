"""Models of the rules that other tools document, for the same counts. Models of the rules, not their code."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

from bench.judge_adapter import Answer, Drive

LOOK_S = 60.0


def window(spec: dict[str, Any], *, every_s: float = 0.0, failures: int = 1) -> Drive:
    """A threshold on the last minute. Each look past it is a failure; the n-th rolls back.

    Every scrape and the first failure: an alert rule without `for`. Every minute and the fifth: Flagger's default.
    Every minute and the fourth: Argo Rollouts with failureLimit 3.
    """
    line, latest, state = spec["threshold"], [], {"failed": 0.0, "since": 0.0}

    def drive(stage: int, seconds: float, _n_s: float, _x_s: float, n_c: float, x_c: float) -> Answer:
        if stage < 0:
            return "continue"
        latest.append((n_c, x_c))
        del latest[: -int(LOOK_S / seconds)]
        state["since"] += seconds
        if state["since"] < every_s:
            return "continue"
        state["since"] = 0.0
        total, bad = (sum(column) for column in zip(*latest, strict=True))
        state["failed"] += bad > line * total
        return "rollback" if state["failed"] >= failures else "advance"

    return drive


def flagger(spec: dict[str, Any]) -> Drive:
    """failedChecks 5, an interval of a minute."""
    return window(spec, every_s=LOOK_S, failures=5)


def argo(spec: dict[str, Any]) -> Drive:
    """failureLimit 3, an interval of a minute."""
    return window(spec, every_s=LOOK_S, failures=4)


def msprt(spec: dict[str, Any]) -> Drive:
    """A normal-approximation sequential test of the difference at 5%, as feature-flag vendors describe theirs."""
    spread = (spec["threshold"] - min(spec["baseline"], spec["threshold"] / 2)) ** 2
    sums = [0.0] * 4

    def drive(stage: int, _seconds: float, n_s: float, x_s: float, n_c: float, x_c: float) -> Answer:
        if stage < 0 or not n_s:
            return "advance" if stage >= 0 else "continue"
        sums[:] = [old + new for old, new in zip(sums, (n_s, x_s, n_c, x_c), strict=True)]
        a, b, c, d = sums
        if min(a, c) < 100 or not b + d:
            return "advance"
        p_s, p_c = b / a, d / c
        variance = max(1e-12, p_s * (1 - p_s) / a + p_c * (1 - p_c) / c)
        nats = 0.5 * log(variance / (variance + spread))
        nats += spread * (p_c - p_s) ** 2 / (2 * variance * (variance + spread))
        return "rollback" if p_c > p_s and nats >= log(1 / 0.05) and sqrt(variance) > 0 else "advance"

    return drive
