"""A fault of the engine itself does not leave a release without a guard, and is not hidden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from engine import events as ev
from engine.controller import Controller, Said, record_of
from engine.events import Event
from engine.host import Host, RefusedError, WallTime
from engine.host.held import Held
from engine.inputs import Order
from engine.state import State, created
from tests.engine.moody_journal import until
from tests.support.engine_bench import creation, rules


class NoWait(WallTime):
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Failing:
    """A controller whose watch fails some times and then runs to its end."""

    def __init__(self, failures: int) -> None:
        self.state: State = created(creation(rules(), 1.0))
        self.failures = failures
        self.runs = 0
        self.behind_s = 0.0

    async def run(self, _epoch: int, **_: Any) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise ExceptionGroup("a loop failed", [ZeroDivisionError("a bug")])

    async def close(self) -> None:
        """Nothing to let go of."""

    async def order(self, _order: Any) -> list[Event]:
        return []


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path, NoWait())
    yield made
    await made.close()


def watched(host: Host, failures: int) -> tuple[Held, Failing]:
    controller = Failing(failures)
    held = host._holder.held["shop-1"] = Held(cast("Controller", controller), 1)
    host._holder.run(held)
    return held, controller


async def test_a_watch_that_fails_is_taken_up_again_and_the_fault_is_said(host: Host) -> None:
    held, controller = watched(host, failures=3)
    await until(lambda: held.running is not None and held.running.done())
    assert controller.runs == 4
    assert any("the engine failed" in notice for notice in host.notices)


async def test_the_fault_is_not_unsaid_by_a_journal_that_answers(host: Host) -> None:
    held, _ = watched(host, failures=1)
    await until(lambda: host.notices)
    held.trouble = ""
    assert any("the engine failed" in notice for notice in host.notices)


async def test_a_watch_that_ends_well_says_nothing(host: Host) -> None:
    held, controller = watched(host, failures=0)
    await until(lambda: held.running is not None and held.running.done())
    assert (controller.runs, host.notices) == (1, [])


@pytest.mark.parametrize(("verb", "taken"), [("rollback", True), ("pause", True), ("advance", False), ("retry", False)])
async def test_with_a_journal_that_takes_nothing_only_what_makes_nothing_worse_is_taken(
    host: Host, verb: str, taken: bool
) -> None:
    _, controller = watched(host, failures=0)
    controller.behind_s = 60.0
    order = Order(at=1.0, id="one", verb=verb, who="ana")
    if taken:
        assert await host.order("shop-1", order) == []
    else:
        with pytest.raises(RefusedError, match="taken nothing for 60 s"):
            await host.order("shop-1", order)


@pytest.mark.parametrize("ended", [False, True])
async def test_a_release_that_cannot_be_taken_up_is_said_unless_it_has_ended(host: Host, *, ended: bool) -> None:
    events: list[Event] = [creation(rules(), 1.0), *([ev.Cancelled(at=2.0, who="ana", reason="")] if ended else [])]
    records = [record_of(Said(seq, event)) for seq, event in enumerate(events, start=1)]
    keep = {"plan": {"text": "of another version: [", "name": "plan.yaml"}}
    host.journal.create_release("shop-1", "route", "shop", 1.0, records=records, keep=keep)
    await host.resume()
    assert any("shop-1 can't be taken up, nothing guards it" in notice for notice in host.notices) is not ended
