"""Tells an address again and again that the engine lives. Who hears nothing any more raises the alarm: an engine that
is gone can't."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import httpx

log = logging.getLogger(__name__)

LIMIT_S: Final = 10.0
AGAIN_S: Final = 5.0  # after a call that failed, or an engine that was not ready


class DeadMan:
    """Calls `url` by GET every `every_s` seconds while `ready` says yes; it never ends the engine.

    The path of such an address is a secret: only its host is ever said.
    """

    def __init__(
        self, url: str, every_s: float, ready: Callable[[], tuple[bool, str]], say: Callable[[str], None]
    ) -> None:
        """`say` hears why the address heard nothing last, and "" when it did."""
        self._url = url
        self._every_s = every_s
        self._ready = ready
        self._say = say

    async def run(self) -> None:
        """Until it is cancelled."""
        async with httpx.AsyncClient(timeout=LIMIT_S, follow_redirects=True, trust_env=True) as client:
            said = ""
            while True:
                failed = await self._call(client)
                if failed and failed != said:
                    log.warning("%s", failed)
                said = failed
                self._say(failed)
                await asyncio.sleep(min(AGAIN_S, self._every_s) if failed else self._every_s)

    async def _call(self, client: httpx.AsyncClient) -> str:
        """Call once; why it could not be, or must not be."""
        whom = f"the dead man's switch at {urlsplit(self._url).hostname}"
        is_ready, why = self._ready()
        if not is_ready:
            return f"{whom} is not called: {why}"
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await client.get(self._url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return f"{whom} can't be called: {type(error).__name__}"
        return "" if answer.is_success else f"{whom} answered {answer.status_code}"
