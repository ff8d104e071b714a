"""Keys to orders: what is given, for which stage and revision, and what is said of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.client import Answer
from engine.events import AlertRaised, LapRecorded
from engine.judge.metric import Outcome
from tests.tui import rehearsal
from tests.tui.fake_engine import FakeDemo, FakeEngine
from tests.tui.rehearsal import MANUAL, Rehearsal
from tests.tui.stage import staged
from widgets.checklist import Checklist
from widgets.metrics_table import MetricsTable


async def test_advance_carries_the_stage_and_revision_that_were_painted() -> None:
    async with staged(rehearsal.ready()) as stage:
        painted = stage.release.state
        await stage.press("a")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["stage"], said["revision"]) == ("advance", 1, painted.revision)
        assert said["override"] is False


async def test_an_order_is_asked_then_accepted_then_in_effect() -> None:
    async with staged(rehearsal.ready()) as stage:
        stage.engine.answers.clear()
        await stage.press("a")
        assert "advance: asked" in stage.screen()
        stage.clock.at += 2
        stage.app.paint()
        await stage.pilot.pause()
        assert "advance: asked 2 s ago, no answer yet" in stage.screen()
        stage.engine.answers.set()
        await stage.settle()
        assert "advance: accepted, not yet in effect" in stage.screen()
        assert "stage 2 of 4" in stage.screen()
        done = len(stage.release.events)
        stage.release.order("advance")
        await stage.replay(done)
        assert "advance: accepted, not yet in effect" in stage.screen()
        done = len(stage.release.events)
        stage.release.write()
        await stage.replay(done)
        assert "advance: in effect" in stage.screen()
        assert "stage 3 of 4" in stage.screen()


async def test_a_refusal_of_the_engine_is_said_with_its_reason() -> None:
    async with staged(rehearsal.ready()) as stage:
        stage.engine.answer = Answer(accepted=False, why="meant for stage 2 (25%); the release is at stage 3 (50%) now")
        await stage.press("a")
        assert "advance refused: meant for stage 2 (25%)" in stage.screen()


async def test_a_key_that_would_be_refused_says_why_and_orders_nothing() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("a")
        assert "advance: not yet: baked" in stage.screen()
        await stage.press("r")
        assert "retry: there is nothing to retry" in stage.screen()
        await stage.press("x")
        assert "cancel: traffic has moved: roll back instead" in stage.screen()
        assert stage.engine.orders == []


async def test_pause_becomes_resume() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("p")
        assert stage.engine.orders[-1][0] == "pause"
        done = len(stage.release.events)
        stage.release.order("pause")
        await stage.replay(done)
        assert "p resume" in stage.screen()
        await stage.press("p")
        assert stage.engine.orders[-1][0] == "resume"


async def test_an_override_asks_for_its_reason() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("A")
        assert "Advance without proof?" in stage.screen()
        await stage.press(*"known flake", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["override"], said["reason"]) == ("advance", True, "known flake")


async def test_an_override_is_not_needed_when_nothing_stands_in_the_way() -> None:
    async with staged(rehearsal.ready()) as stage:
        await stage.press("A")
        assert "nothing stands in the way: a advances" in stage.screen()


# --- the way back


async def test_roll_back_is_two_keys_and_the_first_focuses_cancel() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("R")
        shown = stage.screen()
        assert "Roll back checkout to v1.4.0?" in shown
        assert "25% observed, 25% desired on v1.5.0" in shown
        assert stage.app.focused is not None
        assert stage.app.focused.id == "cancel"
        stage.clock.at += 7
        await stage.press("y")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["asked_at"]) == ("rollback", stage.clock.at)
        assert said["stage"] is None
        assert said["revision"] is None


@pytest.mark.parametrize("key", ["escape", "n", "q", "enter", "space"])
async def test_every_other_key_of_the_question_leaves_it(key: str) -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("R", key)
        assert "Roll back checkout" not in stage.screen()
        assert stage.engine.orders == []


async def test_the_answer_can_be_reached_without_its_letter() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("R", "right", "enter")
        assert stage.engine.orders[-1][0] == "rollback"


async def test_R_twice_asks_once() -> None:  # noqa: N802 - the key's own name
    async with staged(rehearsal.baking()) as stage:
        await stage.press("R", "R", "escape")
        assert "Roll back checkout" not in stage.screen()


@pytest.mark.parametrize("before", ["question_mark", "b", "q", "c", "m", "T"])
async def test_the_way_back_is_open_from_every_screen(before: str) -> None:
    async with staged(rehearsal.baking(), demo=FakeDemo()) as stage:
        await stage.press(before, "R", "y")
        assert stage.engine.orders[-1][0] == "rollback"
        assert len(stage.app.screen_stack) == 1


async def test_F9_twice_rolls_back_from_inside_an_input() -> None:  # noqa: N802 - the key's own name
    async with staged(rehearsal.baking()) as stage:
        await stage.press("n", *"R y")
        assert stage.engine.orders == []
        await stage.press("f9", "f9")
        assert stage.engine.orders[-1][0] == "rollback"


@pytest.mark.parametrize("scene", ["preflight", "ready", "paused", "alert", "rolling_back", "late", "promoted"])
async def test_R_works_in_every_phase(scene: str) -> None:  # noqa: N802 - the key's own name
    async with staged(getattr(rehearsal, scene)()) as stage:
        await stage.press("R", "y")
        assert stage.engine.orders[-1][0] == "rollback"


async def test_when_the_old_side_is_gone_R_says_the_command() -> None:  # noqa: N802 - the key's own name
    release = rehearsal.promoted()
    release.wait(601)
    async with staged(release, size=(200, 50)) as stage:
        await stage.press("R")
        assert f"the old side is not kept any more; this would be the command: {MANUAL}" in stage.screen()
        assert stage.engine.orders == []


async def test_a_rollback_that_nobody_answers_shows_the_command() -> None:
    async with staged(rehearsal.baking(), size=(200, 50)) as stage:
        stage.engine.gone = "no engine answers"
        await stage.press("R", "y")
        assert f"by hand: {MANUAL}" in stage.row("roll back: no answer")


async def test_a_rollback_without_an_engine_starts_one() -> None:
    async with staged(rehearsal.baking(), size=(200, 50)) as stage:
        stage.engine.gone = "no engine answers"
        started = asyncio.Event()

        async def revive() -> None:
            await started.wait()
            stage.engine.gone = ""

        stage.app.desk.revive = revive
        await stage.press("R", "y")
        assert "roll back: no engine answers: starting one" in stage.screen()
        started.set()
        await stage.settle()
        assert "roll back: accepted, not yet in effect" in stage.screen()
        assert [verb for verb, _ in stage.engine.orders] == ["rollback", "rollback"]


async def test_the_manual_command_can_be_copied() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("Y")
        assert stage.app.clipboard == MANUAL


async def test_rolling_back_twice_ends_as_in_effect() -> None:
    async with staged(rehearsal.rolled_back()) as stage:
        await stage.press("R", "y")
        assert "roll back: in effect" in stage.screen()


# --- the checklist


async def test_tick_waive_and_untick_the_chosen_item() -> None:
    async with staged(rehearsal.preflight()) as stage:
        assert isinstance(stage.app.focused, Checklist)
        await stage.press("t")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["item"], said["revision"]) == ("tick", "smoke", stage.release.state.revision)
        await stage.press("j", "j", "w")
        await stage.press(*"scanned by hand", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["item"], said["reason"]) == ("waive", "security", "scanned by hand")
        await stage.press("k", "u")
        assert stage.engine.orders[-1][1]["item"] == "performance"


async def test_a_waiver_without_words_is_none() -> None:
    async with staged(rehearsal.preflight()) as stage:
        await stage.press("w", "space", "enter")
        await stage.press("w", *"never mind", "escape")
        assert stage.engine.orders == []


async def test_the_next_open_item_is_chosen_once_the_tick_is_in_effect() -> None:
    async with staged(rehearsal.preflight()) as stage:
        await stage.press("t")
        assert "tick smoke: accepted, not yet in effect" in stage.screen()
        assert stage.app.scene().item == "smoke"
        done = len(stage.release.events)
        stage.release.order("tick", item="smoke")
        await stage.replay(done)
        assert "tick smoke: in effect" in stage.screen()
        assert stage.app.scene().item == "security"


async def test_a_tick_from_elsewhere_goes_to_the_list_first() -> None:
    async with staged(rehearsal.baking()) as stage:
        assert isinstance(stage.app.focused, MetricsTable)
        await stage.press("t")
        assert stage.engine.orders == []
        assert isinstance(stage.app.focused, Checklist)


# --- around


async def test_choosing_a_metric_shows_its_reason() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("m", "j", "down", "k")
        assert "latency_p95 inside its lines" in stage.screen()
        await stage.press("tab")
        assert isinstance(stage.app.focused, Checklist)


async def test_a_note_is_given_in_words() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("n", *"all quiet", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["reason"]) == ("note", "all quiet")


async def test_cancel_asks_first() -> None:
    async with staged(rehearsal.preflight()) as stage:
        await stage.press("x", "enter")
        assert stage.engine.orders == []
        await stage.press("x", "y")
        assert stage.engine.orders[-1][0] == "cancel"


async def test_q_leaves_the_release_running() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("q")
        assert stage.app.return_value is not None
        assert stage.app.return_value.phase is stage.release.state.phase
        assert stage.engine.orders == []


async def test_ctrl_c_says_how_to_leave_and_ctrl_q_does_nothing() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("ctrl+q", "ctrl+c")
        assert "q leaves; the release goes on" in stage.screen()


async def test_the_palette_finds_a_command_by_name() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("ctrl+p")
        await stage.press(*"pause")
        await stage.pilot.pause(0.3)
        await stage.press("enter")
        await stage.settle()
        assert [verb for verb, _ in stage.engine.orders] == ["pause"]


async def test_an_alert_rings_once_and_not_for_history(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(rehearsal.alert()) as stage:
        rung: list[str] = []
        monkeypatch.setattr(stage.app, "bell", lambda: rung.append("bell"))
        stage.engine.say(AlertRaised(at=stage.clock.at, metric="latency_p95", reason="slow"))
        await stage.settle()
        assert rung == ["bell"]
        assert "! ALERT error_rate +1" in stage.screen()


async def test_a_question_of_the_engine_is_answered_with_a_reason() -> None:
    release = Rehearsal(rules=rehearsal.rules(on_fail="ask"))
    release.wait(2)
    release.observe()
    release.check("smoke")
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id)
    release.order("advance")
    release.write()
    release.look(bad={"error_rate": (0.05, Outcome.FAIL, rehearsal.FAILING)})
    async with staged(release) as stage:
        assert "? ASKS" in stage.screen()
        assert "rolls back by itself" in stage.screen()
        assert "2:00 left" in stage.row("NEXT")
        await stage.press("p", *"a known customer", "enter")
        verb, said = stage.engine.orders[-1]
        assert (verb, said["reason"]) == ("resume", "a known customer")


# --- when the engine falls silent


async def test_stale_disables_advance_and_nothing_else() -> None:
    async with staged(rehearsal.ready()) as stage:
        stage.clock.at += 3
        await stage.settle()
        assert "STALE." in stage.screen()
        await stage.press("a")
        assert "nothing is heard from the engine (stale)" in stage.screen()
        assert stage.engine.orders == []
        await stage.press("p")
        await stage.press("R", "y")
        assert [verb for verb, _ in stage.engine.orders] == ["pause", "rollback"]


async def test_a_beat_ends_it() -> None:
    async with staged(rehearsal.ready()) as stage:
        stage.clock.at += 3
        await stage.settle()
        stage.engine.beat(stage.clock.at)
        await stage.settle()
        assert "STALE" not in stage.screen()
        await stage.press("a")
        assert stage.engine.orders[-1][0] == "advance"


async def test_what_the_engine_says_of_itself_is_shown() -> None:
    async with staged(rehearsal.baking()) as stage:
        stage.engine.beat(stage.clock.at, "the journal's disk is nearly full")
        await stage.settle()
        assert "THE ENGINE SAYS: the journal's disk is nearly full" in stage.screen()


async def test_an_event_that_the_cockpit_stumbles_over_leaves_the_keys_alive() -> None:
    async with staged(rehearsal.baking()) as stage:
        stage.engine.say(LapRecorded(at=stage.clock.at, lap="recovered", when=stage.clock.at))  # with no roll back
        await stage.settle()
        assert "the cockpit stumbled (feed)" in stage.screen()
        await stage.press("R", "y")
        assert stage.engine.orders[-1][0] == "rollback"


# --- the demo


async def test_the_fault_chooser_switches_a_fault() -> None:
    demo = FakeDemo()
    async with staged(rehearsal.baking(), demo=demo) as stage:
        assert demo.about in stage.screen()
        await stage.press("b")
        assert "off errors: 5% of answers are 500" in stage.screen()
        await stage.press("j", "enter")
        await stage.settle()
        assert demo.on == {"latency"}
        assert "fault latency is on" in stage.screen()
        await stage.press("b", "k", "k")
        await stage.press("j", "enter")
        await stage.settle()


async def test_a_sandbox_that_does_not_answer_is_said() -> None:
    async with staged(rehearsal.baking(), demo=FakeDemo(broken="refused")) as stage:
        await stage.press("b")
        await stage.settle()
        assert "the sandbox does not answer: refused" in stage.screen()


async def test_b_is_only_there_in_a_demo() -> None:
    async with staged(rehearsal.baking()) as stage:
        await stage.press("b")
        assert len(stage.app.screen_stack) == 1
        assert "break" not in stage.row("detach")


@pytest.mark.parametrize(("key", "stopped"), [("s", True), ("k", False)])
async def test_leaving_a_demo_asks_about_the_sandbox(key: str, stopped: bool) -> None:
    demo = FakeDemo()
    async with staged(rehearsal.baking(), demo=demo) as stage:
        await stage.press("q")
        assert "Leave the demo?" in stage.screen()
        await stage.press(key)
        await stage.settle()
        assert demo.stopped is stopped
        assert stage.app.return_value is not None
        assert stage.app.return_value.stopped is stopped


# --- themes


async def test_themes_go_round_and_a_broken_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\ncolors: {primary: red}\n")
    async with staged(rehearsal.baking(), themes_folder=tmp_path, theme="none-such", size=(120, 35)) as stage:
        assert stage.app.theme == "dark"
        said = " ".join(toast.message for toast in stage.app._notifications)
        assert "mine.yaml: colors.primary: found 'red'" in said
        assert "there is no theme 'none-such'" in said
        seen = []
        for _ in range(5):
            await stage.press("T")
            seen.append(stage.app.theme)
        assert set(seen) == {"dark", "light", "high-contrast", "okabe-ito"}
        assert seen[-1] == seen[0]


async def test_reconnecting_goes_on_after_the_last_event_seen() -> None:
    release = rehearsal.baking()
    engine = FakeEngine(history=list(release.events), beats_at=release.at)
    async with staged(release, engine=engine) as stage:
        engine.lose("gone")
        await stage.settle()
        engine.gone = ""
        await stage.pilot.pause(0.7)
        await stage.settle()
        assert engine.asked_after[0] == 0
        assert engine.asked_after[-1] == len(release.events)
