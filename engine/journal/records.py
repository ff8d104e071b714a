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

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has format {found}; this laneshift knows formats up to {known}. "
            "Use the laneshift that wrote it, or a newer one; the file was not touched."
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


class JournalConflict(JournalError):
    """A record that does not follow the last one, or differs from the one already there."""


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
