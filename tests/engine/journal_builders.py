"""Records and journals for tests."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.journal.opening import open_store
from engine.journal.records import TICK, Record
from engine.journal.store import Journal

J = TypeVar("J", bound=Journal)

RELEASE = "checkout-1"
METRICS = ("error_rate", "latency_p50", "latency_p95", "latency_p99", "checkout_success", "db_pool_used")


def event(seq: int, **data: Any) -> Record:
    return Record(seq, 1000.0 + seq, "Noted", data or {"text": f"note {seq}"})


def tick(seq: int, *, at: float | None = None, canary: float = 100.0, value: float | None = 0.01) -> Record:
    """A tick of six metrics; `canary` is how many requests the canary had."""
    counts = {"total": canary, "bad": 1.0, "bad_low": 2.0, "value": value}
    stable = {"total": 900.0, "bad": 3.0, "bad_low": 4.0, "value": 0.02}
    samples = [
        {"metric": metric, "seconds": 5.0, "stable": stable, "canary": counts, "problem": ""} for metric in METRICS
    ]
    return Record(seq, 1000.0 + seq if at is None else at, TICK, {"samples": samples})


def history(length: int) -> list[Record]:
    """Events and ticks in turn."""
    return [event(seq) if seq % 3 == 1 else tick(seq) for seq in range(1, length + 1)]


@dataclass(frozen=True)
class Store:
    """Where a journal is: a SQLite file in `home`, or a PostgreSQL database at `where`."""

    home: Path
    where: str = ""

    def open(self) -> Journal:
        """For writing."""
        return open_store(self.where, self.home)

    def other(self) -> Store:
        """The same store as another engine has it, with a state folder of its own; PostgreSQL only."""
        return Store(Path(tempfile.mkdtemp(dir=self.home.parent)), self.where)

    def started(self) -> Journal:
        """Open, with one release that has no records yet."""
        return with_release(self.open(), RELEASE)


def started(path: Path) -> Journal:
    """A journal, open for writing, with one release that has no records yet."""
    return with_release(Journal.open(path), RELEASE)


def with_release(journal: J, release: str) -> J:
    """The journal with one more release."""
    service = release.rpartition("-")[0]
    journal.create_release(release, f"sandbox/{service}", service, 1000.0)
    return journal


def write_history(journal: Journal, length: int, release: str = RELEASE) -> list[Record]:
    """Append a history one record a time, each with what is kept beside it."""
    records = history(length)
    for record in records:
        journal.append(release, [record], keep={"counters": {"seq": record.seq}})
    return records


def copy_files(path: Path, to: Path) -> Path:
    """The journal's files as a crash would leave them now, its write-ahead log and spool included."""
    to.mkdir()
    for name in (path.name, f"{path.name}-wal", f"{path.name}.spool"):
        if (path.parent / name).exists():
            shutil.copy(path.parent / name, to / name)
    return to / path.name
