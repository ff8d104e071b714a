"""A router that only looks: for a release that something else drives."""

from __future__ import annotations

from dataclasses import replace

from engine.finding import Finding
from engine.inputs import Observation
from engine.routers import Router, RouterError, Write


class WatchedRouter(Router):
    """Reads through another router, whose target may belong to anybody, and writes nothing."""

    def __init__(self, inner: Router) -> None:
        inner.foreign = True
        self._inner = inner
        self.target = inner.target
        self.observe_limit_s = inner.observe_limit_s

    async def observe(self) -> Observation:
        """What the other shows, the weight in whole percent. Raises RouterError."""
        seen = await self._inner.observe()
        whole = _whole(seen.weight)
        if whole == seen.weight:
            return seen
        return replace(seen, weight=whole, share=seen.weight if seen.share is None else seen.share)

    async def shift(self, write: Write) -> str:
        """Never: raises RouterError."""
        raise RouterError(f"{self.target} is only watched: nothing is written, {write.weight}% neither")

    async def addresses(self) -> dict[str, str]:
        """As the other router's."""
        return await self._inner.addresses()

    def manual_rollback(self, release: str) -> str:
        """As the other router's."""
        return self._inner.manual_rollback(release)

    def rollback_script(self, release: str) -> str:
        """As the other router's: a person may run it."""
        return self._inner.rollback_script(release)

    async def examine(self) -> list[Finding]:
        """As the other router's."""
        return await self._inner.examine()

    async def close(self) -> None:
        """Let go of connections."""
        await self._inner.close()


def _whole(weight: float) -> float:
    """In whole percent; a little is never nothing, and nearly all is not all."""
    return float(weight if weight in (0, 100) else min(99, max(1, round(weight))))
