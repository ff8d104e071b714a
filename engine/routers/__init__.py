"""What moves traffic: one file per kind of router, each with the class that the registry names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.inputs import Observation


class RouterError(Exception):
    """The router could not be read or written; the message says what to do about it."""


class RouterConflict(RouterError):
    """Somebody changed the route since it was read: a raise is not written over that."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the weight. `number` goes onto the object where it can hold one.

    `generation` makes it compare-and-set: it fails with RouterConflict when the object has moved on. A way back has
    none: it is written over anything.
    """

    release: str
    number: str
    weight: int
    generation: str | None


class Router(Protocol):
    """Moves the traffic of one target between its stable and its canary side."""

    target: str

    async def observe(self) -> Observation:
        """What the router shows now. Raises RouterError."""

    async def shift(self, write: Write) -> str:
        """Write the weight; idempotent. Returns what was answered, which proves nothing. Raises RouterError."""

    async def addresses(self) -> dict[str, str]:
        """Base URLs where `canary` and `stable` answer by themselves, and the `public` one. Raises RouterError."""

    def manual_rollback(self, release: str) -> str:
        """The command that takes all traffic back to stable, for a person without laneshift."""

    def rollback_script(self, release: str) -> str:
        """The POSIX sh that rolls back and verifies; it sets `ok=1` when stable has all traffic."""

    async def close(self) -> None:
        """Let go of connections."""
