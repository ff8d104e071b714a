"""Where samples come from: one file per kind of source, each with the class that the registry names."""

from __future__ import annotations

from typing import Protocol

from engine.sources.reading import Query, Reading


class Source(Protocol):
    """Reads the raw counters of both sides. What goes wrong is said in the reading: it never raises."""

    async def read(self, queries: tuple[Query, ...], *, canary: str, stable: str) -> Reading:
        """All series of `queries` now, for these two versions (empty while unknown)."""

    async def past(self, queries: tuple[Query, ...], *, stable: str, seconds: float, step: float) -> list[Reading]:
        """Stable's series at each `step` of the last `seconds`, oldest first; [] when the source keeps no history."""

    async def close(self) -> None:
        """Let go of connections."""
