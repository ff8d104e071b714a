"""How long an engine is sure to hold a release."""

from __future__ import annotations

import math
from typing import Protocol

RAISE_SHARE = 0.5  # of a whole lease: a write that may take longer is begun with that much left, and cut at the end


class Lease(Protocol):
    """An engine's hold on a release. `whole_s`: how long it lasts when it was just renewed."""

    whole_s: float

    def left_s(self) -> float:
        """Seconds for which no other engine can hold the release, by this process's own clock; 0 when it may."""


class Unlimited:
    """The hold of an engine that nobody else can share its journal with: the lock on its file."""

    whole_s = math.inf

    def left_s(self) -> float:
        """For ever."""
        return math.inf


UNLIMITED = Unlimited()


def limit_of_raise(lease: Lease, wanted_s: float) -> float:
    """Seconds that a write which takes the release forward may last, 0 when it may not begin: another engine could have
    taken the release before it ends."""
    left = lease.left_s()
    return min(wanted_s, left) if left > min(wanted_s, RAISE_SHARE * lease.whole_s) else 0.0
