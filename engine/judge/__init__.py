"""Is the canary healthy? Verdicts from counts of both versions, each with its reason. Pure: no I/O, no clock."""

from __future__ import annotations

from engine.judge.judge import Judge, Rules
from engine.judge.metric import Counts, Kind, Metric, Outcome, Sample, Threshold, Verdict, Weight, show

__all__ = [
    "Counts",
    "Judge",
    "Kind",
    "Metric",
    "Outcome",
    "Rules",
    "Sample",
    "Threshold",
    "Verdict",
    "Weight",
    "show",
]
