"""Several people on one release: who is here, approvals, broken glass, a cockpit that only looks."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.client import Answer, Here
from tests.tui import rehearsal
from tests.tui.fake_engine import FakeEngine
from tests.tui.rehearsal import Rehearsal
from tests.tui.stage import Stage, staged
from tests.tui.test_screens import HOSTILE, SIZES
from tui.commands import READ_ONLY

START = rehearsal.START
ANN = Here("ann", "pid 7 (pts/1 from 10.0.0.9)", START, driving=False)
BOB = Here("bob", "pid 9 (pts/3 from 10.0.0.7)", START + 30, driving=True)
FORBIDDEN = "ann (viewer) may not roll back checkout-7; an operator may: bob; in an emergency: laneshift rollback ..."


def shared(release: Rehearsal, *here: Here, **other: object) -> FakeEngine:
    """An engine that these people are attached to."""
    return FakeEngine(history=list(release.events), beats_at=release.at, here=here, **other)  # type: ignore[arg-type]  # its own fields


# --- who is here


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_others_stand_in_the_head(size: tuple[int, int]) -> None:
    release = rehearsal.gated()
    async with staged(release, size=size, engine=shared(release, ANN, BOB)) as stage:
        assert "bob drives" in stage.screen().split("\n")[0]
        await stage.stands_as(f"together-{size[0]}x{size[1]}")


async def test_who_comes_and_goes_shows_with_the_next_beat() -> None:
    release = rehearsal.baking()
    async with staged(release, engine=shared(release, ANN)) as stage:
        assert "started by ann" in stage.screen()
        stage.engine.here = (ANN, BOB)
        stage.engine.beat(stage.clock.at)
        await stage.settle()
        assert "bob drives" in stage.screen().split("\n")[0]
        assert "bob is here too (pts/3 from 10.0.0.7)" in stage.screen()
        stage.engine.here = (ANN,)
        stage.engine.beat(stage.clock.at)
        await stage.settle()
        assert "bob drives" not in stage.screen()
        assert "bob is gone (pts/3 from 10.0.0.7)" in stage.screen()


async def test_while_nothing_is_heard_nobody_is_said_to_be_here() -> None:
    release = rehearsal.baking()
    async with staged(release, engine=shared(release, ANN, BOB)) as stage:
        stage.clock.at += 4
        await stage.settle()
        assert "bob drives" not in stage.screen()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_hostile_names_break_nothing(size: tuple[int, int]) -> None:
    release = rehearsal.baking()
    crowd = [Here(HOSTILE, HOSTILE, START, driving=number == 1) for number in range(3)]
    async with staged(release, size=size, engine=shared(release, ANN, *crowd)) as stage:
        shown = stage.screen()
        assert not set(shown) & set(map(chr, range(32))) - {"\n"}
        assert "14:01:36" in shown.split("\n")[0]
        assert shown.split("\n")[0].startswith(" checkout  v1.4.0 → v1.5.0")


# --- a cockpit that only looks


async def test_a_read_only_cockpit_orders_nothing_and_says_why() -> None:
    release = rehearsal.gated()
    async with staged(release, engine=shared(release, ANN, read_only=True, who="bob")) as stage:
        assert "READ-ONLY" in stage.screen()
        for key in ("a", "p", "V", "A", "r", "n", "x"):
            await stage.press(key)
            assert READ_ONLY in stage.screen()
        assert stage.engine.orders == []
        assert len(stage.app.screen_stack) == 1


@pytest.mark.parametrize("keys", [("R",), ("R", "y"), ("f9", "f9"), ("G",)])
async def test_a_read_only_cockpit_names_the_command_that_rolls_back(keys: tuple[str, ...]) -> None:
    release = rehearsal.baking()
    async with staged(release, engine=shared(release, ANN, read_only=True)) as stage:
        await stage.press(*keys)
        assert "laneshift rollback checkout-7" in stage.screen()
        assert stage.engine.orders == []


async def test_too_small_a_read_only_cockpit_offers_no_key_that_does_nothing() -> None:
    release = rehearsal.baking()
    async with staged(release, size=(60, 12), engine=shared(release, ANN, read_only=True)) as stage:
        assert "R rolls back" not in stage.screen()
        assert "read-only" in stage.screen()


# --- approvals


async def test_an_approval_says_what_and_as_whom_and_is_meant_for_that() -> None:
    release = rehearsal.gated()
    async with staged(release, engine=shared(release, ANN, BOB, you={"who": "bob", "where": "pid 9"})) as stage:
        await stage.press("V")
        shown = " ".join(stage.screen().split())
        assert "Approve checkout, stage 2 (25%)?" in shown
        assert "v1.5.0 may go on to 50%" in shown
        assert "1 of 2 approvals: ann 14:02" in shown
        assert stage.app.focused is not None
        assert stage.app.focused.id == "cancel"
        await stage.press("y")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["stage"], said["revision"]) == ("approve", 1, release.state.revision)


async def test_one_person_approves_once() -> None:
    release = rehearsal.gated()
    async with staged(release, engine=shared(release, ANN)) as stage:
        await stage.press("V")
        assert "the second approval comes from another person" in stage.screen()
        assert stage.engine.orders == []


async def test_anothers_approval_is_not_the_effect_of_this_one() -> None:
    release = rehearsal.gated(approvers=3)
    async with staged(release, engine=shared(release, you={"who": "bob", "where": "pid 9"})) as stage:
        await stage.press("V", "y")
        for who, words in (("carol", "approve: accepted, not yet in effect"), ("bob", "approve: in effect")):
            done = len(release.events)
            release.order("approve", who=who)
            await stage.replay(done)
            assert words in stage.screen()


async def test_an_order_is_meant_for_what_its_question_showed() -> None:
    release = rehearsal.gated(approvers=1)
    async with staged(release, engine=shared(release, you={"who": "bob", "where": "pid 9"})) as stage:
        await stage.press("A")
        done = len(release.events)
        release.order("advance")
        await stage.replay(done)
        assert release.state.stage == 2
        await stage.press(*"known", "enter")
        assert [said["stage"] for verb, said in stage.engine.orders if verb == "advance"] in ([], [1])


async def test_an_early_approval_asks_for_its_reason() -> None:
    release = rehearsal.gated()
    done = len(release.events)
    release.order("advance", override=True, reason="x")  # refused: people are missing
    assert isinstance(release.events[-1], ev.OrderRefused)
    early = Rehearsal(rules=release.rules)
    for event in release.events[1:done]:
        if isinstance(event, ev.StepEntered) and event.step is ev.Step.CHECKS and early.state.stage == 1:
            break
        early.record(event)
        early.at = event.at
    assert early.state.step is ev.Step.BAKE
    async with staged(early, engine=shared(early, you={"who": "bob", "where": "pid 9"})) as stage:
        assert "V approve" not in stage.screen()
        await stage.press("V")
        assert "not at its gate yet" in stage.screen()
        await stage.press(*"seen it", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["reason"]) == ("approve", "seen it")


async def test_a_gate_that_expired_is_said() -> None:
    release = rehearsal.gated(expires_s=60)
    release.wait(61)
    async with staged(release) as stage:
        assert "gate EXPIRED" in stage.screen()
        assert "HELD" in stage.screen()
        assert "expired after" in stage.row("NEXT")


@pytest.mark.parametrize(("keys", "verb"), [("r", "retry"), ("p", "resume")])
async def test_orders_that_go_forward_say_the_stage_they_are_meant_for(keys: str, verb: str) -> None:
    release = rehearsal.gated(expires_s=60) if verb == "retry" else rehearsal.paused()
    release.wait(61)
    async with staged(release) as stage:
        await stage.press(keys)
        given, said = stage.engine.orders[-1]
        assert (given, said["stage"], said["revision"]) == (verb, 1, release.state.revision)


# --- broken glass


async def refused_way_back(stage: Stage) -> None:
    stage.engine.answer = Answer(accepted=False, why=FORBIDDEN)
    await stage.press("R", "y")


async def test_whose_role_forbids_it_may_break_the_glass_with_a_reason() -> None:
    release = rehearsal.baking()
    async with staged(release) as stage:
        await refused_way_back(stage)
        shown = " ".join(stage.screen().split())
        assert "Break the glass: roll back checkout?" in shown
        assert "Everybody hears of it" in shown
        await stage.press("space", "enter")  # no words, no order
        stage.engine.answer = Answer(accepted=True)
        await stage.press("G", *"bob is away", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["break_glass"], said["reason"]) == ("rollback", True, "bob is away")
        assert [bool(said["break_glass"]) for _, said in stage.engine.orders] == [False, True]


async def test_a_refused_way_back_names_the_key() -> None:
    async with staged(rehearsal.baking()) as stage:
        await refused_way_back(stage)
        await stage.press("escape")
        assert "roll back refused (G breaks the glass): ann (viewer)" in stage.screen()


async def test_what_the_release_itself_refuses_offers_no_glass() -> None:
    release = rehearsal.promoted()
    async with staged(release) as stage:
        stage.engine.answer = Answer(accepted=False, why="the old side is not kept any more")
        await stage.press("R")
        release.wait(601)
        stage.clock.at = release.at
        stage.engine.beat(release.at)
        await stage.press("y")
        assert "Break the glass" not in stage.screen()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_broken_glass_is_loud_everywhere(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    release = rehearsal.baking()
    async with staged(release, size=size) as stage:
        rung: list[str] = []
        monkeypatch.setattr(stage.app, "bell", lambda: rung.append("bell"))
        done = len(release.events)
        forbidden = {"who": "carol", "forbidden": FORBIDDEN, "break_glass": True, "where": "pid 3 (pts/9)"}
        release.order("rollback", reason="ann is away", **forbidden)
        await stage.replay(done)
        assert rung == ["bell"]
        await stage.stands_as(f"glass-{size[0]}x{size[1]}")
        assert "GLASS BROKEN. carol (pid 3 (pts/9)) took it back at" in stage.screen()
        stage.clock.at += 601
        stage.engine.beat(stage.clock.at)
        await stage.settle()
        assert "GLASS BROKEN." not in stage.screen()


# --- engines that change


async def test_another_engine_that_takes_over_is_a_line() -> None:
    release = rehearsal.baking()
    release.record(ev.EngineTook(at=release.at, epoch=2, engine="bastion-1"))
    async with staged(release) as stage:
        stage.engine.say(ev.EngineTook(at=stage.clock.at, epoch=3, engine="bastion-2"))
        await stage.settle()
        assert "bastion-2 took the release over from bastion-1 (epoch 3)" in stage.screen()
        stage.engine.say(ev.EngineTook(at=stage.clock.at, epoch=4, engine="bastion-2"))
        await stage.settle()
        assert "bastion-2 holds the release (epoch 4)" in stage.screen()
