"""A journal whose disk hangs or is full when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from engine.journal.records import JournalUnavailable, Record
from engine.journal.store import Journal


class MoodyJournal(Journal):
    """Appends hang while `answers` is not set, and fail while `is_full`. `asked` counts them."""

    def __init__(self, path: Path, engine: Engine, lock: int | None) -> None:
        super().__init__(path, engine, lock)
        self.answers = threading.Event()
        self.answers.set()
        self.is_full = False
        self.asked = 0

    def append(self, release: str, records: Sequence[Record], *, keep: Mapping[str, Any] | None = None) -> None:
        self.asked += 1
        self.answers.wait()
        if self.is_full:
            raise JournalUnavailable("the disk is full")
        super().append(release, records, keep=keep)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what must come; the suite's own time limit ends what never does."""
    while not holds():  # noqa: ASYNC110 (threads do it, which set no asyncio event)
        await asyncio.sleep(0.002)
