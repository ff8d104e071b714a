"""The mark that laneshift leaves in a proxy's own memory beside the weights: who wrote them, and what they were.

Both HAProxy (a process variable) and Envoy (a runtime key) keep such a text until they are started anew. So a way back
changes the proxy even from 0 to 0, a weight that somebody set by hand is told from a written one, and a proxy that lost
its weights is known by the lost mark. None of them has a compare-and-set: see `engine.routers.proxies`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

OWNER = "laneshift"


@dataclass(frozen=True, slots=True)
class Mark:
    """`number` is that of the intent, empty for a claim; `weight` the canary's as it was written, in percent."""

    by: str = ""
    release: str = ""
    number: str = ""
    engine: str = ""
    weight: float = 0.0

    def __bool__(self) -> bool:
        """Is there a mark?"""
        return bool(self.by)

    def __str__(self) -> str:
        """One word of letters, digits and `_.-~%/`; the empty text for no mark."""
        if not self:
            return ""
        return "/".join(quote(part, safe="") for part in (self.by, self.release, self.number, self.engine)) + (
            f"/{self.weight:g}"
        )

    @classmethod
    def read(cls, text: str) -> Mark:
        """The inverse of `str`; a text of somebody else's is no mark."""
        parts = text.split("/")
        try:
            by, release, number, engine = (unquote(part) for part in parts[:4])
            return cls(by, release, number, engine, float(parts[4]))
        except (ValueError, IndexError):
            return NO_MARK


NO_MARK = Mark()
