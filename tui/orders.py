"""What became of the orders given here: asked, accepted, in effect. Success is never shown before its event. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine import events as ev
from engine.events import Event


class Progress(IntEnum):
    ASKED = 0
    ACCEPTED = 1
    IN_EFFECT = 2
    REFUSED = 3
    LOST = 4


# The event that says that an order is in effect.
EFFECTS: dict[str, tuple[type[Event], ...]] = {
    "advance": (ev.ShiftConfirmed, ev.FinishStarted),
    "approve": (ev.Approved,),
    "pause": (ev.Paused,),
    "resume": (ev.Resumed, ev.QuestionAnswered),
    "rollback": (ev.RolledBack,),
    "retry": (ev.ChecksStarted, ev.ShiftIntended),
    "cancel": (ev.Cancelled,),
    "tick": (ev.ItemTicked,),
    "untick": (ev.ItemUnticked,),
    "waive": (ev.ItemWaived,),
    "note": (ev.Noted,),
}


@dataclass(slots=True)
class GivenOrder:
    """One order: `name` as people read it, `why` of a refusal or a loss, `by_hand` a command that does it.

    `who` gives it, where an event of the same kind may be another person's; `way_out` is what helps after a refusal;
    `done_at` is when it came into effect, in seconds since the epoch by the engine's clock.
    """

    verb: str
    name: str
    asked_at: float
    item: str = ""
    progress: Progress = Progress.ASKED
    why: str = ""
    by_hand: str = ""
    who: str = ""
    way_out: str = ""
    done_at: float | None = None

    def answered(self, *, accepted: bool, why: str) -> None:
        """The engine's answer. Its events may have come first: then nothing is taken back."""
        self.why = ""
        if not accepted:
            self.progress, self.why = Progress.REFUSED, why
        elif self.progress is Progress.ASKED:
            self.progress = Progress.ACCEPTED

    def lost(self, why: str) -> None:
        """No answer came: nobody knows whether it counts."""
        if self.progress is Progress.ASKED:
            self.progress, self.why = Progress.LOST, why

    def saw(self, event: Event) -> None:
        """An event that may be this order's effect."""
        if self.progress > Progress.ACCEPTED or not isinstance(event, EFFECTS[self.verb]):
            return
        if self.who and getattr(event, "who", self.who) != self.who:
            return
        if not self.item or getattr(event, "item", self.item) == self.item:
            self.progress, self.done_at = Progress.IN_EFFECT, event.at

    def words(self, at: float) -> tuple[str, str]:
        """A sentence for the message line, and its role."""
        waited = at - self.asked_at
        if self.progress is Progress.ASKED and self.why:
            return f"{self.name}: {self.why}", "warn"
        if self.progress is Progress.ASKED:
            since = f" {waited:.0f} s ago, no answer yet" if waited >= 1 else ""
            return f"{self.name}: asked{since}", "warn" if since else ""
        if self.progress is Progress.ACCEPTED:
            return f"{self.name}: accepted, not yet in effect", ""
        if self.progress is Progress.IN_EFFECT:
            return f"{self.name}: in effect", "good"
        if self.progress is Progress.REFUSED:
            way_out = f" ({self.way_out})" if self.way_out else ""
            return f"{self.name} refused{way_out}: {self.why}", "warn"
        by_hand = f"; by hand: {self.by_hand}" if self.by_hand else ", it may or may not count"
        return f"{self.name}: no answer{by_hand} ({self.why})", "bad"
