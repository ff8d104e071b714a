"""What the journal stores and what it says when it can't: values and errors only; imports no database."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

TICK = "Ticked"
"""The type of a record that is a tick: kept apart from events, summed per minute, and pruned."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a release's history.

    seq:  1, 2, 3, ... within the release, events and ticks together
    at:   when it happened, seconds since 1970
    type: the name of the event; `Ticked` is a tick
    data: JSON; NaN and infinities, which JSON lacks, are stored as null.
          A tick's `data["samples"]` is a list of judge samples as `dataclasses.asdict` gives them.
    """

    seq: int
    at: float
    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """What the journal knows of a release beside its records. `created_at` in seconds since 1970."""

    id: str
    target: str
    service: str
    created_at: float
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Minute:
    """What one side (`canary` or `stable`) showed for one metric in one minute, summed over its ticks.

    minute:   its first second, since 1970
    seconds:  how much of it was sampled
    total, bad, bad_low: sums of the counts of the same names
    readings: how many ticks had a value; the next three are over these
    """

    minute: int
    metric: str
    side: str
    seconds: float = 0.0
    total: float = 0.0
    bad: float = 0.0
    bad_low: float = 0.0
    readings: int = 0
    value_sum: float = 0.0
    value_low: float | None = None
    value_high: float | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """A damaged journal was set aside and what could be read of it is in a new one.

    kept:     the damaged file; nothing of it was deleted
    found:    what was wrong with it
    releases: the recovered releases, each with its last intact seq
    lost:     what is known to be missing, in words; a damaged file can't tell everything that it lost
    """

    kept: Path
    found: str
    releases: dict[str, int]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        back = ", ".join(f"{release} up to record {seq}" for release, seq in self.releases.items())
        lost = f" Lost: {'; '.join(self.lost)}." if self.lost else ""
        return (
            f"The journal was damaged ({self.found}). The damaged file is kept as {self.kept}. "
            f"Recovered: {back or 'nothing; the journal is new and empty'}.{lost}"
        )


@dataclass(frozen=True, slots=True)
class Drained:
    """Records that waited in the spool when the journal was opened.

    records: how many went from the spool into the journal, those that were already there included
    torn:    how many lines could not be read (a write that never ended)
    refused: why records could not follow those in the journal, in words
    kept:    where the spool went if anything was torn or refused; None when all of it is in the journal
    """

    records: int
    torn: int
    refused: tuple[str, ...]
    kept: Path | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A lease that an engine was given.

    epoch:      its fencing number, greater than any the store gave before
    free_since: until when another engine may have thought it held the release, seconds since 1970 by this machine's
                clock (how long ago is measured by the database's); None when no other engine ever held it
    """

    epoch: int
    free_since: float | None


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """Who holds a release: `engine` is "" and `epoch` 0 while nobody ever did. Anybody may take it when `left_s`,
    seconds by the database's clock, is 0 or less; in a SQLite journal a lease never runs out (infinity)."""

    release: str
    engine: str
    epoch: int
    left_s: float


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order on its way to the engine that holds the release. `data` is JSON, `asked_at` seconds since 1970."""

    id: str
    release: str
    data: dict[str, Any]
    asked_at: float


@dataclass(frozen=True, slots=True)
class HereRow:
    """Somebody attached to a release at an engine, `since` seconds since 1970; `driving` gave its last order."""

    engine: str
    release: str
    who: str
    where: str
    since: float
    driving: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """What may be forgotten of releases that have ended; None keeps it for ever.

    ticks_s:    ticks older than this; their sums per minute stay until the release itself goes
    releases_s: whole releases whose last record is older than this
    size_bytes: over this size the oldest ended releases lose their ticks first, then go
    """

    ticks_s: float | None = None
    releases_s: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten, or would be: whole `releases`, `ticks` of others too, and `freed` bytes of what they hold."""

    releases: tuple[str, ...] = ()
    ticks: int = 0
    freed: int = 0


class JournalError(Exception):
    """Anything the journal refuses or can't do."""


class JournalLocked(JournalError):
    """Another engine writes this journal. `pid` is its process, None when it could not be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(
            f"{path} is held by another engine (process {pid if pid is not None else 'unknown'}). "
            "One engine writes a journal at a time: use that engine, or stop it first."
        )
        self.pid = pid


class JournalTooNew(JournalError):
    """The journal was written by a newer version; reading it here could misread it."""

    def __init__(self, where: Path | str, found: int, known: int) -> None:
        super().__init__(
            f"{where} has format {found}; this laneshift knows formats up to {known}. "
            "Use the laneshift that wrote it, or a newer one; it was not touched."
        )
        self.found = found
        self.known = known


class JournalUnavailable(JournalError):
    """The journal does not answer now (full disk, I/O error, locked); the same call may work later."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JournalCorrupt(JournalUnavailable):
    """The journal's file is damaged, or is no journal. Opening it for writing recovers a damaged one."""


class JournalBusy(JournalUnavailable):
    """Something else holds a row that is needed; what needs other rows can go on."""


class JournalConflict(JournalError):
    """A record that does not follow the last one, or differs from the one already there."""


class JournalFenced(JournalError):
    """The release's lease has another epoch: another engine took it, and what is told under the old one is refused."""

    def __init__(self, release: str, epoch: int, now: int) -> None:
        super().__init__(f"{release} is no longer held under epoch {epoch}: it was taken over (epoch {now})")
        self.release = release


def is_same(one: Record, other: Record) -> bool:
    """Whether two records are the same once they are in the journal."""
    return (one.at, one.type, _stored(one.data)) == (other.at, other.type, _stored(other.data))


def _stored(data: object) -> object:
    return json.loads(encode(data))


def encode(data: object) -> str:
    """JSON in ASCII, so that any text from outside survives any database; NaN and infinities become null."""
    try:
        return _ENCODER.encode(data)
    except ValueError:
        return _ENCODER.encode(_finite(data))


def _finite(data: object) -> object:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def checksum(row: Mapping[str, object]) -> int:
    """CRC-32 of a row's values. Neither SQLite nor a text file notices a flipped bit by itself."""
    return zlib.crc32(encode([row[name] for name in sorted(row) if name != "checksum"]).encode())


def sealed(row: Mapping[str, object]) -> dict[str, object]:
    """The row with its `checksum`."""
    return {**row, "checksum": checksum(row)}


def is_intact(row: Mapping[str, object]) -> bool:
    """Whether the row is as it was sealed."""
    try:
        return row.get("checksum") == checksum(row)
    except TypeError:  # a damaged value may be bytes, which were never sealed
        return False
