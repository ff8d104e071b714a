"""The judge's sentences: what was seen, in numbers and in words a tired person understands."""

from __future__ import annotations

from engine.judge.metric import Counts, Metric, show


def percent(fraction: float) -> str:
    """A share as people write it, three digits at most: `0.1%`, `4.89%`, `96%`."""
    return f"{fraction * 100:.3g}%" if fraction < 0.9995 else "100%"


def count(number: float) -> str:
    """A number of events with separators: `1,000`."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `9 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def observed(metric: Metric, counts: Counts, bad: float | None = None) -> str:
    """What one side showed: `errors 4.89% (31 of 634)`; `bad` replaces the count where another bound is meant."""
    bad = counts.bad if bad is None else bad
    share = bad / counts.total if counts.total else 0.0
    if metric.kind == "good":
        return f"{metric.name} {percent(1 - share)} ({count(bad)} of {count(counts.total)} failed)"
    if metric.kind == "latency":
        slow = f"{percent(share)} slower than {show(metric.cut, 'latency')}"
        return f"{metric.name} {slow} ({count(bad)} of {count(counts.total)})"
    return f"{metric.name} {percent(share)} ({count(bad)} of {count(counts.total)})"


def absolute_line(metric: Metric, share: float) -> str:
    """The absolute line in the metric's own words."""
    if metric.kind == "good":
        return f"a line of {percent(1 - share)}"
    if metric.kind == "latency":
        return f"at most {percent(share)} allowed"
    return f"a line of {percent(share)}"


def relative_line(metric: Metric) -> str:
    """The relative line in the metric's own words; empty where the plan has none."""
    factors = [line.limit for line in metric.thresholds if line.relative]
    return f"a line of {min(factors):g}x stable" if factors and metric.kind != "latency" else ""
