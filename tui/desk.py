"""Where orders are given and their fate is kept, and the one line that tells the person at the keys. No Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.client import EngineGone, EngineRefused
from engine.events import Event
from engine.state import Phase, State
from tui.feed import EngineClient, Pulse
from tui.orders import GivenOrder, Progress
from widgets.notes import Said

FADES_S = 20.0  # a message that asks for nothing goes after this
MEANT_FOR_REVISION = ("advance", "tick", "waive", "untick")


@dataclass(slots=True)
class Desk:
    """Orders given here, and what was last said."""

    client: EngineClient
    release: str
    pulse: Pulse
    _orders: list[GivenOrder] = field(default_factory=list)
    _shown: GivenOrder | None = None
    _said: Said = field(default_factory=Said)
    _said_at: float = 0.0

    def say(self, text: str, tone: str = "warn") -> None:
        """One line to the person at the keys."""
        self._said, self._said_at, self._shown = Said(text, tone), self.pulse.now(), None

    def message(self) -> Said:
        """The fate of the last order, or what was last said, until it fades."""
        if self._shown is not None:
            return Said(*self._shown.words(self.pulse.engine_time()))
        return self._said if self.pulse.now() - self._said_at < FADES_S else Said()

    def hear(self, event: Event) -> None:
        """An event may be the effect of an order given here."""
        for order in self._orders:
            order.saw(event)

    def take(self, verb: str, name: str, item: str = "") -> GivenOrder:
        """Note that an order is asked; `send` gives it."""
        order = GivenOrder(verb, name, self.pulse.engine_time(), item)
        self._orders = [*(old for old in self._orders if old.progress < Progress.IN_EFFECT), order]
        self._shown = order
        return order

    async def send(self, order: GivenOrder, seen: State | None, *, reason: str = "", override: bool = False) -> None:
        """Give the order as it was meant: for the stage and revision in `seen`, which is what was painted."""
        try:
            answer = await self.client.order(
                self.release,
                order.verb,
                reason=reason,
                item=order.item,
                stage=seen.stage if seen is not None and order.verb == "advance" else None,
                revision=seen.revision if seen is not None and order.verb in MEANT_FOR_REVISION else None,
                override=override,
                asked_at=order.asked_at if order.verb == "rollback" else None,
            )
        except EngineGone as error:
            order.lost(_by_hand(str(error) or "no engine answers", order.verb, seen))
        except EngineRefused as error:
            order.answered(accepted=False, why=str(error))
        else:
            order.answered(accepted=answer.accepted, why=answer.why)
            if order.verb == "rollback" and seen is not None and seen.phase is Phase.ROLLED_BACK:
                order.progress = Progress.IN_EFFECT  # it was rolled back before: nothing more will happen
        self._shown = order


def _by_hand(why: str, verb: str, seen: State | None) -> str:
    return f"{why}; by hand: {seen.manual_rollback}" if verb == "rollback" and seen is not None else why
