"""A small HTTP server on a free port whose answers a test writes byte by byte: well, badly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

NEVER = b""
"""An answer that never comes, while the connection stands."""


@dataclass
class Canned:
    """`answers`: path -> raw bytes of the whole HTTP answer; those of paths in `drips` are followed by a byte now and
    then, for ever. `seen` has (method, path, body, head) of each request."""

    url: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)
    drips: set[str] = field(default_factory=set)
    seen: list[tuple[str, str, bytes, str]] = field(default_factory=list)
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the end of the connection unless the answer is NEVER."""
        self._lines.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        method, path, _ = head.split(" ", 2)
        lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        self.seen.append((method, path, body, head))
        answer = self.answers.get(path, answered(404, b"nothing here"))
        if answer is NEVER:
            return
        writer.write(answer)
        with suppress(ConnectionError):
            await writer.drain()
            while path in self.drips:
                await asyncio.sleep(0.01)
                writer.write(b"#")
                await writer.drain()
        writer.close()

    async def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._lines:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def answered(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP answer with its length."""
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def canned() -> AsyncIterator[Canned]:
    """A server for as long as the block lasts."""
    told = Canned()
    server = await asyncio.start_server(told.talk, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield told
    finally:
        server.close()
        await told.hang_up()
        await server.wait_closed()
