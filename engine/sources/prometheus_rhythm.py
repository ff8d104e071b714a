"""When each instance was scraped, so that no news is told from no requests. Pure: no I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from engine.sources.prometheus_series import ROUNDING, Read

ENOUGH = 2  # distances between scrapes that make a rhythm
FORGET_S = 3600.0  # an instance that was not seen for so long is a new one


@dataclass(slots=True)
class _Rhythm:
    """The scrape that was read last, how many were read before it, and the shortest time between two, in seconds."""

    last: float
    before: int = 0
    shortest: float = math.inf


class Rhythms:
    """Remembers the scrapes of every instance by its address; `interval` is the seconds between two looks."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._known: dict[str, _Rhythm] = {}

    def news(self, scraped: Mapping[str, float]) -> dict[str, float]:
        """Those instances that were scraped since they were read last. From then on they count as read."""
        new = {}
        for address, at in scraped.items():
            known = self._known.get(address)
            if known is None:
                self._known[address] = _Rhythm(at)
            elif at > known.last:
                known.shortest = min(known.shortest, at - known.last)
                known.before += 1
                known.last = at
            else:
                continue
            new[address] = at
        return new

    def strange(self, addresses: Iterable[str]) -> set[str]:
        """Those that were never read before; none at the first reading, with which nothing is compared."""
        return {address for address in addresses if address not in self._known} if self._known else set()

    def quiet(self, now: float) -> dict[str, float]:
        """Address -> its last scrape, of those that should have had another one since."""
        latest = now - (1 + ROUNDING) * self._interval
        return {address: one.last for address, one in self._known.items() if one.last < latest}

    def listen(self, series: Iterable[Read]) -> None:
        """Learn from the samples themselves how far apart the scrapes of an instance are."""
        for one in series:
            known = self._known.get(one.address)
            if known is not None:
                apart = (later - earlier for (earlier, _), (later, _) in pairwise(one.points))
                known.shortest = min(known.shortest, *apart, math.inf)

    def too_slow(self, address: str) -> float | None:
        """Seconds between two scrapes of an instance that is scraped more rarely than it is looked at, else None.

        Most looks would find nothing new of it, and a canary without news is soon taken for one that is gone. One
        scrape that failed makes no rhythm: the shortest of two distances or more counts.
        """
        known = self._known.get(address)
        if known is None or known.before < ENOUGH or known.shortest <= (1 + ROUNDING) * self._interval:
            return None
        return known.shortest

    def forget(self, now: float) -> list[str]:
        """Let go of instances that are long gone; returns which."""
        gone = [address for address, one in self._known.items() if one.last <= now - FORGET_S]
        for address in gone:
            del self._known[address]
        return gone
