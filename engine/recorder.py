"""Gets one release's records into the journal in their order, and never lets that stand before a way back.

Decisions are folded in memory at once; what they say is shown and done only when it is recorded. A way back waits
300 ms for that at the most: then all that is not yet recorded is spooled beside the journal, said loudly, and it goes
ahead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.journal_records import JournalUnavailable, Record
from engine.journal_writer import JournalWriter

PATIENCE_S = 0.3
RETRY_S = 1.0


@dataclass(slots=True)
class _Batch:
    records: Sequence[Record]
    keep: Mapping[str, Any]
    then: Callable[[], None]
    recorded: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Recorder:
    """The queue of one release into the journal's writer."""

    def __init__(self, release: str, writer: JournalWriter, on_trouble: Callable[[str], None]) -> None:
        """`on_trouble` hears why the journal does not take records, and "" when it does again."""
        self._release = release
        self._writer = writer
        self._on_trouble = on_trouble
        self._waiting: deque[_Batch] = deque()
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._deadline = 0.0
        self._task = asyncio.create_task(self._run(), name=f"recorder of {release}")

    def put(
        self,
        records: Sequence[Record],
        keep: Mapping[str, Any] | None,
        *,
        then: Callable[[], None],
        urgent: bool = False,
    ) -> asyncio.Future[None]:
        """Queue records. When they are in the journal or, if `urgent`, in its spool, `then` is called and the future
        done; both in the order of the queue."""
        batch = _Batch(records, keep or {}, then)
        self._waiting.append(batch)
        self._news.set()
        if urgent and not self._urgent.is_set():
            self._deadline = asyncio.get_running_loop().time() + PATIENCE_S
            self._urgent.set()
        return batch.recorded

    async def close(self) -> None:
        """Wait a moment for what is queued, then stop."""
        last = self._waiting[-1].recorded if self._waiting else None
        if last is not None:
            await asyncio.wait([last], timeout=2.0)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            while self._waiting:
                await self._record(self._waiting[0])
            self._news.clear()
            self._urgent.clear()

    async def _record(self, batch: _Batch) -> None:
        """Store the first batch of the queue, for as long as it takes; hurry when a way back stands behind it."""
        while True:
            try:
                if self._urgent.is_set():
                    left = max(0.0, self._deadline - asyncio.get_running_loop().time())
                    kept = await self._writer.append_or_spool(self._release, batch.records, batch.keep, patience=left)
                    self._on_trouble("" if kept else "the journal does not answer: records are kept aside")
                else:
                    await self._hurried(batch)
                    self._on_trouble("")
            except _Overtaken:
                continue
            except JournalUnavailable as error:
                self._on_trouble(str(error))
                await self._pause()
                continue
            break
        self._waiting.popleft()
        batch.then()
        if not batch.recorded.done():
            batch.recorded.set_result(None)

    async def _hurried(self, batch: _Batch) -> None:
        """Append; raises _Overtaken as soon as something urgent waits behind it."""
        append = asyncio.ensure_future(self._writer.append(self._release, batch.records, batch.keep))
        urgent = asyncio.create_task(self._urgent.wait())
        await asyncio.wait([append, urgent], return_when=asyncio.FIRST_COMPLETED)
        urgent.cancel()
        if not append.done():
            # It may still get there: the same records spooled and appended twice are one.
            append.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise _Overtaken
        await append

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(RETRY_S):
                await self._urgent.wait()
        except TimeoutError:
            pass


class _Overtaken(Exception):
    """A way back can't wait for this append."""
