"""A line that is cut, wherever it is: nothing twice, nothing left out, and it is said how long nothing was heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from engine.client import Beat, EngineGone, Here, Said
from engine.events import Event, LapRecorded
from tests.tui import rehearsal
from tests.tui.fake_engine import FakeEngine
from tests.tui.stage import staged
from tui import feed
from tui.feed import Gap, Pulse, follow
from tui.story import Story


@dataclass
class Cut(FakeEngine):
    """Each connection brings so many events and ends, one way or the other; `deaf`: begins at the first every time."""

    lengths: list[int] = field(default_factory=list)
    deaf: bool = False

    async def events(self, release: str, after: int = 0) -> AsyncIterator[Said | Beat]:
        self.asked_after.append(after)
        first = 0 if self.deaf else after
        length = self.lengths.pop(0) if self.lengths else len(self.history)
        for seq in range(first + 1, min(len(self.history), first + length) + 1):
            yield Said(seq, self.history[seq - 1])
        if first + length >= len(self.history):
            yield Beat(1000.0)
            await asyncio.Event().wait()
        if len(self.asked_after) % 2:
            raise EngineGone("reset")


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_history_that_is_cut_in_its_middle_is_heard_once(deaf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RETRY_S", (0.0,))
    release = rehearsal.rolled_back()
    engine = Cut(history=release.events, lengths=[5, 0, 11, 3, 40] if not deaf else [5, 9, 9, 30], deaf=deaf)
    story, heard = Story(), []

    def take(event: Event) -> None:
        heard.append(event)
        story.hear(event)

    done = asyncio.Event()
    pulse = Pulse(lambda: 0.0)
    task = asyncio.create_task(
        follow(engine, "checkout-7", pulse, take, lambda: done.set() if pulse.last_beat is not None else None)
    )
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    assert heard == release.events
    assert story.state == release.state
    assert engine.asked_after == ([0, 5, 5, 16, 19, 59] if not deaf else [0, 5, 9, 9, 30])


async def test_a_feed_that_begins_anew_does_not_fold_twice() -> None:
    async with staged(rehearsal.baking()) as stage:
        stumbles = LapRecorded(at=stage.clock.at, lap="recovered", when=stage.clock.at)  # with no roll back
        stage.engine.say(stumbles)
        await stage.settle()
        assert "the cockpit stumbled (feed)" in stage.screen()
        stage.app._start_following()
        await stage.settle()
        assert stage.app.story.state == stage.release.state
        assert stage.engine.asked_after == [0, len(stage.engine.history)]


def test_a_gap_is_known_once_it_is_over() -> None:
    clock = [100.0]
    pulse = Pulse(lambda: clock[0])
    pulse.beat(Beat(1000.0))
    pulse.heard = 7
    clock[0] += 1
    pulse.beat(Beat(1001.0))
    assert pulse.gap is None
    clock[0] += 12
    pulse.lost = "reset"
    pulse.heard = 10
    pulse.beat(Beat(1013.0))
    assert pulse.gap == Gap(1001.0, 1013.0, 3)
    assert pulse.lost == ""


async def test_the_first_word_after_a_silence_says_how_long_it_was() -> None:
    release = rehearsal.baking()
    engine = FakeEngine(history=list(release.events), beats_at=release.at)
    async with staged(release, engine=engine, size=(120, 35)) as stage:
        engine.lose("the engine is gone: connection reset")
        stage.clock.at += 8
        await stage.settle()
        assert "NO ENGINE" in stage.screen()
        assert "as of 14:01:36" in stage.screen()
        release.look()
        engine.history.extend(release.events[len(engine.history) :])
        engine.gone, engine.beats_at = "", stage.clock.at
        await stage.pilot.pause(0.7)
        await stage.settle()
        assert "NO ENGINE" not in stage.screen()
        assert "nothing was heard of the engine from 14:01:36 to 14:01:44; " in stage.screen()
        assert "events came late" in stage.screen()
        assert stage.app.story.state == release.state


async def test_who_was_there_before_the_silence_does_not_come_anew() -> None:
    release = rehearsal.baking()
    ann = Here("ann", "pid 7 (pts/1)", release.at, driving=False)
    bob = Here("bob", "pid 9 (pts/3)", release.at, driving=True)
    engine = FakeEngine(history=list(release.events), beats_at=release.at, here=(ann,))
    async with staged(release, engine=engine, size=(120, 35)) as stage:
        for here in ((ann, bob), (ann,)):
            engine.here = here
            engine.beat(stage.clock.at)
            await stage.settle()
        engine.here = (ann, bob)
        engine.beat(stage.clock.at)
        await stage.settle()
        assert stage.screen().count("bob is here too") == 2
        engine.lose("reset")
        await stage.settle()
        engine.gone, engine.here = "", (ann,)
        await stage.pilot.pause(0.7)
        await stage.settle()
        for here in ((ann,), (ann, bob)):
            engine.here = here
            engine.beat(stage.clock.at)
            await stage.settle()
        assert "bob drives" in stage.screen()
        assert stage.screen().count("bob is here too") == 2
