"""What `laneshift lint` says of a plan's traffic: where it is known from, and what it can prove at each stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cli.wrapped import wrapped
from engine.line import state_folder
from engine.past.recorded import RecordsError, from_journal, journal_path
from engine.past.traffic import Outlook, Traffic, at_rate, observed, stated, unknown
from engine.plan.model import Plan

MOST_TICKS = 2000  # of the latest releases


def traffic_of(plan: Plan, rps: float | None) -> Traffic | None:
    """What is given and what this service's releases recorded; None when nothing is known."""
    seen = _seen(plan)
    if rps is None:
        return seen
    return stated(plan, rps) if seen is None else at_rate(seen, rps)


def _seen(plan: Plan) -> Traffic | None:
    """The traffic of this service's latest releases, both versions together; None without any."""
    judged = [metric for metric in plan.judge_metrics() if metric.judged and metric.kind != "gauge"]
    try:
        recorded = from_journal(journal_path(Path(state_folder())), plan.service, judged, whole=True, most=MOST_TICKS)
    except RecordsError:
        return None
    names = [metric.name for metric in recorded.metrics]
    traffic = observed(
        plan,
        {name: recorded.rate(name) for name in names},
        {name: recorded.counts(name) for name in names},
        recorded.origin,
    )
    return traffic if traffic.rps else None


def proof_text(plan: Plan, traffic: Traffic | None, found: Sequence[Outlook]) -> Iterator[str]:
    """Line by line: each metric at the first stage, then the slowest one of each stage."""
    if traffic is None:
        yield "  no traffic of this service is recorded here: give its requests per second by --rps"
        return
    yield from wrapped(f"{traffic.rps:.3g} requests/s ({traffic.origin})")
    later = {one.index for one in found} - {0}
    slowest = [max((one for one in found if one.index == index), key=_takes) for index in sorted(later)]
    for one in (*(one for one in found if one.index == 0), *slowest):
        yield from wrapped(one.text)
    left_out = ", ".join(unknown(plan, traffic))
    if left_out:
        yield from wrapped(f"nothing can be said of {left_out}: what is usual, counted at these lines, is not recorded")


def _takes(one: Outlook) -> float:
    return one.stage.passes_s


def proof_data(traffic: Traffic | None, found: Sequence[Outlook]) -> dict[str, Any] | None:
    """The same as JSON values: seconds, None for what this traffic can never show."""
    if traffic is None:
        return None
    return {
        "requests_per_s": traffic.rps,
        "from": traffic.origin,
        "events_per_s": dict(traffic.rates),
        "usual_bad_share": dict(traffic.shares),
        "stages": [_stage_data(one) for one in found],
    }


def _stage_data(one: Outlook) -> dict[str, Any]:
    takes = {
        "requests_s": one.stage.requests_s,
        "line_s": one.stage.line_s,
        "ratio_s": one.stage.ratio_s,
        "tripled_s": one.stage.tripled_s,
        "passes_s": one.stage.passes_s,
    }
    known = {name: round(seconds, 1) if math.isfinite(seconds) else None for name, seconds in takes.items()}
    return {"stage": one.index, "weight": one.stage.weight, "metric": one.metric.name, **known}
