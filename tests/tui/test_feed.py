"""Following a release: once, in order, whatever happens to the line."""

from __future__ import annotations

import asyncio

import pytest

from engine.client import Answer, Beat, EngineGone
from engine.events import Event, ItemTicked, Paused, RolledBack, ShiftConfirmed
from tests.tui import rehearsal
from tests.tui.fake_engine import FakeEngine
from tui import feed
from tui.desk import Desk
from tui.feed import STALE_S, Link, Pulse, follow
from tui.orders import EFFECTS, GivenOrder, Progress
from tui.story import Story


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def test_the_link_follows_the_beats() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.link() is Link.CONNECTING
    pulse.lost = "refused"
    assert pulse.link() is Link.GONE
    pulse.beat(Beat(1000.0))
    assert pulse.link() is Link.CONNECTED
    clock.at += STALE_S - 0.1
    pulse.lost = "reset"
    assert pulse.link() is Link.CONNECTED  # an engine that restarts in a moment is not gone
    clock.at += 0.2
    assert pulse.link() is Link.GONE
    pulse.lost = ""
    assert pulse.link() is Link.STALE


def test_time_is_the_engines() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.beat(Beat(5000.0))
    clock.at += 2
    assert pulse.engine_time() == 5002.0


async def test_every_event_is_heard_once_over_broken_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RETRY_S", (0.0,))
    release = rehearsal.baking()
    engine = FakeEngine(history=release.events[:10], beats_at=1.0)
    heard: list[Event] = []
    task = asyncio.create_task(follow(engine, "checkout-7", Pulse(Clock()), heard.append, lambda: None))
    for number in range(10, len(release.events)):
        engine.say(release.events[number])
        if number % 7 == 0:
            engine.lose("reset")
            await asyncio.sleep(0)
            engine.gone = ""
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0.001)
    task.cancel()
    assert heard == release.events


def test_what_comes_before_the_first_event_is_left_out() -> None:
    story = Story()
    story.hear(Paused(at=1.0, who="ann"))
    assert story.state is None


def test_the_story_folds_what_the_engine_folds() -> None:
    for scene in (rehearsal.baking, rehearsal.rolled_back, rehearsal.promoted):
        release = scene()
        story = Story()
        for event in release.events:
            story.hear(event)
        assert story.state == release.state


# --- orders


def test_every_order_has_an_effect_to_wait_for() -> None:
    from engine.release import VERBS

    assert set(EFFECTS) == set(VERBS)


def test_success_is_the_event_and_not_the_answer() -> None:
    order = GivenOrder("rollback", "roll back", 0.0)
    order.answered(accepted=True, why="")
    assert order.progress is Progress.ACCEPTED
    order.saw(ShiftConfirmed(at=1.0, number="1.1", weight=0))
    assert order.progress is Progress.ACCEPTED
    order.saw(RolledBack(at=2.0))
    assert order.words(3.0) == ("roll back: in effect", "good")


def test_an_event_that_overtakes_the_answer_is_not_taken_back() -> None:
    order = GivenOrder("tick", "tick smoke", 0.0, item="smoke")
    order.saw(ItemTicked(at=1.0, item="flags", who="ann"))
    assert order.progress is Progress.ASKED
    order.saw(ItemTicked(at=1.0, item="smoke", who="ann"))
    order.answered(accepted=True, why="")
    assert order.progress is Progress.IN_EFFECT


async def test_an_engine_that_cannot_be_started_leaves_the_command() -> None:
    release = rehearsal.baking()
    engine = FakeEngine(gone="no engine answers")

    async def revive() -> None:
        raise EngineGone("the engine could not be started")

    desk = Desk(engine, "checkout-7", Pulse(Clock()), revive=revive)
    await desk.send(desk.take("rollback", "roll back", by_hand=rehearsal.MANUAL), release.state)
    said = desk.message().text
    assert said == f"roll back: no answer; by hand: {rehearsal.MANUAL} (the engine could not be started)"


async def test_only_a_roll_back_starts_an_engine() -> None:
    engine = FakeEngine(gone="no engine answers", answer=Answer(accepted=True))

    async def revive() -> None:
        pytest.fail("nothing else is worth an engine")

    desk = Desk(engine, "checkout-7", Pulse(Clock()), revive=revive)
    await desk.send(desk.take("pause", "pause"), None)
    assert "pause: no answer, it may or may not count (no engine answers)" in desk.message().text


async def test_an_order_that_is_in_effect_for_a_while_is_not_said_any_more() -> None:
    clock = Clock()
    clock.at = rehearsal.START
    desk = Desk(FakeEngine(), "checkout-7", Pulse(clock))
    await desk.send(desk.take("pause", "pause"), None)
    desk.hear(Paused(at=clock.at + 60, who="ann"))
    clock.at += 79
    assert desk.message().text == "pause: in effect"
    clock.at += 2
    assert not desk.message().text


def test_what_was_said_fades() -> None:
    clock = Clock()
    desk = Desk(FakeEngine(), "checkout-7", Pulse(clock))
    desk.say("retry: there is nothing to retry")
    assert desk.message().text
    clock.at += 21
    assert not desk.message().text
