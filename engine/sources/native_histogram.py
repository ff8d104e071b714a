"""A native histogram as cumulative buckets of fixed bounds, so that two of its scrapes can be compared. Pure.

Buckets of schema s end at 2^(i / 2^s), and only those that counted something are told; each schema's bounds are among
those of the next finer one. A bound that appears with its first event would look like a counter that rose from 0, so
the bounds here depend on the schema alone: four per doubling, and close to the line that is judged as fine as there is.
An instance that halves its resolution loses some of them and the others go on.

Source: https://prometheus.io/docs/specs/native_histograms/ and, for the JSON,
https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STEPS_PER_DOUBLING = 2  # as a schema: 2^2 bounds per doubling
FINEST = 6  # the finest schema at the line: bounds 1.1% apart
LOWEST, HIGHEST = -8, 6  # powers of two, in seconds: 3.9 ms to 64 s
SCHEMAS = range(-4, 9)
SAME = 1e-9  # bounds travel as decimal text

Bucket = tuple[float, float, float]  # lower bound, upper bound, events in it


def cumulative(written: Mapping[str, Any], line: float) -> dict[float, float]:
    """Upper bound in seconds -> events up to it, `inf` for all, out of the API's `{count, sum, buckets}`.

    `line` (seconds, may be infinite) is where the bounds are finest. Raises ValueError for buckets that are not
    exponential, and KeyError, TypeError or ValueError for nonsense.
    """
    buckets = [_bucket(each) for each in written.get("buckets", ())]
    found = {math.inf: float(written["count"])}
    schema = _schema(buckets)
    if schema is None:
        return found
    for bound in _bounds(schema, line):
        found[bound] = sum(events for _, upper, events in buckets if upper <= bound * (1 + SAME))
    return found


def _bucket(written: Sequence[Any]) -> Bucket:
    _, lower, upper, events = written  # the first says which bounds belong to it: for latencies it is all one
    return float(lower), float(upper), float(events)


def _schema(buckets: Sequence[Bucket]) -> int | None:
    """The resolution; None while no latency above zero was seen."""
    told = next(((lower, upper) for lower, upper, _ in buckets if 0 < lower < upper < math.inf), None)
    if told is None:
        if any(upper > 0 > lower or upper == math.inf for lower, upper, _ in buckets[1:]):
            raise ValueError("buckets that are not exponential")
        return None
    schema = -math.log2(math.log2(told[1] / told[0]))
    if round(schema) not in SCHEMAS or abs(schema - round(schema)) > SAME * 1000:
        raise ValueError("buckets that are not exponential")
    return round(schema)


def _bounds(schema: int, line: float) -> Iterator[float]:
    """Bounds that a histogram of this schema has, the same at each scrape."""
    coarse = min(schema, STEPS_PER_DOUBLING)
    for power in range(math.ceil(LOWEST * 2.0**coarse), math.floor(HIGHEST * 2.0**coarse) + 1):
        yield 2.0 ** (power / 2.0**coarse)
    if not 0 < line < math.inf:
        return
    for finer in range(STEPS_PER_DOUBLING + 1, min(schema, FINEST) + 1):
        power_of_line = math.log2(line) * 2.0**finer
        for power in {math.floor(power_of_line), math.ceil(power_of_line)}:
            yield 2.0 ** (power / 2.0**finer)
