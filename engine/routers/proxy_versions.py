"""Which version a side's servers answer, asked past the proxy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx

from engine.checks.http import MARK
from engine.routers.proxy_config import ProxySide

LIMIT_S = 1.0
EVERY_S = 1.0
WORTH_S = 5.0
"""A version that was answered longer ago is not known any more."""


class AnsweredVersions:
    """Each side's version. A server that hangs must not hold up the reading of weights: versions are read beside it,
    once a second at most, and the last answer counts for 5 s."""

    def __init__(
        self,
        sides: Mapping[str, ProxySide],
        path: str,
        header: str,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sides, self._path, self._header, self._now = sides, f"/{path.lstrip('/')}", header, now
        self._http = httpx.AsyncClient(timeout=LIMIT_S, trust_env=False, headers=MARK)
        self._answered: dict[str, tuple[float, str]] = {}
        self._asked_at = -EVERY_S
        self._asking: asyncio.Task[None] | None = None

    async def read(self) -> dict[str, str]:
        """By side; empty for one whose servers do not answer. Several versions on one side are all named."""
        now = self._now()
        if now - self._asked_at >= EVERY_S and (self._asking is None or self._asking.done()):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask_all())
        if self._asking is not None and not self._answered:
            await asyncio.shield(self._asking)
        return {side: self._known(side, part) for side, part in self._sides.items()}

    def addresses(self) -> dict[str, str]:
        """The first base URL of each side that has one."""
        return {side: part.urls[0] for side, part in self._sides.items() if part.urls}

    async def close(self) -> None:
        """Let go of connections."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._http.aclose()

    def _known(self, side: str, part: ProxySide) -> str:
        if part.version:
            return part.version
        at, version = self._answered.get(side, (0.0, ""))
        return version if self._now() - at <= WORTH_S else ""

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask(side, part) for side, part in self._sides.items() if not part.version))

    async def _ask(self, side: str, part: ProxySide) -> None:
        begun = self._now()
        answers = await asyncio.gather(*(self._version(url) for url in part.urls))
        found = sorted({answer for answer in answers if answer})
        if found or side not in self._answered:
            self._answered[side] = (begun, ", ".join(found))

    async def _version(self, url: str) -> str:
        try:
            async with (
                asyncio.timeout(LIMIT_S),
                self._http.stream("GET", url.rstrip("/") + self._path) as answer,
            ):
                return str(answer.headers.get(self._header, ""))
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
            return ""
