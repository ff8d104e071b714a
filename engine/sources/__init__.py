"""Where samples come from: one file per kind of source, each with the class that the registry names."""

from __future__ import annotations

from typing import Protocol

from engine.sources.reading import Query, Reading


class Source(Protocol):
    """Reads the raw counters of both sides. What goes wrong is said in the reading: it never raises."""

    async def read(self, queries: tuple[Query, ...], *, canary: str, stable: str) -> Reading:
        """All series of `queries` now, for these two versions (empty while unknown)."""

    async def close(self) -> None:
        """Let go of connections."""
