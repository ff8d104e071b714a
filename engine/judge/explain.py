"""A verdict in full: every number behind it, a line each, for `explain`, the report and the cockpit."""

from __future__ import annotations

from engine.judge import words
from engine.judge.interval import HIGHEST_RATIO, LOWEST_RATIO
from engine.judge.metric import Counts, Metric, Verdict, show

BURSTY = 1.5  # from here on bad events are said to come in bursts


def explain(metric: Metric, verdict: Verdict) -> tuple[str, ...]:
    """The verdict of `metric` as plain sentences, the reason first."""
    lines = [f"{verdict.outcome.value}: {verdict.reason}"]
    if metric.kind == "gauge":
        sides = (("canary", verdict.canary), ("stable", verdict.stable))
        lines += [f"{name} reads {show(side.value, 'gauge')}" for name, side in sides]
    elif "canary_share" in verdict.numbers:
        lines += _counts(metric, verdict)
    return (*lines, *_evidence(verdict))


def _counts(metric: Metric, verdict: Verdict) -> list[str]:
    numbers = verdict.numbers
    low, high = words.percent(numbers["canary_share_low"]), words.percent(numbers["canary_share_high"])
    what = {"bad": "bad", "good": "failed", "latency": f"slower than {show(metric.cut, 'latency')}"}[metric.kind]
    lines = [
        f"canary in this stage: {_side(verdict.canary, what)}, truly between {low} and {high} (95%, at every look)",
        f"stable in this stage: {_side(verdict.stable, what)}",
        f"canary to stable over the release: {_ratio(numbers['ratio_low'], numbers['ratio_high'])}",
    ]
    if "smallest_ratio_shown" in numbers:
        lines.append(f"this much traffic shows {numbers['smallest_ratio_shown']:.2g} times stable's rate, and more")
    if numbers["phi"] >= BURSTY:
        lines.append(f"bad events come in bursts of about {numbers['phi']:.0f}: each burst counts as one")
    return lines


def _side(counts: Counts, what: str) -> str:
    share = f" ({words.percent(counts.bad / counts.total)})" if counts.total else ""
    return f"{words.count(counts.bad)} of {words.count(counts.total)} {what}{share}"


def _ratio(low: float, high: float) -> str:
    if low <= LOWEST_RATIO and high >= HIGHEST_RATIO * 0.99:
        return "nothing is known yet"
    most = f"and {high:.2g} times" if high < HIGHEST_RATIO * 0.99 else "times and more"
    return f"between {low:.2g} {most} as often (95%, at every look)"


def _evidence(verdict: Verdict) -> list[str]:
    numbers = verdict.numbers
    if "evidence" not in numbers:
        return []
    lines = [f"evidence of harm: {numbers['evidence']:.3g}, {numbers['evidence_needed']:.0f} prove it"]
    if "line_progress" in numbers:
        line, ratio = numbers["line_progress"], numbers["ratio_progress"]
        lines.append(f"proof of health: {line:.0%} against the absolute line, {ratio:.0%} against the relative one")
    return lines
