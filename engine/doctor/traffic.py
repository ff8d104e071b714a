"""Is there traffic enough for the plan's bakes? Stable's rates now, and what each stage can show at them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, inf

from engine.finding import Finding
from engine.judge import Sample, words
from engine.past.traffic import Outlook, Traffic, observed, outlooks
from engine.plan.model import Plan
from engine.plan.selector import Subject
from engine.plan.units import show_duration
from engine.sources import Source
from engine.sources.reading import Differences, Query, Reading

WHAT = "traffic"
PAST_S = 600.0
LONGEST_WAIT_S = 6.0  # between two readings of a source that keeps no past
ROUND_S = 300  # a bake that is proposed is a multiple of this


async def examine_traffic(
    plan: Plan, source: Source, queries: Sequence[Query], stable: Subject, interval_s: float
) -> list[Finding]:
    """The rate, then a line for each stage: until it has seen its requests, and until a healthy canary is proven."""
    counted = tuple(one for one in queries if one.metric.judged and one.metric.kind != "gauge")
    if not counted:
        return []
    readings = await source.past(counted, stable=stable, seconds=PAST_S, step=interval_s)
    if readings and all(one.problem for one in readings):
        return [Finding("warn", WHAT, "not known while the source can't be read")]
    if sum(not one.problem for one in readings) < 2:
        if interval_s > LONGEST_WAIT_S:
            said = f"not known: the source keeps no past of stable, and reads only every {show_duration(interval_s)}"
            return [Finding("warn", WHAT, said, "laneshift lint PLAN --rps N says what N requests/s can prove")]
        readings = await _two(source, counted, stable, interval_s)
    traffic, seconds = _traffic(plan, counted, readings)
    if not traffic.rps:
        said = f"stable showed no request in the last {words.duration(seconds)}: no stage would see its requests"
        return [Finding("warn", WHAT, said, "try again under traffic, or check what the plan counts")]
    first = Finding("ok", WHAT, f"{traffic.rps:.3g} requests/s of stable in the last {words.duration(seconds)}")
    return [first, *_stages(outlooks(plan, traffic))]


async def _two(source: Source, queries: tuple[Query, ...], stable: Subject, apart_s: float) -> list[Reading]:
    first = await source.read(queries, canary=Subject(), stable=stable)
    await asyncio.sleep(apart_s)
    return [first, await source.read(queries, canary=Subject(), stable=stable)]


def _traffic(plan: Plan, queries: tuple[Query, ...], readings: Iterable[Reading]) -> tuple[Traffic, float]:
    """Stable's rates and shares, and how many seconds they were counted in."""
    differences = Differences(queries)
    totals: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for sample in (sample for reading in readings for sample in differences.since_last(reading)):
        _add(totals[sample.metric], sample)
    rates = {name: total / seconds for name, (total, _, seconds) in totals.items() if seconds}
    counts = {name: (total, bad) for name, (total, bad, _) in totals.items()}
    longest = max((seconds for _, _, seconds in totals.values()), default=0.0)
    return observed(plan, rates, counts, ""), longest


def _add(total: list[float], sample: Sample) -> None:
    if sample.stable is not None and not sample.problem:
        for place, value in enumerate((sample.stable.total, sample.stable.bad, sample.seconds)):
            total[place] += value


def _stages(found: Sequence[Outlook]) -> Iterator[Finding]:
    for _, stage in groupby(found, key=lambda one: one.index):
        yield _finding(list(stage))


def _finding(stage: list[Outlook]) -> Finding:
    slowest = max(stage, key=lambda one: one.stage.passes_s)
    what = f"stage {slowest.index + 1}, {slowest.stage.weight:g}%"
    passes, said = slowest.stage.passes_s, _said(stage, slowest)
    key = f"stages[{slowest.index}]"
    if passes == inf:
        mend = f"another line for {slowest.metric.name}, or a better stable"
        return Finding("bad", what, f"{said}: a healthy canary would never pass", mend)
    if passes > slowest.bake_s:
        bake = show_duration(ceil((passes + 60) / ROUND_S) * ROUND_S)
        return Finding("warn", what, f"{said}; its bake is shorter, so it holds till then", f"{key}.bake: {bake}")
    return Finding("ok", what, f"{said}; judged for {show_duration(slowest.bake_s)}")


def _said(stage: list[Outlook], slowest: Outlook) -> str:
    requests = max(stage, key=lambda one: one.stage.requests_s).stage
    proof = max(slowest.stage.line_s, slowest.stage.ratio_s)
    parts = [f"{requests.least:,} requests: {words.duration(requests.requests_s)}"] if requests.least else []
    if proof == inf:
        parts.append(f"stable itself is too near the line of {slowest.metric.name} to prove anything")
    elif proof:
        parts.append(f"proof that {slowest.metric.name} is well: {words.duration(proof)}")
    return ", ".join(parts) or "asks for no proof"
