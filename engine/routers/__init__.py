"""What moves traffic: one file per kind of router, each with the class that the registry names.

`engine.contract.routers` has the tests that every router passes against its real server, and that a router in another
package can run too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from engine.finding import Finding
from engine.inputs import Observation


class RouterError(Exception):
    """The router could not be read or written; the message says what to do about it."""


class RouterConflict(RouterError):
    """Somebody changed the route since it was read: a raise is not written over that."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the weight. `number`, `release` and `engine` go onto the object where it can hold them.

    `generation` makes it compare-and-set: it fails with RouterConflict when the object has moved on. A way back has
    none: it is written over anything, and changes the number even from 0 to 0, so that a delayed raise can't land
    after it.
    """

    release: str
    number: str
    weight: int
    generation: str | None
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a release ended, for the router to let go of the target."""

    release: str
    outcome: Literal["promoted", "rolled_back", "cancelled"]
    canary_to_zero: bool = False


class Router(ABC):
    """Moves the traffic of one target between its stable and its canary side.

    `target` names the one thing whose traffic is moved, the same for every plan that would move it; what the kind can
    do is said by its configuration (`engine.routers.config.RouterConfig`). A class is built with that configuration;
    one that says `needs_weights` with the plan's weights after it, one that says `needs_surroundings` with the engine's
    (`engine.config.Surroundings`). Every method
    raises RouterError with words that say what to do, and is safe to call again. Limits of time are the caller's: a
    method that is cancelled leaves nothing half done that calling it again would not mend.
    """

    target: str
    foreign: bool = False  # the target may belong to anybody: it is only watched, and no owner is refused
    observe_limit_s: float = 5.0  # a reading that takes longer has failed
    shift_limit_s: float = 5.0  # a write that is not answered by then has failed
    effort_limit_s: float = 15.0  # another size, a step of a copy or a handover, letting go, a rehearsal
    observe_pause_s: float = 0.1  # between two readings while a weight is on its way

    @abstractmethod
    async def observe(self) -> Observation:
        """What is in effect now: read after the call began, never older. Raises RouterError, also for a target that
        another controller owns, with its name."""

    @abstractmethod
    async def shift(self, write: Write) -> str:
        """Write the weight; idempotent. Returns what was answered, which proves nothing.

        A weight of 0 is the way back: all traffic on the version that was stable at the start, wherever it runs; it
        waits for nothing and reads nothing first. Raises RouterConflict when a raise comes too late, RouterError.
        """

    @abstractmethod
    def manual_rollback(self, release: str) -> str:
        """The command that takes all traffic back to stable, for a person without laneshift."""

    @abstractmethod
    def rollback_script(self, release: str) -> str:
        """The POSIX sh that rolls back and verifies; it sets `ok=1` when stable has all traffic."""

    async def addresses(self) -> dict[str, str]:
        """Base URLs where `canary` and `stable` answer by themselves, and the `public` one; those that are known."""
        return {}

    async def claim(self, release: str, engine: str) -> None:
        """Mark the target as this release's before anything else, where the object can hold a mark.

        Raises RouterConflict when it carries the mark of a release of another engine, with what to do about it.
        """

    async def scale(self, weight: int) -> str:
        """Bring both sides to the size that this weight needs: the canary to its share, stable to all of the traffic,
        its autoscaler's minimum held there. Never makes stable smaller. Returns what was asked for, "" for nothing."""
        return ""

    async def finish(self, write: Write) -> str:
        """For `copy` and `handover`: begin it or carry it on; `Observation.finished` says when it is done."""
        raise RouterError(f"{self.target} can't finish in another way than by swapping its sides")

    async def let_go(self, ending: Ending) -> str:
        """The release is over and its old side is kept no longer: give back what was held (the mark, an autoscaler's
        minimum), and scale the canary to nothing where the ending says so. Returns what was done, "" for nothing."""
        return ""

    async def rehearse(self, write: Write) -> str:
        """Try the way back's write without effect, where the server can (a dry run); by default read the target.

        Returns what was tried. Raises RouterError when a roll back would not get through now.
        """
        await self.observe()
        return "the target can be read"

    async def examine(self) -> list[Finding]:
        """Everything this router will need in a release, tried without changing anything. Never raises."""
        try:
            seen = await self.observe()
        except RouterError as error:
            return [Finding("bad", "target", str(error))]
        return [Finding("ok", "target", f"{self.target}: {seen.weight:g}% on the canary")]

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections."""
