"""An engine for the cockpit's tests: says what it is told to say, and remembers the orders it got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.client import Answer, Beat, EngineGone, Here, Said
from engine.events import Event
from tui.hooks import Fault


@dataclass
class FakeEngine:
    """`history` is what it has said; `lose` breaks the stream until `gone` is emptied."""

    history: list[Event] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: Answer(accepted=True))
    gone: str = ""
    orders: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked_after: list[int] = field(default_factory=list)
    beats_at: float | None = None
    who: str = "ann"
    read_only: bool = False
    you: dict[str, str] = field(default_factory=lambda: {"who": "ann", "where": "pid 7"})
    here: tuple[Here, ...] = ()
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()
        self._live: asyncio.Queue[Said | Beat | EngineGone] = asyncio.Queue()

    async def events(self, release: str, after: int = 0) -> AsyncIterator[Said | Beat]:
        self.asked_after.append(after)
        if self.gone:
            raise EngineGone(self.gone)
        for seq, event in enumerate(self.history, start=1):
            if seq > after:
                yield Said(seq, event)
        if self.beats_at is not None:
            yield Beat(self.beats_at, here=self.here)
        while True:
            heard = await self._live.get()
            if isinstance(heard, EngineGone):
                raise heard
            yield heard

    async def order(self, release: str, verb: str, **said: Any) -> Answer:
        self.orders.append((verb, said))
        await self.answers.wait()
        if self.gone:
            raise EngineGone(self.gone)
        return self.answer

    def ask(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "/v1/engine")
        return {"you": self.you}

    def say(self, *events: Event) -> None:
        """More events, live."""
        for event in events:
            self.history.append(event)
            self._live.put_nowait(Said(len(self.history), event))

    def beat(self, at: float, *notices: str) -> None:
        self._live.put_nowait(Beat(at, notices, self.here))

    def lose(self, why: str) -> None:
        """The connection breaks and is refused from now on."""
        self.gone = why
        self._live.put_nowait(EngineGone(why))


@dataclass
class FakeDemo:
    """The hooks of a demo."""

    about: str = "a demo: lines and bakes of seconds"
    on: set[str] = field(default_factory=set)
    stopped: bool = False
    broken: str = ""

    async def faults(self) -> Mapping[str, Fault]:
        if self.broken:
            raise ConnectionError(self.broken)
        helps = {"errors": "5% of answers are 500", "latency": "three times as slow"}
        return {name: Fault(name in self.on, text) for name, text in helps.items()}

    async def set_fault(self, name: str, on: bool) -> None:
        self.on = self.on | {name} if on else self.on - {name}

    async def stop(self) -> None:
        if self.broken:
            raise ConnectionError(self.broken)
        self.stopped = True
