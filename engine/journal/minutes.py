"""Summaries per minute of what the ticks showed: they stay when the ticks are pruned.

They are sums of counts, never means of rates, so that any span of minutes can be added up again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, tuple_

from engine.journal.records import Minute, Record, sealed
from engine.journal.tables import checked, minutes

Key = tuple[str, int, str, str]
Sums = dict[Key, Minute]
_NAMES = tuple(Minute.__dataclass_fields__)


def add(connection: Connection, ticked: Mapping[str, Iterable[Record]]) -> None:
    """Add the samples of these ticks, by release, to the releases' minutes, within the caller's transaction."""
    fresh: Sums = {}
    for release, ticks in ticked.items():
        fresh |= _summed(release, (reading for tick in ticks for reading in _readings(tick)))
    if not fresh:
        return
    touched = tuple_(minutes.c.release, minutes.c.minute).in_({(release, minute) for release, minute, _, _ in fresh})
    known = connection.execute(select(minutes).where(touched)).mappings()
    before: Sums = {_key(row["release"], minute): minute for row, minute in ((row, _minute(row)) for row in known)}
    merged = {key: _merged(before[key], minute) if key in before else minute for key, minute in fresh.items()}
    connection.execute(delete(minutes).where(touched))
    rows = [sealed({"release": key[0], **asdict(minute)}) for key, minute in (before | merged).items()]
    connection.execute(insert(minutes), rows)


def read(connection: Connection, release: str, after: int) -> list[Minute]:
    """The release's minutes that begin later than `after`, in order."""
    query = (
        select(minutes)
        .where(minutes.c.release == release, minutes.c.minute > after)
        .order_by(minutes.c.minute, minutes.c.metric, minutes.c.side)
    )
    rows = connection.execute(query).mappings()
    return [_minute(row) for row in rows]


def _minute(row: Mapping[Any, Any]) -> Minute:
    values = checked(row)
    return Minute(**{name: values[name] for name in _NAMES})


def minute_of(at: float) -> int:
    """The first second of the minute that `at` is in, both since 1970."""
    return int(at // 60) * 60


def _readings(tick: Record) -> list[Minute]:
    return [
        _reading(minute_of(tick.at), str(sample["metric"]), side, _number(sample.get("seconds")), counts)
        for sample in tick.data.get("samples", ())
        for side in ("canary", "stable")
        if (counts := sample.get(side)) is not None
    ]


def _reading(start: int, metric: str, side: str, seconds: float, counts: Mapping[str, Any]) -> Minute:
    total, bad, bad_low = (_number(counts.get(name)) for name in ("total", "bad", "bad_low"))
    minute = Minute(start, metric, side, seconds=seconds, total=total, bad=bad, bad_low=bad_low)
    value = counts.get("value")
    if value is None or not math.isfinite(value):
        return minute
    number = float(value)
    return replace(minute, readings=1, value_sum=number, value_low=number, value_high=number)


def _summed(release: str, readings: Iterable[Minute]) -> Sums:
    sums: Sums = {}
    for reading in readings:
        key = _key(release, reading)
        sums[key] = _merged(sums[key], reading) if key in sums else reading
    return sums


def _merged(one: Minute, other: Minute) -> Minute:
    lows = [value for value in (one.value_low, other.value_low) if value is not None]
    highs = [value for value in (one.value_high, other.value_high) if value is not None]
    return replace(
        one,
        seconds=one.seconds + other.seconds,
        total=one.total + other.total,
        bad=one.bad + other.bad,
        bad_low=one.bad_low + other.bad_low,
        readings=one.readings + other.readings,
        value_sum=one.value_sum + other.value_sum,
        value_low=min(lows, default=None),
        value_high=max(highs, default=None),
    )


def _key(release: str, minute: Minute) -> Key:
    return (release, minute.minute, minute.metric, minute.side)


def _number(value: object) -> float:
    """A count from outside: anything that is no finite number counts as nothing."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0
