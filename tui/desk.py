"""Where orders are given and their fate is kept, and the one line that tells the person at the keys. No Textual."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from engine.client import Answer, EngineGone, EngineRefused
from engine.events import Event
from engine.state import Phase, State
from tui.feed import EngineClient, Pulse
from tui.orders import GivenOrder, Progress
from widgets.notes import Said

FADES_S = 20.0  # a message that asks for nothing goes after this
MEANT_FOR_STAGE = ("advance", "approve", "retry", "resume")
MEANT_FOR_REVISION = (*MEANT_FOR_STAGE, "tick", "waive", "untick")


@dataclass(slots=True)
class Desk:
    """Orders given here, and what was last said. `revive` starts an engine where none answers; it raises EngineGone."""

    client: EngineClient
    release: str
    pulse: Pulse
    revive: Callable[[], Awaitable[None]] | None = None
    _orders: list[GivenOrder] = field(default_factory=list)
    _shown: GivenOrder | None = None
    _said: Said = field(default_factory=Said)
    _said_at: float = 0.0

    def say(self, text: str, tone: str = "warn") -> None:
        """One line to the person at the keys."""
        self._said, self._said_at, self._shown = Said(text, tone), self.pulse.now(), None

    def message(self) -> Said:
        """The fate of the last order, or what was last said, until it fades."""
        if self._shown is not None and not self._is_old(self._shown):
            return Said(*self._shown.words(self.pulse.engine_time()))
        return self._said if self.pulse.now() - self._said_at < FADES_S else Said()

    def _is_old(self, order: GivenOrder) -> bool:
        """In effect for a while: nothing more will happen to it."""
        return order.done_at is not None and self.pulse.engine_time() - order.done_at > FADES_S

    def hear(self, event: Event) -> None:
        """An event may be the effect of an order given here."""
        for order in self._orders:
            order.saw(event)

    def take(self, verb: str, name: str, item: str = "", by_hand: str = "") -> GivenOrder:
        """Note that an order is asked; `send` gives it."""
        order = GivenOrder(verb, name, self.pulse.engine_time(), item, by_hand=by_hand)
        self._orders = [*(old for old in self._orders if old.progress < Progress.IN_EFFECT), order]
        self._shown = order
        return order

    async def send(
        self,
        order: GivenOrder,
        seen: State | None,
        *,
        reason: str = "",
        override: bool = False,
        break_glass: bool = False,
    ) -> None:
        """Give the order as it was meant: for the stage and revision in `seen`, which is what was painted."""
        try:
            answer = await self._give(order, seen, reason, override=override, break_glass=break_glass)
        except EngineGone as error:
            order.lost(str(error) or "no engine answers")
        except EngineRefused as error:
            order.answered(accepted=False, why=str(error))
        else:
            order.answered(accepted=answer.accepted, why=answer.why)
            if order.verb == "rollback" and seen is not None and seen.phase is Phase.ROLLED_BACK:
                order.progress = Progress.IN_EFFECT  # it was rolled back before: nothing more will happen
        self._shown = order

    async def _give(
        self, order: GivenOrder, seen: State | None, reason: str, *, override: bool, break_glass: bool
    ) -> Answer:
        """As `send`. A roll back that finds no engine starts one and asks again."""

        async def give() -> Answer:
            return await self.client.order(
                self.release,
                order.verb,
                reason=reason,
                item=order.item,
                stage=seen.stage if seen is not None and order.verb in MEANT_FOR_STAGE else None,
                revision=seen.revision if seen is not None and order.verb in MEANT_FOR_REVISION else None,
                override=override,
                asked_at=order.asked_at if order.verb == "rollback" else None,
                break_glass=break_glass or None,
            )

        try:
            return await give()
        except EngineGone:
            if self.revive is None or order.verb != "rollback":
                raise
        order.why = "no engine answers: starting one"
        await self.revive()
        return await give()
