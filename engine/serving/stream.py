"""The events of a release as a stream of server-sent events: what was, what comes, and a beat each second.

Each stream has a bounded inbox of its own, so that a client that stops reading keeps nobody waiting. It is a beat that
says who is attached; one is sent at once when that changes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Send

from engine import events as ev
from engine.controller import Said
from engine.host import Host
from engine.presence import Here, Presence
from engine.view import attached

log = logging.getLogger(__name__)

BEAT_S = 1.0
BACKLOG = 1000  # batches a client may lag behind before its stream is cut; it comes back and catches up
STUCK_S = 10.0  # a client that takes nothing for that long is cut as well


class EventStream(StreamingResponse):
    """A stream that is cut when its client takes nothing any more: what waits for it would wait for ever."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[str, None]) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store"})
        self._content = content

    async def stream_response(self, send: Send) -> None:
        """Send the start, each part as it comes, and the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._content) as parts:  # whoever hangs up is not here any more, at once
            async for text in parts:
                try:
                    async with asyncio.timeout(STUCK_S):
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                except TimeoutError:
                    log.warning("a client that reads no events is cut")
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Inbox:
    """What one client has not been sent yet; `lagging` once that is too much."""

    def __init__(self) -> None:
        self._batches: deque[Sequence[Said]] = deque()
        self._news = asyncio.Event()
        self.lagging = False
        self.others_changed = False

    def hear(self, said: Sequence[Said]) -> None:
        """Something was recorded."""
        if len(self._batches) >= BACKLOG:
            self.lagging = True
        else:
            self._batches.append(said)
        self._news.set()

    def others(self) -> None:
        """Somebody came, left, or drives now."""
        self.others_changed = True
        self._news.set()

    def wake(self, _cause: Any) -> None:
        """Look up: there may be nothing more."""
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something, or that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    def take(self) -> Iterator[Said]:
        """All that is there."""
        while self._batches:
            yield from self._batches.popleft()


class Streams:
    """The streams of one engine; they end when `stopping` is set."""

    def __init__(
        self, host: Host, presence: Presence, stopping: asyncio.Event, notices: Callable[[], list[str]]
    ) -> None:
        self._host = host
        self._presence = presence
        self._stopping = stopping
        self._notices = notices

    async def of(self, release: str, after: int, arrived: Here) -> AsyncGenerator[str, None]:
        """History after `after`, then what comes; ends when the client lags too far behind or the engine stops."""
        inbox = _Inbox()
        unlisten = self._host.listen(release, inbox.hear)
        await self._know_driver(release)
        leave = self._presence.attach(release, arrived, inbox.others)
        stop = asyncio.create_task(self._stopping.wait())
        stop.add_done_callback(inbox.wake)
        try:
            for said in await self._host.history(release, after):
                yield self._message(release, said)
                after = said.seq
            async for text in self._live(release, after, inbox):
                yield text
        finally:
            stop.cancel()
            leave()
            unlisten()

    async def _live(self, release: str, after: int, inbox: _Inbox) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        while not inbox.lagging and not self._stopping.is_set():
            inbox.others_changed = False
            yield self._beat(release)
            due = loop.time() + BEAT_S
            while not (inbox.others_changed or self._stopping.is_set()) and (left := due - loop.time()) > 0:
                await inbox.wait(left)
                for said in inbox.take():
                    if said.seq > after:
                        yield self._message(release, said)
                        after = said.seq

    async def _know_driver(self, release: str) -> None:
        """From the record, for the first who comes: later orders are seen as they pass."""
        if not self._presence.knows(release):
            for said in await self._host.history(release, 0):
                self._see(release, said)

    def _see(self, release: str, said: Said) -> None:
        if isinstance(said.event, ev.OrderAccepted):
            self._presence.ordered(release, said.seq, said.event.who, said.event.where)

    def _message(self, release: str, said: Said) -> str:
        self._see(release, said)
        kind, at, data = ev.to_data(said.event)
        return f"id: {said.seq}\nevent: {kind}\ndata: {json.dumps({'at': at, **data})}\n\n"

    def _beat(self, release: str) -> str:
        here = attached(self._presence.here(release))
        return (
            f"event: beat\ndata: {json.dumps({'at': self._host.now(), 'notices': self._notices(), 'here': here})}\n\n"
        )
