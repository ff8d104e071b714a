"""One question and its whole answer over a connection of its own, to a unix socket or over TCP.

Both proxies are written to in this way: a new connection reaches the process that serves now, also after a reload, and
takes a quarter of the time that an HTTP library needs; a way back is on the road then.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.routers import RouterError

LONGEST: Final = 4 * 1024 * 1024  # bytes of an answer


async def talk(name: str, address: str, question: bytes, limit_s: float) -> bytes:
    """What is answered until the other side hangs up. `address` is an absolute path, or host:port.

    Raises RouterError, which begins with `name`.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _answer(address, question)
    except TimeoutError:
        raise RouterError(f"{name} did not answer within {limit_s:g} s") from None
    except OSError as error:
        raise RouterError(f"{name}: {error.strerror or error}") from None


async def _answer(address: str, question: bytes) -> bytes:
    if address.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(question)
        said = bytearray()
        while part := await reader.read(65536):
            said += part
            if len(said) > LONGEST:
                break
        return bytes(said)
    finally:
        writer.close()
