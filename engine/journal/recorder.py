"""Gets one release's records into the journal in their order, and never lets that stand before a way back.

Decisions are folded in memory at once; what they say is shown and done only when it is recorded. A way back waits
300 ms for that at the most: then all that is not yet recorded is spooled beside the journal, said loudly, and it goes
ahead.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.journal.records import JournalFenced, JournalUnavailable, Record
from engine.journal.writer import JournalWriter

log = logging.getLogger(__name__)

PATIENCE_S = 0.3
RETRY_S = 1.0
CLOSE_S = 2.0  # for what is queued when the engine ends


@dataclass(slots=True)
class _Batch:
    """`since` is when it was put, `due` when an urgent one goes ahead, both in the loop's time."""

    records: Sequence[Record]
    keep: Mapping[str, Any]
    epoch: int | None
    then: Callable[[], None]
    since: float
    due: float | None
    recorded: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def _leave(_error: JournalFenced) -> None:
    """Nobody wants to know."""


class Recorder:
    """The queue of one release into the journal's writer."""

    def __init__(
        self,
        release: str,
        writer: JournalWriter,
        on_trouble: Callable[[str], None],
        *,
        epoch: int | None = None,
        on_fenced: Callable[[JournalFenced], None] = _leave,
    ) -> None:
        """`on_trouble` hears why the journal does not take records, and "" when it does again.

        `epoch` is the lease's that the records are told under; set it when the lease is taken anew. `on_fenced` is
        called, once, when the journal says that another engine took the release.
        """
        self.epoch = epoch
        self._on_fenced = on_fenced
        self._is_fenced = False
        self._release = release
        self._writer = writer
        self._on_trouble = on_trouble
        self._waiting: deque[_Batch] = deque()
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
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
        done; both in the order of the queue. When another engine took the release, `then` is not called and the future
        fails with JournalFenced; but what is urgent goes ahead, and is kept aside."""
        now = asyncio.get_running_loop().time()
        batch = _Batch(records, keep or {}, self.epoch, then, now, now + PATIENCE_S if urgent else None)
        self._waiting.append(batch)
        self._news.set()
        if urgent:
            self._urgent.set()
        return batch.recorded

    @property
    def behind_s(self) -> float:
        """How long the oldest record has waited for the journal, in seconds; 0 when none waits."""
        return asyncio.get_running_loop().time() - self._waiting[0].since if self._waiting else 0.0

    async def close(self) -> None:
        """Wait a moment for what is queued, then stop."""
        last = self._waiting[-1].recorded if self._waiting else None
        if last is not None:
            await asyncio.wait([last], timeout=CLOSE_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            while self._waiting:
                await self._record()
            self._news.clear()

    async def _record(self) -> None:
        """Store the first batch of the queue, for as long as it takes; all of it when a way back is among them."""
        try:
            if self._urgent.is_set():
                await self._all_at_once()
            else:
                await self._hurried(self._waiting[0])
                self._on_trouble("")
                self._done(1)
        except _Overtaken:
            return
        except JournalUnavailable as error:
            self._on_trouble(str(error))
            await self._pause()
        except JournalFenced as error:
            self._fenced(error)
        except Exception as error:
            # Refused for good. What is not recorded is not done, but for a way back.
            log.exception("the journal refuses records of %s", self._release)
            self._on_trouble(f"the journal refuses its records, nothing goes forward: {error}")
            if self._urgent.is_set():
                self._done(len(self._waiting))
            await self._pause()

    async def _all_at_once(self) -> None:
        """One append for the whole queue: each for itself would take its own time to be spooled."""
        count = len(self._waiting)
        records = [record for batch in self._waiting for record in batch.records]
        keep = {name: value for batch in self._waiting for name, value in batch.keep.items()}
        due = min(batch.due for batch in self._waiting if batch.due is not None)
        left = max(0.0, due - asyncio.get_running_loop().time())
        epoch = self._waiting[0].epoch
        try:
            kept = await self._writer.append_or_spool(self._release, records, keep, epoch=epoch, patience=left)
        except JournalUnavailable:  # not even spooled; what is on its way back goes on all the same
            kept = False
        self._on_trouble("" if kept else "the journal does not answer: records are kept aside")
        self._done(count)

    def _fenced(self, error: JournalFenced) -> None:
        """Nothing of this queue is told any more; what is on its way back goes on."""
        if self._urgent.is_set():
            self._done(len(self._waiting))
        else:
            recorded = self._waiting.popleft().recorded
            if not recorded.done():
                recorded.set_exception(error)
                recorded.exception()  # whoever does not wait for it need not hear
        if not self._is_fenced:
            self._is_fenced = True
            log.warning("another engine took %s: %s", self._release, error)
            self._on_fenced(error)

    def _done(self, count: int) -> None:
        batches = [self._waiting.popleft() for _ in range(count)]
        if all(batch.due is None for batch in self._waiting):
            self._urgent.clear()
        for batch in batches:
            try:
                batch.then()
            except Exception:  # a listener's fault must not stop the records
                log.exception("what follows a record of %s failed", self._release)
            if not batch.recorded.done():
                batch.recorded.set_result(None)

    async def _hurried(self, batch: _Batch) -> None:
        """Append; raises _Overtaken as soon as something urgent waits behind it."""
        append = asyncio.ensure_future(self._writer.append(self._release, batch.records, batch.keep, epoch=batch.epoch))
        append.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to hear it
        urgent = asyncio.create_task(self._urgent.wait())
        try:
            await asyncio.wait([append, urgent], return_when=asyncio.FIRST_COMPLETED)
        finally:
            urgent.cancel()
        if not append.done():
            raise _Overtaken  # it may still get there: the same records spooled and appended twice are one
        await append

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(RETRY_S):
                await self._urgent.wait()
        except TimeoutError:
            pass


class _Overtaken(Exception):
    """A way back can't wait for this append."""
