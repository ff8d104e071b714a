"""Where samples come from: one file per kind of source, each with the class that the registry names.

`engine.contract.sources` has the tests that every source passes, and that a source in another package can run too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from engine.finding import Finding
from engine.plan.selector import Subject
from engine.sources.reading import PART, Query, Reading


class Source(ABC):
    """Reads the raw counters of both sides. What goes wrong is said in the reading: it never raises."""

    @abstractmethod
    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All series of `queries` now, for these two sides."""

    async def past(
        self,
        queries: tuple[Query, ...],  # noqa: ARG002  for the sources that keep one
        *,
        stable: Subject,  # noqa: ARG002  the same
        seconds: float,  # noqa: ARG002  the same
        step: float,  # noqa: ARG002  the same
    ) -> list[Reading]:
        """Stable's series at each `step` of the last `seconds`, oldest first; [] when the source keeps no history."""
        return []

    async def examine(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> list[Finding]:
        """Everything this source will need in a release, tried without changing anything: reached, each query answered
        for stable (and for canary, which may show nothing yet). Never raises."""
        reading = await self.read(queries, canary=canary, stable=stable)
        if reading.problem:
            return [Finding("bad", "source", reading.problem)]
        return [_finding_of(query, reading) for query in queries]

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections."""


def _finding_of(query: Query, reading: Reading) -> Finding:
    name = query.metric.name
    doubt = reading.doubts.get(name, "")
    if doubt:
        return Finding("bad", f"metric {name}", doubt)
    # Of a part alone nothing can be said: without its total the metric has no data.
    sides = {side for (metric, side, role) in reading.values if metric == name and role != PART}
    if "stable" not in sides:
        return Finding("bad", f"metric {name}", "shows nothing of stable", "check the selector against what is served")
    said = "canary and stable" if "canary" in sides else "stable; nothing of the canary yet"
    return Finding("ok", f"metric {name}", f"answers for {said}")
