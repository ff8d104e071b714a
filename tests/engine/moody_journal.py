"""A journal whose disk hangs or is full when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.journal.backend import Backend
from engine.journal.records import JournalError, JournalUnavailable
from engine.journal.spool import Spooled
from engine.journal.store import Journal


class MoodyJournal(Journal):
    """Appends hang while `answers` is not set, and fail while `is_full`. `asked` counts them."""

    def __init__(self, path: Path, backend: Backend) -> None:
        super().__init__(path, backend)
        self.answers = threading.Event()
        self.answers.set()
        self.is_full = False
        self.asked = 0

    def append_each(self, appends: Sequence[Spooled]) -> list[JournalError | None]:
        self.asked += 1
        self.answers.wait()
        if self.is_full:
            return [JournalUnavailable("the disk is full") for _ in appends]
        return super().append_each(appends)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what must come; the suite's own time limit ends what never does."""
    while not holds():  # noqa: ASYNC110 (threads do it, which set no asyncio event)
        await asyncio.sleep(0.002)
