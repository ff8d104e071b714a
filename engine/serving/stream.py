"""The events of a release as a stream of server-sent events: what was, what comes, and a beat each second."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence

from starlette.responses import StreamingResponse
from starlette.types import Send

from engine import events as ev
from engine.controller import Said
from engine.host import Host

log = logging.getLogger(__name__)

BEAT_S = 1.0
BACKLOG = 1000  # batches a client may lag behind before its stream is cut; it comes back and catches up
STUCK_S = 10.0  # a client that takes nothing for that long is cut as well


class EventStream(StreamingResponse):
    """A stream that is cut when its client takes nothing any more: what waits for it would wait for ever."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """Send the start, each part as it comes, and the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            text = chunk if isinstance(chunk, str) else bytes(chunk).decode()
            try:
                async with asyncio.timeout(STUCK_S):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            except TimeoutError:
                log.warning("a client that reads no events is cut")
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def stream(host: Host, release: str, after: int, stopping: asyncio.Event) -> AsyncIterator[str]:
    """History after `after`, then what comes; ends when the client lags too far behind or the engine stops."""
    news: asyncio.Queue[Sequence[Said]] = asyncio.Queue(BACKLOG)
    lagging = asyncio.Event()

    def hear(said: Sequence[Said]) -> None:
        try:
            news.put_nowait(said)
        except asyncio.QueueFull:
            lagging.set()

    unlisten = host.listen(release, hear)
    try:
        for said in await host.history(release, after):
            yield _message(said)
            after = said.seq
        while not lagging.is_set() and not stopping.is_set():
            yield _beat(host)
            async for said in _soon(news, stopping):
                if said.seq > after:
                    yield _message(said)
                    after = said.seq
    finally:
        unlisten()


async def _soon(news: asyncio.Queue[Sequence[Said]], stopping: asyncio.Event) -> AsyncIterator[Said]:
    """What is said until the next beat is due or the engine stops."""
    loop = asyncio.get_running_loop()
    due = loop.time() + BEAT_S
    stop = asyncio.create_task(stopping.wait())
    try:
        while (left := due - loop.time()) > 0 and not stop.done():
            batch = asyncio.create_task(news.get())
            await asyncio.wait([batch, stop], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not batch.cancel():
                for said in batch.result():
                    yield said
    finally:
        stop.cancel()


def _message(said: Said) -> str:
    kind, at, data = ev.to_data(said.event)
    return f"id: {said.seq}\nevent: {kind}\ndata: {json.dumps({'at': at, **data})}\n\n"


def _beat(host: Host) -> str:
    return f"event: beat\ndata: {json.dumps({'at': host.now(), 'notices': host.notices})}\n\n"
