"""What the cockpit needs of an engine, and the loop that follows a release: whole history, then live, and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from engine.client import Answer, Beat, EngineGone, EngineRefused, Here, Said
from engine.events import Event
from tui.people import You

STALE_S = 3.0  # the engine beats every second
RETRY_S = (0.5, 1.0, 2.0, 5.0)
A_BREATH = 200  # events of a long history folded before the screen gets its turn


class EngineClient(Protocol):
    """The one way to talk to an engine. `who` is how this person is called on this machine."""

    who: str
    read_only: bool

    def events(self, release: str, after: int = 0) -> AsyncIterator[Said | Beat]:
        """Everything after `after`, then live; ends or raises EngineGone when the connection is lost."""

    async def order(
        self,
        release: str,
        verb: str,
        *,
        reason: str = "",
        item: str = "",
        stage: int | None = None,
        revision: str | None = None,
        override: bool = False,
        asked_at: float | None = None,
        break_glass: bool | None = None,
    ) -> Answer:
        """Give an order. Raises EngineGone, EngineRefused."""

    def ask(self, method: str, path: str) -> Any:
        """One request, one JSON answer, which it waits for. Raises EngineGone, EngineRefused."""


class Link(StrEnum):
    """How things stand with the engine."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    STALE = "stale"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing was heard of the engine between these two times of its own; `missed` events came late, and none twice."""

    since: float
    until: float
    missed: int


@dataclass(slots=True)
class Pulse:
    """When the engine last gave a sign, by this machine's clock, and how its clock differs.

    `heard` is the number of the last event, so that whoever follows anew goes on there. `here` are all who are
    attached, `you` this cockpit among them. `gap` is the last stretch without a word, once it is over.
    """

    now: Callable[[], float]
    last_beat: float | None = None
    ahead: float = 0.0
    lost: str = ""
    notices: tuple[str, ...] = ()
    here: tuple[Here, ...] = ()
    you: You = field(default_factory=lambda: You(""))
    heard: int = 0
    gap: Gap | None = None
    _heard_at_beat: int = 0

    def beat(self, beat: Beat) -> None:
        """The engine lives, and says what is wrong with itself."""
        if self.last_beat is not None and (self.lost or self.silent_s() >= STALE_S):
            self.gap = Gap(self.last_beat + self.ahead, beat.at, self.heard - self._heard_at_beat)
        self._heard_at_beat = self.heard
        self.last_beat = self.now()
        self.here = beat.here
        self.ahead = beat.at - self.last_beat
        self.notices = beat.notices
        self.lost = ""

    def engine_time(self) -> float:
        """Now, by the engine's clock as far as it is known."""
        return self.now() + self.ahead

    def silent_s(self) -> float:
        """Seconds without a beat; 0 before the first."""
        return 0.0 if self.last_beat is None else max(0.0, self.now() - self.last_beat)

    def link(self) -> Link:
        silent = self.last_beat is None or self.silent_s() >= STALE_S
        if self.lost and silent:
            return Link.GONE
        if self.last_beat is None:
            return Link.CONNECTING
        return Link.STALE if silent else Link.CONNECTED


async def follow(
    client: EngineClient, release: str, pulse: Pulse, take: Callable[[Event], None], beaten: Callable[[], None]
) -> None:
    """Read events for ever, each to `take` once; after a loss on from the last one seen, which `pulse` remembers.
    `beaten`: a beat or a loss."""
    failures = 0
    while True:
        try:
            async for heard in client.events(release, after=pulse.heard):
                failures = 0
                if isinstance(heard, Beat):
                    pulse.beat(heard)
                    beaten()
                    continue
                if heard.seq <= pulse.heard:
                    continue  # folded already
                pulse.heard = heard.seq
                take(heard.event)
                if pulse.heard % A_BREATH == 0:
                    await asyncio.sleep(0)
            pulse.lost = "the engine closed the connection"
        except (EngineGone, EngineRefused) as error:
            pulse.lost = str(error) or "no engine answers"
        beaten()
        await asyncio.sleep(_pause(RETRY_S, failures))
        failures += 1


def _pause(steps: Sequence[float], failures: int) -> float:
    return steps[min(failures, len(steps) - 1)]
