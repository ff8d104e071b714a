"""The one thread that writes the journal, and the spool for records that can't wait for it.

What waits at the same time of different releases goes into one transaction, in which each is stored or refused for
itself.

Per release the order holds. An append waits behind those of the same release that came before it, spooled ones
included; when records are spooled, all of the same release that still wait before them are spooled too, so that the
spool alone continues the journal after a crash. What is spooled is tried again every second until it is in the
journal: once, for the journal takes a record it already has as done.

The spool has a thread of its own: a disk on which the journal hangs may let the spool hang as well.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from engine.journal.records import JournalUnavailable, Record
from engine.journal.spool import Spooled
from engine.journal.store import Journal
from engine.telemetry import UNWATCHED, Watcher

T = TypeVar("T")
Job = Callable[[], None]
_log = logging.getLogger(__name__)

PATIENCE_S = 0.3
"""How long `append_or_spool` waits for the journal."""
_SPOOL_PATIENCE_S = 0.1
_RETRY_S = 1.0
_TOGETHER = 100  # appends in one transaction: they share its cost, and wait for the slowest


class _Place(Enum):
    QUEUED = auto()  # only a caller's future knows of it
    MEMORY = auto()  # it will get into the journal while this process lives
    SPOOL = auto()  # it will get into the journal even if this process dies


def _running() -> Future[None]:
    """A future that a caller who gives up can't cancel: what was submitted is stored."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


@dataclass(eq=False, slots=True)
class _Append:
    what: Spooled
    may_be_spooled: bool
    place: _Place = _Place.QUEUED
    stored: Future[None] = field(default_factory=_running)
    spool_tried: Future[None] = field(default_factory=_running)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records that callers went ahead with and that are not in the journal yet.

    spooled:   on the disk, in the spool
    in_memory: nowhere else than in this process: the spool could not be written either
    refused:   the journal will never take them; the spool's file with them is kept
    reason:    why the journal did not take the last one, "" while nothing waits
    """

    spooled: int = 0
    in_memory: int = 0
    refused: int = 0
    reason: str = ""


class JournalWriter:
    """Appends in a thread of its own, in the order of the calls. Safe to call from any thread."""

    def __init__(self, journal: Journal, *, retry_s: float = _RETRY_S, watcher: Watcher = UNWATCHED) -> None:
        """`retry_s`: how often to try what is spooled, in seconds; `watcher` hears of each append."""
        self._watcher = watcher
        self._busy_since: float | None = None
        self._journal = journal
        self._retry_s = retry_s
        self._retry_at = 0.0
        self._reason = ""
        self._refused = 0
        self._refused_kept = 0  # of these, how many are in files that were kept aside
        self._lock = threading.Lock()  # guards the next, and the place of each append in it
        self._waiting: list[_Append] = []  # not in the journal yet; of each release those not QUEUED come first
        self._jobs: SimpleQueue[Job | _Append | None] = SimpleQueue()
        self._next: deque[Job | _Append | None] = deque()  # taken from the jobs, and to come before them
        self._spool_jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._write, "journal"), (self._spool, "journal spool"))
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        release: str,
        records: Sequence[Record],
        keep: Mapping[str, Any] | None = None,
        *,
        epoch: int | None = None,
    ) -> Future[None]:
        """Queue an append; the future ends as `Journal.append` does.

        JournalUnavailable means that the records are not in the journal and will not be. Where later records of the
        release were queued meanwhile it waits instead, for those could not be stored without these.
        """
        return self._enqueue(Spooled(release, tuple(records), keep or {}, epoch), may_be_spooled=False).stored

    async def append(
        self,
        release: str,
        records: Sequence[Record],
        keep: Mapping[str, Any] | None = None,
        *,
        epoch: int | None = None,
    ) -> None:
        """`submit`, awaited. Cancelling the caller does not take the records back."""
        await asyncio.wrap_future(self.submit(release, records, keep, epoch=epoch))

    async def append_or_spool(
        self,
        release: str,
        records: Sequence[Record],
        keep: Mapping[str, Any] | None = None,
        *,
        epoch: int | None = None,
        patience: float = PATIENCE_S,
    ) -> bool:
        """Append, but don't wait longer than `patience` seconds and a moment for the spool. For what can't wait.

        True: the records are in the journal. False: they will be; until then they are in the spool or, when that
        failed too, in memory (`backlog` says which), and the caller goes on and says so. JournalConflict and
        JournalFenced as `append`; the records are then kept in a file aside.
        """
        entry = self._enqueue(Spooled(release, tuple(records), keep or {}, epoch), may_be_spooled=True)
        stored, tried = asyncio.wrap_future(entry.stored), asyncio.wrap_future(entry.spool_tried)
        try:
            await asyncio.wait((stored, tried), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not stored.done():
                self._go_ahead(entry)
                await asyncio.wait((stored, tried), timeout=_SPOOL_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            if stored.done():
                stored.result()
                return True
            return False
        finally:
            stored.cancel()
            tried.cancel()

    def call(self, operation: Callable[[Journal], T]) -> Future[T]:
        """Run anything else that writes (a new release, pruning) in the journal's thread, in its turn."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def job() -> None:
            try:
                result = operation(self._journal)
            except Exception as error:  # noqa: BLE001 (the caller gets it; the thread must live)
                future.set_exception(error)
            else:
                future.set_result(result)

        self._put(job)
        return future

    @property
    def backlog(self) -> Backlog:
        """What is not in the journal although callers went ahead."""
        with self._lock:
            counts = dict.fromkeys(_Place, 0)
            for entry in self._waiting:
                counts[entry.place] += len(entry.what.records)
            spooled, in_memory = counts[_Place.SPOOL], counts[_Place.MEMORY]
            return Backlog(spooled, in_memory, self._refused, self._reason if spooled or in_memory else "")

    @property
    def lives(self) -> bool:
        """Do its threads run?"""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def silent_s(self) -> float:
        """How long the journal has not answered what it was asked last, in seconds; 0 when it has."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self, timeout: float = 5.0) -> bool:
        """Store what is queued and spooled, then stop; False when something is left after `timeout` seconds.

        What is in the spool then is stored when the journal is opened next. The journal itself stays open.
        """
        self._is_closed = True
        for thread, stop in zip(self._threads, (self._jobs.put, self._spool_jobs.put), strict=True):
            stop(None)
            thread.join(timeout)
        with self._lock:
            left, self._waiting = self._waiting, []
        for entry in left:
            _finish(entry.stored, JournalUnavailable("the journal was closed before it took the record"))
        return not left

    def _enqueue(self, what: Spooled, *, may_be_spooled: bool) -> _Append:
        entry = _Append(what, may_be_spooled)
        with self._lock:
            self._put(entry)
            self._waiting.append(entry)
        return entry

    def _put(self, job: Job | _Append) -> None:
        if self._is_closed:
            raise RuntimeError("the journal's writer is closed")
        self._jobs.put(job)

    def _write(self) -> None:
        while True:
            try:
                job = self._next.popleft() if self._next else self._jobs.get(timeout=self._until_retry())
            except Empty:
                job = _wake
            if job is None:
                break
            self._busy_since = time.monotonic()
            if isinstance(job, _Append):
                self._append(self._gathered(job))
            else:
                job()
            self._busy_since = None
            if self._until_retry() == 0.0:
                self._retry()
        self._retry()

    def _gathered(self, first: _Append) -> list[_Append]:
        """The append and those that wait behind it, each of another release: they share one transaction."""
        group = {first.what.release: first}
        while len(group) < _TOGETHER and not self._next:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if isinstance(job, _Append) and job.what.release not in group:
                group[job.what.release] = job
            else:
                self._next.append(job)
        return list(group.values())

    def _until_retry(self) -> float | None:
        """Seconds until what is spooled is due, None while nothing is."""
        return max(0.0, self._retry_at - time.monotonic()) if self._spooled() else None

    def _spooled(self) -> list[_Append]:
        with self._lock:
            return [entry for entry in self._waiting if entry.place is not _Place.QUEUED]

    def _append(self, entries: Sequence[_Append]) -> None:
        """Some appends' turn: before each what is spooled of its release, then itself."""
        chains = self._chains(entries)
        self._store_together([entry for (entry, *later) in chains if not later])
        for chain in chains:
            if len(chain) > 1:
                self._store_in_order(chain)

    def _chains(self, entries: Sequence[_Append]) -> list[list[_Append]]:
        """Each append behind those of its release that are not stored; without those that went with an earlier one."""
        last = {entry.what.release: entry for entry in entries}
        chains: dict[str, list[_Append]] = {}
        with self._lock:
            for other in self._waiting:
                chain = chains.setdefault(other.what.release, []) if other.what.release in last else None
                if chain is not None and (not chain or chain[-1] is not last[other.what.release]):
                    chain.append(other)
        return [chain for release, chain in chains.items() if last[release] in chain]

    def _store_in_order(self, chain: Sequence[_Append]) -> None:
        try:
            for entry in chain:
                self._store(entry)
        except JournalUnavailable as error:
            self._postpone(chain[-1], error)

    def _store_together(self, entries: Sequence[_Append]) -> None:
        """Settle appends to different releases, or postpone them, in one transaction."""
        if not entries:
            return
        for entry, error in zip(entries, self._timed([entry.what for entry in entries]), strict=True):
            if isinstance(error, JournalUnavailable):
                self._reason = error.reason
                self._postpone(entry, error)
            else:
                self._settle(entry, error)

    def _store(self, entry: _Append) -> None:
        """Settle the append, one way or the other; JournalUnavailable leaves it as it is."""
        (error,) = self._timed([entry.what])
        if isinstance(error, JournalUnavailable):
            self._reason = error.reason
            raise error
        self._settle(entry, error)

    def _timed(self, what: Sequence[Spooled]) -> Sequence[Exception | None]:
        begun = time.monotonic()
        try:
            answers: Sequence[Exception | None] = self._journal.append_each(what)
        except Exception as error:  # noqa: BLE001 (the callers get it; the thread must live)
            if len(what) > 1:
                return [self._timed([one])[0] for one in what]  # it is the fault of one of them
            answers = [error]
        self._watcher.appended(time.monotonic() - begun, next(filter(None, answers), None))
        return answers

    def _settle(self, entry: _Append, error: Exception | None) -> None:
        with self._lock:
            if entry not in self._waiting:
                return
            self._waiting.remove(entry)
            went_ahead = entry.may_be_spooled or entry.place is not _Place.QUEUED
            if error and went_ahead:
                self._refused += len(entry.what.records)
            if error and went_ahead and entry.place is not _Place.SPOOL:
                self._spool_jobs.put(partial(self._keep, entry.what))
            elif entry.place is not _Place.QUEUED:
                self._spool_jobs.put(self._tidy)
            if not error and all(other.place is _Place.QUEUED for other in self._waiting):
                self._reason = ""
        if error and went_ahead:
            _log.error("the journal refuses what is done already: %s", error)
        _finish(entry.stored, error)

    def _postpone(self, entry: _Append, error: JournalUnavailable) -> None:
        """The journal did not take it: an error for its caller, unless somebody went ahead or counts on it."""
        with self._lock:
            if entry not in self._waiting:
                return
            place = self._waiting.index(entry)
            is_needed = any(other.what.release == entry.what.release for other in self._waiting[place + 1 :])
            if entry.place is not _Place.QUEUED:
                return
            if entry.may_be_spooled or is_needed:
                self._set_aside(entry)
                return
            self._waiting.remove(entry)
        _finish(entry.stored, error)

    def _go_ahead(self, entry: _Append) -> None:
        """The caller waits no longer: spool the append, and all of its release that the journal needs before it."""
        with self._lock:
            if entry not in self._waiting:
                return
            for other in self._waiting[: self._waiting.index(entry) + 1]:
                if other.what.release == entry.what.release and other.place is _Place.QUEUED:
                    self._set_aside(other)
            self._reason = self._reason or "the journal has not answered in time"

    def _set_aside(self, entry: _Append) -> None:
        """To the spool, with the lock held."""
        entry.place = _Place.MEMORY
        self._retry_at = time.monotonic() + self._retry_s
        self._spool_jobs.put(partial(self._spool_one, entry))
        self._jobs.put(_wake)
        _log.warning("the journal does not answer; spooling %s", entry.what)

    def _retry(self) -> None:
        self._retry_at = time.monotonic() + self._retry_s
        try:
            for entry in self._spooled():
                self._store(entry)
        except JournalUnavailable:
            self._spool_again()

    def _spool_again(self) -> None:
        if self._spool_jobs.empty():
            for entry in self._spooled():
                if entry.place is _Place.MEMORY:
                    self._spool_jobs.put(partial(self._spool_one, entry))

    def _spool(self) -> None:
        while (job := self._spool_jobs.get()) is not None:
            job()

    def _spool_one(self, entry: _Append) -> None:
        try:
            if not entry.stored.done():
                self._journal.spool.write(entry.what)
                with self._lock:
                    entry.place = _Place.SPOOL
        except Exception as error:  # noqa: BLE001 (it stays in memory; the thread must live)
            _log.error("the spool can't be written either: %s", error)
        _finish(entry.spool_tried, None)

    def _keep(self, what: Spooled) -> None:
        """Refused, but somebody went ahead: what was done must be somewhere."""
        try:
            self._journal.spool.write(what)
        except Exception as error:  # noqa: BLE001 (what the journal refuses may be no JSON; the thread must live)
            _log.error("what the journal refuses can't be kept: %s: %s", what, error)
        self._tidy()

    def _tidy(self) -> None:
        """Nothing is spooled any more: drop the file, or keep it aside if some of it was refused."""
        with self._lock:
            if any(entry.place is not _Place.QUEUED for entry in self._waiting):
                return
            refused, self._refused_kept = self._refused - self._refused_kept, self._refused
        try:
            if refused and self._journal.spool.path.exists():
                self._journal.spool.set_aside()
            self._journal.spool.remove()
        except OSError as error:  # the next opening drains it again, which changes nothing
            _log.warning("the spool can't be removed: %s", error)


def _wake() -> None:
    """A job that only makes the thread look up."""


def _finish(future: Future[None], error: Exception | None) -> None:
    with suppress(InvalidStateError):  # both threads and `close` may get there first
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)
