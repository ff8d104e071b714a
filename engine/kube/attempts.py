"""How often a request is sent: until its time is up, with pauses that grow and are never the same for two engines."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
ATTEMPT_SHARE: Final = 0.4
"""Of the whole, for one attempt: an API server behind a balancer may be dead where another one would answer."""


class Attempts:
    """The attempts of one request within `seconds`; `last` is what the last one met."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = ""
        self._ends = time.monotonic() + seconds
        self._pause = FIRST_PAUSE_S

    @property
    def left(self) -> float:
        """Seconds until the time is up; 0 or less when it is."""
        return self._ends - time.monotonic()

    @property
    def limit(self) -> float:
        """Seconds for the next attempt."""
        return max(0.001, min(self.left, max(1.0, self.seconds * ATTEMPT_SHARE)))

    async def pause(self, met: str, at_least: float = 0.0) -> None:
        """Wait before the next attempt, with jitter; never past the end, whatever the server asks for."""
        self.last = met
        wait = max(at_least, self._pause * random.uniform(0.5, 1.5))  # noqa: S311  jitter is no secret
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        await asyncio.sleep(max(0.0, min(wait, self.left)))
