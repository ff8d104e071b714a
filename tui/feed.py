"""What the cockpit needs of an engine, and the loop that follows a release: whole history, then live, and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from engine.client import Answer, Beat, EngineGone, EngineRefused, Said
from engine.events import Event

STALE_S = 3.0  # the engine beats every second
RETRY_S = (0.5, 1.0, 2.0, 5.0)
A_BREATH = 200  # events of a long history folded before the screen gets its turn


class EngineClient(Protocol):
    """The one way to talk to an engine."""

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
    ) -> Answer:
        """Give an order. Raises EngineGone, EngineRefused."""


class Link(StrEnum):
    """How things stand with the engine."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    STALE = "stale"
    GONE = "gone"


@dataclass(slots=True)
class Pulse:
    """When the engine last gave a sign, by this machine's clock, and how its clock differs."""

    now: Callable[[], float]
    last_beat: float | None = None
    ahead: float = 0.0
    lost: str = ""
    notices: tuple[str, ...] = ()

    def beat(self, beat: Beat) -> None:
        """The engine lives, and says what is wrong with itself."""
        self.last_beat = self.now()
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
    """Read events for ever, each to `take`; after a loss on from the last one seen. `beaten`: a beat or a loss."""
    last = 0
    failures = 0
    while True:
        try:
            async for heard in client.events(release, after=last):
                failures = 0
                if isinstance(heard, Beat):
                    pulse.beat(heard)
                    beaten()
                    continue
                if heard.seq <= last:
                    continue  # folded already
                last = heard.seq
                take(heard.event)
                if last % A_BREATH == 0:
                    await asyncio.sleep(0)
            pulse.lost = "the engine closed the connection"
        except (EngineGone, EngineRefused) as error:
            pulse.lost = str(error) or "no engine answers"
        beaten()
        await asyncio.sleep(_pause(RETRY_S, failures))
        failures += 1


def _pause(steps: Sequence[float], failures: int) -> float:
    return steps[min(failures, len(steps) - 1)]
