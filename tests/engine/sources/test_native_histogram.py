"""Native histograms as buckets that two scrapes can be compared by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.metric import Metric, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources.config import PrometheusConfig
from engine.sources.native_histogram import cumulative
from engine.sources.prometheus import PrometheusSource
from engine.sources.reading import Differences, Query, Reading
from tests.support.prometheus_fake import fake_prometheus, native, series

NOW = 1_700_000_000.0
LINE = 0.3
SLOW = Query(
    Metric("slow", "latency", (Threshold(LINE),), quantile=0.5), histogram=Selector.parse("seconds"), line=LINE
)


def written(latencies: Sequence[float], schema: int = 3) -> dict[str, Any]:
    """What the API tells of these latencies (seconds): only buckets that hold some, zero in one of its own."""
    filled: dict[int, int] = {}
    for one in latencies:
        if one > 0:
            index = math.ceil(math.log2(one) * 2**schema - 1e-9)
            filled[index] = filled.get(index, 0) + 1
    buckets: list[list[object]] = []
    if len(latencies) > sum(filled.values()):
        buckets.append(
            [3, "-2.938735877055719e-39", "2.938735877055719e-39", str(len(latencies) - sum(filled.values()))]
        )
    for index, count in sorted(filled.items()):
        buckets.append([0, str(2 ** ((index - 1) / 2**schema)), str(2 ** (index / 2**schema)), str(count)])
    return {"count": str(len(latencies)), "sum": str(sum(latencies)), "buckets": buckets}


def test_bounds_stand_close_around_the_line() -> None:
    found = cumulative(written([0.1, 0.29, 0.31, 0.5, 2.0, 0.0], schema=5), LINE)
    bounds = sorted(found)
    above = next(bound for bound in bounds if bound >= LINE)
    below = bounds[bounds.index(above) - 1]
    assert above / below == pytest.approx(2 ** (1 / 32))
    assert (found[below], found[above], found[math.inf]) == (3, 3, 6)


def test_the_finest_histogram_has_few_bounds_beside_the_line() -> None:
    assert len(cumulative(written([0.1, 0.2], schema=8), LINE)) < 75


def test_a_bound_is_the_same_when_its_last_digits_were_lost_on_the_way() -> None:
    exact = written([0.1, 0.2, 0.31, 0.5])
    rounded = {
        **exact,
        "buckets": [[0, f"{float(lo):.11g}", f"{float(up):.11g}", n] for _, lo, up, n in exact["buckets"]],
    }
    assert cumulative(rounded, LINE) == cumulative(exact, LINE)


def test_a_coarse_histogram_has_the_bounds_that_it_has() -> None:
    found = cumulative(written([0.1, 0.3, 0.9], schema=0), LINE)
    assert all(math.log2(bound).is_integer() for bound in found if bound < math.inf)
    assert (found[0.125], found[0.25], found[0.5], found[1.0]) == (1, 1, 2, 3)


def test_what_counted_nothing_or_only_zeros_has_a_count() -> None:
    assert cumulative({"count": "0", "sum": "0"}, LINE) == {math.inf: 0}
    assert cumulative(written([0.0, 0.0]), LINE) == {math.inf: 2}


@pytest.mark.parametrize(
    "buckets",
    [
        [[0, "0.1", "0.25", "3"], [0, "0.25", "0.5", "1"]],
        [[0, "-Inf", "0.1", "3"], [0, "0.5", "+Inf", "1"]],
        [[0, "0.1"]],
        [["zero", "nothing", "0.5", "1"]],
    ],
    ids=["custom", "custom, first and last", "half", "nonsense"],
)
def test_other_buckets_are_refused(buckets: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        cumulative({"count": "4", "sum": "1", "buckets": buckets}, LINE)


LATENCIES = st.lists(st.floats(0.001, 50), max_size=30)


@given(st.lists(LATENCIES, min_size=2, max_size=4), st.integers(-1, 8), st.floats(0.01, 10))
def test_bounds_stay_and_counts_only_grow(batches: list[list[float]], schema: int, line: float) -> None:
    """New latencies fill buckets that were empty: no bound may come or go with them, and none counts what is old."""
    so_far: list[float] = [line]
    before = cumulative(written(so_far, schema), line)
    for batch in batches:
        so_far += batch
        after = cumulative(written(so_far, schema), line)
        assert after.keys() == before.keys()
        for bound, count in after.items():
            new = sum(one <= bound * (1 + 1e-9) for one in batch)
            near = sum(abs(one / bound - 1) < 1e-6 for one in batch)
            assert abs(count - before[bound] - new) <= near
        before = after


@given(LATENCIES, st.integers(0, 7), st.floats(0.01, 10))
def test_half_the_resolution_loses_bounds_and_adds_none(latencies: list[float], schema: int, line: float) -> None:
    so_far = [line, *latencies]
    fine, coarse = (cumulative(written(so_far, one), line) for one in (schema + 1, schema))
    assert coarse.keys() <= fine.keys()


async def readings(*scrapes: list[dict[str, Any]]) -> list[Reading]:
    """What is read of these series, one interval after the other."""
    at = NOW
    async with fake_prometheus() as server:
        source = PrometheusSource(PrometheusConfig.model_validate({"url": server.url}), now=lambda: at)
        found = []
        for scrape in scrapes:
            server.say('"v2"', *scrape)
            found.append(await source.read((SLOW,), canary=Subject("v2"), stable=Subject("v1")))
            at += 15
        await source.close()
    return found


async def test_new_requests_are_counted_from_scrape_to_scrape() -> None:
    before, after = [0.1] * 50 + [0.5] * 3, [0.1] * 80 + [0.2] * 10 + [0.5] * 3 + [0.6] * 5
    got = await readings(
        [native("seconds", (NOW - 5, written(before)))], [native("seconds", (NOW + 10, written(after)))]
    )
    differences = Differences((SLOW,))
    [sample] = [sample for reading in got for sample in differences.since_last(reading)]
    assert sample.canary is not None
    assert (sample.canary.total, sample.canary.bad, sample.canary.bad_low) == (45, 5, 5)
    assert sample.canary.value == pytest.approx(0.1, rel=0.1)


async def test_a_histogram_told_both_ways_counts_once_with_the_bounds_somebody_chose() -> None:
    classic = [series("seconds_bucket", (NOW - 5, count), le=le) for le, count in (("0.3", "2"), ("+Inf", "3"))]
    other = native("seconds", (NOW - 5, written([0.1] * 7)), instance="other:80")
    [reading] = await readings([*classic, native("seconds", (NOW - 5, written([0.1, 0.1, 0.5]))), other])
    everything = reading.values["slow", "canary", "le:inf"]
    assert sorted(everything.values()) == [3, 7]
    assert [name.partition(" ")[0] for name in reading.values["slow", "canary", "le:0.3"]] == ["gw/gw:80"]


async def test_what_can_not_be_read_is_doubted() -> None:
    custom = {"count": "4", "sum": "1", "buckets": [[0, "0.1", "0.25", "3"], [0, "0.25", "0.5", "1"]]}
    [reading] = await readings([native("seconds", (NOW - 5, custom))])
    assert reading.doubts == {
        "slow": "Prometheus answers a histogram that can't be read: buckets that are not exponential"
    }


async def test_a_series_that_is_no_histogram_is_none() -> None:
    [reading] = await readings([series("seconds", (NOW - 5, "3"))])
    assert reading.values == {}
