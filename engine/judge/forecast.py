"""What a plan's stages can show at a given traffic: how long requests and proofs take, before anything is released."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from engine.judge import words
from engine.judge.lines import lines_of
from engine.judge.metric import Metric
from engine.judge.reach import requests_to_prove_below, requests_to_prove_harm, requests_to_prove_ratio

TRIPLED = 3.0
CONTROL_WEIGHT = 25.0  # percent from which the relative line must be proven


@dataclass(frozen=True, slots=True)
class StageForecast:
    """One stage of one metric; seconds, inf where this traffic can't ever show it, 0 where nothing is asked.

    requests_s: until the least requests; line_s, ratio_s: until a canary as good as stable is proven inside its lines;
    tripled_s: until a tripled rate of bad events is proven.
    """

    weight: float
    least: int
    requests_s: float
    line_s: float
    ratio_s: float
    tripled_s: float

    @property
    def passes_s(self) -> float:
        """Until a healthy canary may pass."""
        return max(self.requests_s, self.line_s, self.ratio_s)


def forecast(
    metric: Metric, stage: tuple[float, int], *, rps: float, usual: float, alpha: float = 0.002, beta: float = 0.05
) -> StageForecast:
    """One stage (weight in percent, least requests) of a metric of events at `rps` of all requests per second.

    `usual` is stable's share of bad events; `alpha` the metric's own share of the release's (see `budget_shares`).
    """
    weight, least = stage
    per_second, lines = rps * weight / 100, lines_of(metric)
    below = requests_to_prove_below(lines.share, usual, beta) if lines.share is not None else 0.0
    ratio = lines.ratio if CONTROL_WEIGHT <= weight < 100 else None
    inside = requests_to_prove_ratio(ratio, usual, weight, beta) if ratio is not None else 0.0
    harm = requests_to_prove_harm(TRIPLED, usual, weight, alpha) if 0 < weight < 100 else inf
    takes = [requests / per_second if per_second else inf for requests in (least, below, inside, harm)]
    return StageForecast(weight, least, *takes)


def sentence(metric: Metric, stage: StageForecast, rps: float) -> str:
    """`at 12 requests/s the 5% stage needs 28 min to see 1,000 requests; a tripled rate of errors would take 3 h`."""
    parts = []
    if stage.least:
        parts.append(f"needs {_time(stage.requests_s)} to see {stage.least:,} requests")
    proof = max(stage.line_s, stage.ratio_s)
    if proof:
        parts.append(
            f"{'can never' if proof == inf else f'needs {_time(proof)} to'} prove {metric.name} inside its lines"
        )
    said = f"at {rps:g} requests/s the {stage.weight:g}% stage {' and '.join(parts) or 'asks for no proof'}"
    if stage.tripled_s == inf:
        return said
    return f"{said}; a tripled rate of {_what(metric)} would take {_time(stage.tripled_s)} to prove"


def _what(metric: Metric) -> str:
    names = {"bad": metric.name, "good": f"failures of {metric.name}", "latency": f"slow requests ({metric.name})"}
    return names[metric.kind]


def _time(seconds: float) -> str:
    return "for ever" if seconds == inf else words.duration(seconds)
