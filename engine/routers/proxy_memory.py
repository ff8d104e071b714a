"""What a router remembers of proxies that can forget: which weight is to be put back after a restart or a reload.

A proxy that is started anew has the weights of its configuration again, and no mark. That is no person's hand. A lower
weight is always put back. A higher one only while it is certain that it is still wanted: this engine wrote it for this
release and no way back was asked since, it was seen in place less than 30 s ago, and the configuration's own weights
are the same as before. Else it stays as it is, and a weight of 0 is taken for a roll back, as it is everywhere.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.routers import Write
from engine.routers.proxy_mark import OWNER, Mark

CERTAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What one proxy shows; weights in percent on the canary.

    share:      the true share, where it is another than the weight
    process:    another one after a restart or a reload
    configured: the weight that it starts with; `initial`: it has the weights that it started with
    detail:     the weights as they are, for the generation
    """

    weight: float
    mark: Mark
    process: str
    configured: float
    initial: bool
    canary_ready: int
    stable_ready: int
    detail: str
    share: float | None = None
    pending: str = ""
    remark: str = ""

    @property
    def generation(self) -> str:
        """Changes with every weight and every mark."""
        return hashlib.sha256(f"{self.detail} {self.mark}".encode()).hexdigest()[:8]

    @property
    def by_hand(self) -> bool:
        """The weight is not the one that was written with the mark."""
        return bool(self.mark) and self.mark.weight != self.weight


@dataclass(frozen=True, slots=True)
class _Kept:
    """`at` on the monotonic clock; `ours`: its weight was written by this engine for this release, and in place."""

    shown: Shown
    at: float
    ours: bool


class Memory:
    """What was last shown by each proxy, by name, and what was asked last."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.forget()

    def forget(self, release: str = "", engine: str = "") -> None:
        """Know nothing any more, but whose release it is from now on."""
        self._release, self._engine = release, engine
        self._kept: dict[str, _Kept] = {}
        self.asked: Write | None = None

    def ask(self, write: Write) -> None:
        """This is what is wanted from now on."""
        self._release, self._engine, self.asked = write.release, write.engine, write

    def keep(self, name: str, shown: Shown) -> None:
        """This is what it shows now; what is still to be put back stays remembered."""
        if self.lost(name, shown) is not None:
            return
        mine = (shown.mark.by, shown.mark.release, shown.mark.engine) == (OWNER, self._release, self._engine)
        self._kept[name] = _Kept(shown, self._now(), mine and not shown.by_hand)

    def last(self, name: str) -> Shown | None:
        """What it last showed."""
        kept = self._kept.get(name)
        return kept.shown if kept else None

    def lost(self, name: str, shown: Shown) -> Mark | None:
        """The mark, with its weight, that a proxy had before it was started anew, if that is to be put back."""
        kept = self._kept.get(name)
        if kept is None or shown.mark or shown.process == kept.shown.process:
            return None
        wanted = self._wanted(kept)
        if wanted is None or wanted.weight == shown.weight:
            return wanted  # a state file kept the weights: only the mark is missing
        certain = self._now() - kept.at <= CERTAIN_S and kept.shown.configured == shown.configured
        return wanted if shown.initial and (wanted.weight < shown.weight or certain) else None

    def _wanted(self, kept: _Kept) -> Mark | None:
        asked = self.asked
        if asked is not None and asked.weight == 0:
            return Mark(OWNER, asked.release, asked.number, asked.engine, 0.0)
        return kept.shown.mark if kept.ours else None
