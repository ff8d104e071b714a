"""A route for a release to live with: people touch it, and writes come late, twice, never, or without an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.events import FinishIntended, ShiftIntended
from engine.inputs import Observation

RELEASE = "shop-1"


@dataclass(frozen=True)
class Write:
    """A write under way. `generation` is what it is compare-and-set on; None is written over anything. `finish`: not of
    the weight, but a step of a copy or a handover."""

    number: str
    weight: int
    generation: str | None
    finish: bool = False


def write_of(intent: ShiftIntended) -> Write:
    """How an engine carries an intent out: only stable's weight is written over anything."""
    return Write(intent.number, intent.weight, intent.generation if intent.weight else None)


def step_of(intent: FinishIntended, generation: str) -> Write:
    """How an engine carries out a step of a copy or a handover, at the generation that it has read."""
    return Write(intent.number, 100, generation, finish=True)


STEPS = 2  # that complete a copy


@dataclass
class World:
    """The route, the writes that the living engine waits for, and the ghosts: writes that nobody waits for any more and
    that may land at any time."""

    weight: float = 0.0
    generation: int = 1
    mark: str = ""
    by: str = ""
    marked_release: str = ""
    canary: str = "v2"
    stable: str = "v1"
    canary_ready: int = 2
    stable_ready: int = 2
    full: int | None = None
    pending: str = ""
    copied: int = 0
    in_flight: list[Write] = field(default_factory=list)
    ghosts: list[Write] = field(default_factory=list)

    def shown(self) -> Observation:
        return Observation(
            weight=self.weight,
            canary=self.canary,
            stable=self.stable,
            canary_ready=self.canary_ready,
            stable_ready=self.stable_ready,
            generation=str(self.generation),
            mark=self.mark,
            by=self.by,
            marked_release=self.marked_release,
            full=self.full,
            pending=self.pending,
            finished=self.copied >= STEPS,
        )

    def land(self, write: Write) -> bool:
        """The write reaches the route; False when the route has moved on since it was read."""
        if write.generation not in (None, str(self.generation)):
            return False
        if write.finish:
            self.copied += 1
            self._set(self.weight, write.number, "laneshift")
            return True
        self.copied = 0 if write.weight == 0 else self.copied  # the way back restores stable's old version
        self._set(write.weight, write.number, "laneshift")
        return True

    def scale(self, weight: int) -> None:
        """Both sides come to the size that this weight needs; stable never gets smaller."""
        if self.full is not None:
            self.canary_ready = max(self.canary_ready, -(-self.full * weight // 100))
            self.stable_ready = max(self.stable_ready, self.full)

    def by_hand(self, weight: float) -> None:
        """Somebody sets the weight past laneshift, and leaves no mark of a release."""
        self._set(weight, "", "kubectl", release="")

    def by_script(self) -> None:
        """Somebody runs rollback.sh."""
        self._set(0.0, "rollback.sh", "rollback.sh")

    def engine_dies(self) -> None:
        self.ghosts += self.in_flight
        self.in_flight = []

    def _set(self, weight: float, mark: str, by: str, release: str = RELEASE) -> None:
        self.weight, self.mark, self.by, self.marked_release = float(weight), mark, by, release
        self.generation += 1
