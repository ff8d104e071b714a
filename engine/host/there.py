"""An order for a release that another engine holds: given to it through the store; a way back waits for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine import events as ev
from engine.controller import Time
from engine.events import Event
from engine.gates import refusal
from engine.host.following import Following
from engine.host.leases import Leases
from engine.host.mailbox import Mailbox, accepted, row_of
from engine.host.way_back import write_stable
from engine.host.words import RefusedError
from engine.inputs import Order
from engine.journal.records import JournalError
from engine.routers import RouterError

PATIENCE_S = 5.0  # with the engine that holds the release
NO_PATIENCE_S = 1.0  # with it, before the way back is written from here
WRITE_S = 10.0  # for the first write to be taken


class There:
    """The releases of other engines, as one is to order them from here."""

    def __init__(
        self, home: Path, identity: str, time: Time, mailbox: Mailbox, following: Following, leases: Leases
    ) -> None:
        self._said: dict[str, str] = {}
        self._home = home
        self._identity = identity
        self._time = time
        self._mailbox = mailbox
        self._following = following
        self._leases = leases
        self._writing: dict[str, asyncio.Task[None]] = {}

    @property
    def notices(self) -> list[str]:
        """Ways back that were written from here, until a holder has recorded them."""
        return [told for release, told in self._said.items() if release in self._following.followed]

    async def order(self, release: str, order: Order) -> list[Event]:
        """What the holder made of it. Raises RefusedError when it does not answer, for any order but a roll back."""
        patience = NO_PATIENCE_S if order.verb == "rollback" else PATIENCE_S
        sent = False
        try:
            async with asyncio.timeout(patience):
                name = await self._mailbox.send(release, order)
                sent = True
                return await self._mailbox.answer(name, release)
        except TimeoutError:
            why = f"{self._holder_of(release)} has not answered for {patience:g} s"
        except JournalError as error:
            why = f"the store does not answer ({error})"
        if order.verb == "rollback":
            if not sent:
                self._mailbox.keep(release, order)
            return await self._roll_back(release, order, why)
        if sent:
            await self._withdrawn(release, order)
        raise RefusedError(f"{why}, so the order was withdrawn: look at the release before you give it again")

    async def close(self) -> None:
        """Writes that are under way are cut off."""
        for task in self._writing.values():
            task.cancel()
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    def _holder_of(self, release: str) -> str:
        holder = self._leases.holder(release)
        return f"the engine that holds it ({holder})" if holder else "no engine holds it, and nobody"

    async def _withdrawn(self, release: str, order: Order) -> None:
        try:
            async with asyncio.timeout(NO_PATIENCE_S):
                await self._mailbox.withdraw(row_of(release, order).id)
        except (TimeoutError, JournalError):
            pass  # it names the stage and revision that it was for: late, it is refused

    async def _roll_back(self, release: str, order: Order, why: str) -> list[Event]:
        """Write stable's weight from here. The order stays where the release's next holder finds and records it."""
        known = self._following.followed.get(release)
        if known is None:
            raise RefusedError(f"{why}, and what {release} would need is not known here: run its rollback.sh")
        glass = order.break_glass and order.reason
        refused = (order.forbidden if not glass else "") or refusal(known.state, "rollback", self._time.now())
        if refused:
            return [
                ev.OrderRefused(
                    at=self._time.now(), order=order.id, verb=order.verb, who=order.who, why=refused, where=order.where
                )
            ]
        first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = self._writing.get(release)
        if task is not None:
            task.cancel()
        self._writing[release] = asyncio.create_task(
            write_stable(self._home, known, self._identity, self._time, first), name=f"way back of {release}"
        )
        try:
            async with asyncio.timeout(WRITE_S):
                said = await asyncio.shield(first)
        except (RouterError, TimeoutError) as error:
            by_hand = known.state.manual_rollback
            raise RefusedError(f"{why}; stable's weight is not written from here yet ({error}): {by_hand}") from None
        told = f"{release}: {why}, so this engine wrote stable's weight itself, for {order.who}; it is recorded later"
        self._said[release] = told
        return [
            accepted(order),
            ev.ShiftAnswered(
                at=self._time.now(), number=f"{known.state.epoch}.way-back", ok=True, detail=f"{told}: {said}"
            ),
        ]
