"""Where records wait while the journal does not answer: JSON lines beside it, each synced and with a checksum."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from engine.journal.files import sync_folder
from engine.journal.records import Record, encode, is_intact, sealed

_NAMES = {"release", "records", "keep", "checksum"}  # and `epoch`, which was not always there


@dataclass(frozen=True, slots=True)
class Spooled:
    """One append that waits: what `Journal.append` takes."""

    release: str
    records: tuple[Record, ...]
    keep: Mapping[str, Any] = field(default_factory=dict)
    epoch: int | None = None

    def __str__(self) -> str:
        first, last = self.records[0].seq, self.records[-1].seq
        return f"{self.release} {first}" if first == last else f"{self.release} {first} to {last}"


class Spool:
    """The waiting appends of one journal, oldest first. One thread writes at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Spooled) -> None:
        """Add a line and sync it. OSError when that failed; what was written of the line is then taken back."""
        line = encode(sealed(_row(entry))) + "\n"
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _append(descriptor, line.encode())
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)

    def read(self) -> tuple[list[Spooled], int]:
        """The intact lines, and how many were torn or damaged."""
        if not self.path.exists():
            return [], 0
        lines = [line for line in self.path.read_bytes().split(b"\n") if line]
        entries = [entry for line in lines if (entry := _parsed(line)) is not None]
        return entries, len(lines) - len(entries)

    def remove(self) -> None:
        """Forget the file: all of it is in the journal."""
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> Path:
        """Keep the file under another name, for it holds what the journal would not take. Returns that name."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self.path.with_name(f"{self.path.name}.kept-{stamp}")
        self.path.rename(aside)
        return aside


def _append(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line  # the line before was torn; don't become part of it
    try:
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _row(entry: Spooled) -> dict[str, object]:
    return {
        "release": entry.release,
        "records": [asdict(record) for record in entry.records],
        "keep": dict(entry.keep),
        "epoch": entry.epoch,
    }


def _parsed(line: bytes) -> Spooled | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.keys() - {"epoch"} != _NAMES or not is_intact(row):
        return None
    plain = cast("dict[str, Any]", row)
    records = tuple(Record(**record) for record in plain["records"])
    return Spooled(plain["release"], records, plain["keep"], plain.get("epoch"))
