"""kill -9 of a real engine on a real sandbox: at every kind of event, and while people act without it."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess

import pytest

from engine import events as ev
from engine.client import EngineGone, Said
from engine.events import Event
from engine.script import script_path
from tests.support.engine_bench import stages_entered
from tests.support.engine_process import Stand, stand

pytestmark = pytest.mark.real
KINDS = (
    *("Created", "EngineTook", "WeightObserved", "CanarySeen", "Ticked", "ItemTicked", "StageEntered", "ShiftIntended"),
    *("ShiftAnswered", "ShiftConfirmed", "VerdictChanged", "StepEntered", "ChecksStarted", "CheckFinished"),
    *("FinishStarted", "Promoted"),
)


def next_of(place: Stand, wanted: set[str], after: int) -> tuple[str, int]:
    """Follow the engine's stream until an event of a wanted kind, the moment it is told."""

    async def follow() -> tuple[str, int]:
        seen = after
        async for told in place.client.events(place.release, after):
            if isinstance(told, Said):
                seen = told.seq
                if type(told.event).__name__ in wanted:
                    return type(told.event).__name__, seen
        raise EngineGone("the stream ended")

    return asyncio.run(asyncio.wait_for(follow(), 60))


def intends_what_the_stage_says(history: list[Event]) -> None:
    stage = -1
    for event in history:
        if isinstance(event, ev.StageEntered):
            assert event.stage == stage + 1
            stage = event.stage
        elif isinstance(event, ev.ShiftIntended):
            assert event.weight == (20, 60, 100)[stage]


def test_an_engine_killed_at_every_kind_of_event_goes_on_and_advances_each_stage_once() -> None:
    with stand() as place:
        place.boot()
        place.start()
        wanted, seen = set(KINDS), 0
        while wanted:
            kind, seen = next_of(place, wanted, seen)
            place.kill()
            wanted.remove(kind)
            place.boot()
        place.ends("promoted")
        history = place.history()
        assert stages_entered(history) == [0, 1, 2]
        intends_what_the_stage_says(history)
        # No engine takes it twice; one that is killed at once has recorded nothing of itself.
        assert sum(isinstance(event, ev.EngineTook) for event in history) <= len(KINDS) + 1
        assert sum(isinstance(event, ev.Promoted) for event in history) == 1
        assert place.weight() == 100


def test_all_traffic_put_on_stable_by_hand_while_the_engine_is_dead_is_a_roll_back() -> None:
    with stand() as place:
        place.boot()
        place.start()
        place.at_stage(0)
        place.kill()
        place.set_weight(0)
        place.boot()
        place.ends("rolled_back")
        place.never(lambda: place.weight() != 0, 3)


def test_rollback_sh_brings_all_back_without_an_engine_and_the_next_one_agrees() -> None:
    with stand() as place:
        place.boot()
        place.start()
        place.at_stage(1)
        place.kill()
        assert place.weight() == 60
        ran = place.run_script()
        assert ran.returncode == 0, ran.stderr
        assert place.weight() == 0
        place.boot()
        place.ends("rolled_back")
        assert place.look()["rollback"]["who"] == "rollback.sh"
        assert place.weight() == 0
        assert (
            subprocess.run(["/bin/sh", "-n", str(script_path(place.home, place.release))], check=False).returncode == 0
        )


def test_an_engine_killed_on_the_way_back_finishes_it() -> None:
    with stand() as place:
        place.boot()
        place.start()
        place.at_stage(1)
        place.fault("gateway-ignores", on=True)
        place.order("rollback", reason="smells")
        place.kill()
        place.fault("gateway-ignores", on=False)
        assert place.weight() == 60
        place.boot()
        place.ends("rolled_back")
        assert place.weight() == 0
        started = [event for event in place.history() if isinstance(event, ev.RollbackStarted)]
        assert [(event.who, event.reason) for event in started] == [
            (pwd.getpwuid(os.geteuid()).pw_name, "smells")
        ]  # as the kernel says
