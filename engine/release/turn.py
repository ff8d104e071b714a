"""One decision under way: every event is folded as soon as it is said."""

from __future__ import annotations

from typing import Literal

from engine import events as ev
from engine.capacity import short_of
from engine.checklist import proofs
from engine.events import CheckList, Event
from engine.state import Effort, State, apply, check_key

REWRITE_S = 2.0  # what was written without effect is not written again sooner
QUICK_S, SLOW_S = 1.0, 5.0  # between two attempts to roll back, in the first half minute and later
HASTE_S = 30.0
AGAIN_S = 5.0  # a size, a copy or a handover that is not there yet is asked for again
PATIENT_S = 30.0  # and one that was taken up, but isn't there


class Turn:
    """What one input leads to. `state` is the release after all that was said so far, `events` what was said."""

    def __init__(self, state: State, at: float) -> None:
        self.state = state
        self.at = at
        self.events: list[Event] = []

    def say(self, event: Event) -> None:
        before = self.state
        self.events.append(event)
        self.state = apply(before, event)
        for proof in proofs(before, event, self.state):
            self.say(proof)

    def intend(self, weight: int) -> None:
        state = self.state
        number = f"{state.epoch}.{state.intents + 1}"
        self.say(
            ev.ShiftIntended(at=self.at, number=number, weight=weight, base=state.observed, generation=state.generation)
        )

    def go_to(self, weight: int) -> None:
        """Write `weight`; a raise only once both sides carry it."""
        state = self.state
        short = short_of(state, weight) if weight > (state.observed or 0) else ""
        if short or (state.rules.scale == "proportional" and state.full is not None):
            self.await_capacity(weight)
        if not short:
            self.intend(weight)

    def await_capacity(self, weight: int) -> None:
        scale = self.state.rules.scale == "proportional"
        self.say(ev.CapacityAwaited(at=self.at, weight=weight, scale=scale))

    def ask(self, listed: CheckList, *names: str) -> None:
        attempts = self.state.attempts
        attempt = 1 + max(attempts.get(check_key(listed, name), 0) for name in names)
        self.say(ev.ChecksStarted(at=self.at, list=listed, names=names, attempt=attempt))

    def would(self, act: Literal["advance", "rollback"], reason: str, metric: str = "") -> None:
        """In a watched release: what laneshift would do now, said once a stage."""
        state = self.state
        if (act, metric, state.stage) not in {(would.act, would.metric, would.stage) for would in state.would}:
            self.say(ev.WouldHave(at=self.at, act=act, reason=reason, metric=metric))

    def hold(self, cause: str, reason: str) -> None:
        if self.state.holds.get(cause) != reason:
            self.say(ev.Held(at=self.at, cause=cause, reason=reason))

    def void_approvals(self, reason: str) -> None:
        if self.state.approvals:
            self.say(ev.ApprovalsVoided(at=self.at, reason=reason))

    def release(self, *causes: str) -> None:
        for cause in causes:
            if cause in self.state.holds:
                self.say(ev.HoldReleased(at=self.at, cause=cause))

    def roll_back(self, who: str, reason: str, metric: str = "", asked_at: float | None = None) -> None:
        started = asked_at if asked_at is not None else self.at
        self.say(ev.RollbackStarted(at=self.at, asked_at=started, who=who, reason=reason, metric=metric))
        if self.state.rules.scale == "proportional":
            self.await_capacity(0)

    def due_again(self, effort: Effort) -> bool:
        """It was answered a while ago; sooner when the answer was no."""
        wait = PATIENT_S if effort.ok else AGAIN_S
        return effort.answered_at is not None and self.at - effort.answered_at >= wait
