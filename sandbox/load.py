"""What one instance's work looks like from outside: its rate of requests, its users, its database connections."""

from __future__ import annotations

import math
import random
from collections import OrderedDict

POOL_SIZE = 100
POOL_TYPICAL = 50
POOL_LEAKED = 95
_LEAK_PER_SECOND = (POOL_LEAKED - POOL_TYPICAL) / 14
_RECOVER_PER_SECOND = 3 * _LEAK_PER_SECOND


class RequestRate:
    """Requests per second, exponentially forgotten with a time constant of `memory` seconds."""

    def __init__(self, memory: float = 5.0) -> None:
        self._memory = memory
        self._recent = 0.0
        self._at = 0.0

    def count(self, now: float) -> None:
        self._recent = self._decayed(now) + 1
        self._at = now

    def per_second(self, now: float) -> float:
        return self._decayed(now) / self._memory

    def _decayed(self, now: float) -> float:
        return self._recent * math.exp((self._at - now) / self._memory)


class ActiveUsers:
    """How many users were seen in the last `window` seconds."""

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self._seen: OrderedDict[str, float] = OrderedDict()

    def see(self, email: str, now: float) -> None:
        self._seen[email] = now
        self._seen.move_to_end(email)
        self._forget(now)

    def number(self, now: float) -> int:
        self._forget(now)
        return len(self._seen)

    def _forget(self, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) < now - self._window:
            self._seen.popitem(last=False)


class DatabasePool:
    """An instance's connections: about half of them in use whatever the load, unless they leak.

    Load is left out on purpose: a slow canary must show as slow, not as a full pool as well.
    """

    def __init__(self, rng: random.Random, now: float) -> None:
        self._rng = rng
        self._at = now
        self._leaked = 0.0

    def advance(self, now: float, *, leaks: bool) -> None:
        """Lets time pass until `now`, leaking all the while or recovering all the while."""
        seconds, self._at = now - self._at, now
        change = _LEAK_PER_SECOND if leaks else -_RECOVER_PER_SECOND
        self._leaked = min(max(self._leaked + change * seconds, 0.0), POOL_LEAKED - POOL_TYPICAL)

    def in_use(self) -> int:
        """Connections in use: 44 to 56, and up to 95 after 14 s of leaking."""
        noise = min(max(self._rng.gauss(0, 2), -6), 6)
        return min(round(POOL_TYPICAL + self._leaked + noise), POOL_LEAKED)
