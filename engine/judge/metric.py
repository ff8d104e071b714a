"""What is judged and what is said about it: metrics, samples, verdicts. Values only; no I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Kind = Literal["bad", "good", "latency", "gauge"]
Weight = Literal["critical", "normal", "informational"]


class Outcome(StrEnum):
    """The class of a verdict; only `PASS` lets a release advance."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line a metric must not cross.

    `absolute`: `limit` in the metric's own unit (a fraction for rates, seconds for latencies, the reading for gauges).
    `relative`: `limit` is the factor times what stable shows at the same time.
    `above` is True when larger is worse; a `good` metric's lines are written and kept from below (`< 96%`).
    """

    limit: float
    relative: bool = False
    above: bool = True


@dataclass(frozen=True, slots=True)
class Metric:
    """One watched metric, as the plan states it.

    bad:     share of bad events in all (errors)             unit: fraction
    good:    share of good events in all (checkout success)  unit: fraction
    latency: a quantile of a histogram                       unit: seconds
    gauge:   a reading of the canary                         unit: the reading's own
    """

    name: str
    kind: Kind
    thresholds: tuple[Threshold, ...]
    baseline: float | None = None
    quantile: float | None = None
    limit: float | None = None
    weight: Weight = "normal"

    @property
    def judged(self) -> bool:
        """An informational metric is shown and never decides."""
        return self.weight != "informational"

    @property
    def cut(self) -> float | None:
        """Where a latency metric counts a request as slow: its tightest line, in seconds.

        A relative line becomes `factor x baseline`, fixed before the release; with `baseline` None only absolute
        lines count. The tightest of several lines decides for all, since each says the same of its own bound: at most
        `1 - quantile` of the requests may be slower.
        """
        if self.kind != "latency":
            return None
        cuts = [
            line.limit * (self.baseline or 0.0) if line.relative else line.limit
            for line in self.thresholds
            if not line.relative or self.baseline
        ]
        return min(cuts, default=None)


@dataclass(frozen=True, slots=True)
class Counts:
    """What one side showed in one interval, or over a stage.

    total, bad: events (requests, purchases); `bad` counts what the metric calls bad: errors, failed purchases, requests
                slower than the line (its bound at or above). For a gauge `total` is the number of readings and `bad`
                those past the line.
    bad_low:    as `bad`, with the histogram bound at or below the line: an upper estimate; proof of health needs it.
    value:      what a person reads: rate (fraction), quantile (seconds), gauge reading; None when there was nothing.
    """

    total: float = 0.0
    bad: float = 0.0
    bad_low: float = 0.0
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric over one interval: `seconds` long, None for a side that could not be read.

    `problem` is set when the source answered but must not be trusted (a warning, NaN, a series too many): the sample is
    then never a pass.
    """

    metric: str
    seconds: float
    stable: Counts | None
    canary: Counts | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of one metric now, and why, in numbers and in one sentence.

    `canary` and `stable` are this stage's counts; `needed` says how far the proof to advance is, 0..1.
    `alert` is True while the observed value is past its line and hardly chance.
    """

    metric: str
    outcome: Outcome
    reason: str
    alert: bool = False
    canary: Counts = field(default_factory=Counts)
    stable: Counts = field(default_factory=Counts)
    needed: float = 0.0
    numbers: Mapping[str, float] = field(default_factory=dict)


def show(value: float | None, kind: Kind) -> str:
    """A metric's value as people write it: `0.12%`, `182 ms`, `1.5 s`, `51`, `168M`; `-` for nothing."""
    if value is None or math.isnan(value):
        return "-"
    if kind in ("bad", "good"):
        percent = value * 100
        return f"{percent:.2f}%" if percent < 10 or (kind == "good" and percent > 90) else f"{percent:.1f}%"
    if kind == "latency":
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / size if letter != 'k' else value / 1e3:.3g}{letter}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
