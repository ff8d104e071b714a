"""What Prometheus knows of its targets: `up` tells one that is down from one that is gone, and when it was first seen.

Source: https://prometheus.io/docs/concepts/jobs_instances/#automatically-generated-labels-and-time-series.
Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from engine.plan.selector import Matcher, Selector
from engine.sources.prometheus_series import Ask, Read, values_of
from engine.sources.reading import Side

UP = "up"
Values = dict[tuple[str, Side, str], dict[str, float]]
Targets = Mapping[str, Sequence[Read]]  # by address, the series `up` of each


def question_of(series: Iterable[Read], addresses: Iterable[str]) -> str:
    """The selector of `up` at these addresses; empty for none that `up` can tell of."""
    wanted = set(addresses)
    found = [one.labels for one in series if one.address in wanted and one.labels.get("instance")]
    if not found:
        return ""
    each = (
        Matcher(label, "=~", "|".join(sorted({re.escape(labels.get(label, "")) for labels in found})))
        for label in ("job", "instance")
    )
    return str(Selector(UP, tuple(each)))


def down(quiet: Mapping[str, float], up: Targets) -> dict[str, str]:
    """Address -> why it can't be read, of those whose last scrape failed. One that has no `up` any more is gone for
    good, as a pod that was scaled away; one that is up has nothing more to say."""
    found = {}
    for address, last in quiet.items():
        at, value = max((point for one in up.get(address, ()) for point in one.points), default=(0.0, 1.0))
        if at > last and value == 0.0:
            found[address] = f"{address} is down: Prometheus can't scrape it"
    return found


def first_sight(asked: Iterable[Ask], series: Mapping[str, Sequence[Read]], new: set[str], up: Targets) -> Values:
    """What the series at new addresses showed when those were first scraped; 0 for one that was not there yet."""
    seen = {address: _first_scrape(address, series, up) for address in new}
    values: Values = {}
    for ask in asked:
        here = [one for one in series.get(ask.selector, ()) if one.address in new]
        latest = {one.address: one.points[-1][0] for one in here if one.points}
        for role, name, _ in values_of(ask, here, latest, float("inf")):
            values.setdefault((ask.metric, ask.side, role), {})[name] = 0.0
        for role, name, value in values_of(ask, here, seen, float("inf")):
            values.setdefault((ask.metric, ask.side, role), {})[name] = value
    return values


def _first_scrape(address: str, series: Mapping[str, Sequence[Read]], up: Targets) -> float:
    """The earliest time of anything read there, or of a scrape that showed none of it."""
    shown = [one.points[0][0] for all_ in series.values() for one in all_ if one.address == address and one.points]
    scraped = [at for one in up.get(address, ()) for at, value in one.points if value == 1.0]
    return min([*shown, *scraped])
