"""What `laneshift backtest` found: as JSON values, and as sentences and a table for 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from cli.wrapped import WIDTH, wrapped
from engine.judge import words
from engine.past.recorded import Recorded
from engine.past.replays import Injected, Replays, Results, at_most, quantile
from engine.plan.model import Plan
from engine.plan.units import show_duration

LATE = 0.95  # the slow end of what is told
ENOUGH = 2.0  # scrapes after its end within which a stage that is proven counts as in time


def as_data(plan: Plan, recorded: Recorded, replays: Replays, results: Results, took_s: float) -> dict[str, Any]:
    """Everything found, as JSON values; times in seconds, shares as fractions."""
    healthy = results.healthy
    return {
        "service": plan.service,
        "recorded": {
            "from": recorded.origin,
            "seconds": round(recorded.seconds, 1),
            "scrapes": len(recorded.scrapes),
            "requests_per_s": round(max((recorded.rate(metric.name) for metric in recorded.metrics), default=0.0), 2),
            "usual_bad_share": dict(replays.usual),
        },
        "past_s": round(replays.past_s, 1),
        "took_s": round(took_s, 1),
        "remarks": [*recorded.remarks, *results.remarks],
        "healthy": {
            "releases": healthy.releases,
            "rolled_back": healthy.failed,
            "rolled_back_at_most": at_most(sum(healthy.failed.values()), healthy.releases),
            "alerts": healthy.rang,
            "passed": healthy.passed,
            "held": healthy.undecided,
        },
        "first_stage": _first_stage(plan, replays, results),
        "faults": [_fault(one) for one in results.faults],
    }


def _first_stage(plan: Plan, replays: Replays, results: Results) -> dict[str, Any]:
    course, healthy = replays.course, results.healthy
    took = [seconds + course.warmup_s for seconds in healthy.first_stage_s]
    bake_s = plan.stages[0].bake
    in_time = sum(seconds <= bake_s + ENOUGH * course.rules.interval_s for seconds in took)
    return {
        "weight": plan.stages[0].weight,
        "bake_s": bake_s,
        "enough_in": in_time / healthy.releases,
        "passed": len(took),
        "median_s": median(took) if took else None,
        "p95_s": quantile(took, LATE),
    }


def _fault(one: Injected) -> dict[str, Any]:
    found = one.found
    return {
        "metric": one.fault.metric,
        "times": one.fault.times,
        "bad_share": one.share,
        "at_its_line": one.at_line,
        "releases": found.releases,
        "rolled_back": found.failed,
        "median_s": median(found.seconds) if found.seconds else None,
        "p95_s": quantile(found.seconds, LATE),
        "held": found.undecided,
        "passed": found.passed,
    }


def as_text(data: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    recorded = data["recorded"]
    yield f"{data['service']}: would its lines have fired with nothing released?"
    yield f"  {recorded['from']}"
    rate = f"{recorded['requests_per_s']:.3g} requests/s"
    yield f"  {_time(recorded['seconds'])} in {recorded['scrapes']:,} scrapes, {rate}"
    yield f"  a replay first learns from {_time(data['past_s'])}"
    yield f"  it took {data['took_s']:.0f} s"
    for remark in data["remarks"]:
        yield from wrapped(remark)
    yield from ("", "Healthy releases")
    yield from _healthy(data["healthy"])
    yield from ("", "Is the first stage long enough?", *_enough(data["first_stage"], data["healthy"]["releases"]))
    if data["faults"]:
        yield from ("", "Faulty releases, the fault there from the first stage on", *_table(data["faults"]))


def _healthy(found: Mapping[str, Any]) -> Iterator[str]:
    releases, bad = found["releases"], sum(found["rolled_back"].values())
    yield f"  would have rolled back {_of(bad, releases)}{_each(found['rolled_back'])}"
    yield f"  by the chance of the split: at most {words.percent(found['rolled_back_at_most'])} (95% confidence)"
    yield f"  would have raised {_plural(sum(found['alerts'].values()), 'alert')}{_each(found['alerts'])}"
    yield f"  would have promoted {_of(found['passed'], releases)}"
    if found["held"]:
        yield f"  {found['held']} neither: held after twice the time of all stages, or the records ended"


def _enough(stage: Mapping[str, Any], releases: int) -> Iterator[str]:
    enough = words.percent(stage["enough_in"])
    yield f"  {show_duration(stage['bake_s'])} at {stage['weight']}% are enough in {enough} of the replays"
    if not stage["passed"]:
        yield f"  none of the {releases} passed it"
        return
    late = _time(stage["p95_s"])
    yield f"  of the {stage['passed']} that passed it half took {_time(stage['median_s'])} or less, 95% {late} or less"


def _table(faults: list[Mapping[str, Any]]) -> Iterator[str]:
    wide = max(len(one["metric"]) for one in faults)
    wide = max(6, min(wide, WIDTH - 58))
    yield f"  {'metric':<{wide}}   times     bad  rolled back   median      p95  held  passed"
    for one in faults:
        yield f"  {one['metric'][:wide]:<{wide}}  {_row(one)}"
    if any(one["at_its_line"] for one in faults):
        yield "  =: exactly at the absolute line, where nothing has to be found yet"
    if any(one["passed"] for one in faults):
        yield "  passed: promoted, for the lines allow it or the traffic can't show it"
    blamed = {name for one in faults for name in one["rolled_back"] if name != one["metric"]}
    if blamed:
        yield f"  some were rolled back for another metric: {', '.join(sorted(blamed))}"


def _row(one: Mapping[str, Any]) -> str:
    times = f"{'=' if one['at_its_line'] else ''}{one['times']:.3g}x"
    bad = words.percent(one["bad_share"])
    if not one["releases"]:
        return f"{times:>6}  {bad:>6}  no time was left: --limit gives more"
    caught = f"{sum(one['rolled_back'].values())} of {one['releases']}"
    took = f"{_time(one['median_s']):>7}  {_time(one['p95_s']):>7}"
    return f"{times:>6}  {bad:>6}  {caught:>11}  {took}  {one['held']:>4}  {one['passed']:>6}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else words.duration(seconds)


def _of(number: int, releases: int) -> str:
    return f"{number} of {releases} healthy release{'' if releases == 1 else 's'}"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _each(numbers: Mapping[str, int]) -> str:
    return f": {', '.join(f'{name} {number}' for name, number in numbers.items())}" if numbers else ""
