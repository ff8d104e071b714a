"""What stands on the screen, at three sizes, in every situation that matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.client import EngineGone
from engine.events import Noted
from engine.judge.metric import Outcome
from tests.tui import rehearsal
from tests.tui.rehearsal import Rehearsal
from tests.tui.stage import Stage, assert_snapshot, staged
from widgets.glyphs import ASCII

SIZES = [(80, 24), (120, 35), (200, 50)]
SCENES: dict[str, Callable[[], Rehearsal]] = {
    "preflight": rehearsal.preflight,
    "baking": rehearsal.baking,
    "ready": rehearsal.ready,
    "paused": rehearsal.paused,
    "alert": rehearsal.alert,
    "rolling-back": rehearsal.rolling_back,
    "late": rehearsal.late,
    "rolled-back": rehearsal.rolled_back,
    "promoted": rehearsal.promoted,
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCENES)
async def test_a_scene_at_a_size(name: str, size: tuple[int, int]) -> None:
    async with staged(SCENES[name](), size=size) as stage:
        await stage.stands_as(f"{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_disconnected(size: tuple[int, int]) -> None:
    async with staged(rehearsal.baking(), size=size) as stage:
        await lose(stage)
        await stage.stands_as(f"disconnected-{size[0]}x{size[1]}")


async def lose(stage: Stage) -> None:
    stage.engine.lose("the engine is gone: connection refused")
    stage.clock.at += 5
    await stage.settle()


HOSTILE = "[red]\x1b[31m\x1b]0;owned\x07\N{RIGHT-TO-LEFT OVERRIDE}日本\N{COMBINING ACUTE ACCENT}" + "x" * 10_000


def hostile() -> Rehearsal:
    """Everything that can come from outside does."""
    release = Rehearsal(service=HOSTILE, who=HOSTILE, summary=HOSTILE, manual=HOSTILE, canary=HOSTILE)
    release.wait(2)
    release.observe()
    release.check("smoke", summary=HOSTILE)
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id, reason=HOSTILE)
    release.order("advance")
    release.write()
    for _ in range(5):
        release.look(bad={"error_rate": (float("nan"), Outcome.INCONCLUSIVE, HOSTILE)})
    release.record(Noted(at=release.at, who=HOSTILE, text=HOSTILE))
    return release


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_text_from_outside_breaks_nothing(size: tuple[int, int]) -> None:
    async with staged(hostile(), size=size) as stage:
        shown = stage.screen()
        assert_snapshot(f"hostile-{size[0]}x{size[1]}", shown)
        assert not set(shown) & set(map(chr, range(32))) - {"\n"}
        await stage.press("R")
        assert "Roll back" in stage.screen()
        assert "[ y roll back ]" in stage.screen()


async def test_a_hostile_release_at_its_end() -> None:
    release = hostile()
    release.order("rollback", reason=HOSTILE)
    async with staged(release) as stage:
        await lose(stage)
        assert "ROLLING BACK" in stage.screen()
        assert "\x1b" not in stage.screen()


@pytest.mark.parametrize("name", SCENES)
async def test_ascii_where_the_terminal_has_no_more(name: str) -> None:
    async with staged(SCENES[name](), size=(200, 50), glyphs=ASCII) as stage:
        shown = stage.screen()
        assert shown.isascii()
        await stage.press("R")
        assert stage.screen().isascii()


async def test_too_small_says_the_size_needed_and_still_rolls_back() -> None:
    async with staged(rehearsal.baking(), size=(60, 12)) as stage:
        shown = " ".join(stage.screen().split())
        assert "needs 80x24, has 60x12" in shown
        assert "R rolls back" in shown
        await stage.press("R", "y")
        assert stage.engine.orders[-1][0] == "rollback"


async def test_tiny_asks_before_it_rolls_back_too() -> None:
    async with staged(rehearsal.baking(), size=(30, 6)) as stage:
        await stage.press("R")
        assert "Roll back" in stage.screen()
        assert "Cancel" in stage.screen()
        await stage.press("y")
        assert stage.engine.orders[-1][0] == "rollback"


async def test_growing_and_shrinking_keeps_the_whole_screen() -> None:
    async with staged(rehearsal.baking(), size=(80, 24)) as stage:
        await stage.pilot.resize_terminal(200, 50)
        await stage.settle()
        large = stage.screen()
        await stage.pilot.resize_terminal(60, 10)
        await stage.settle()
        await stage.pilot.resize_terminal(80, 24)
        await stage.settle()
        await stage.stands_as("baking-80x24")
        assert_snapshot("baking-200x50", large)


async def test_help_names_every_key_and_why_one_is_dimmed() -> None:
    async with staged(rehearsal.baking(), size=(120, 35)) as stage:
        await stage.press("question_mark")
        shown = stage.screen()
        assert all(f" {command.key} " in shown for command in stage.app.commands)
        assert "now: not yet: baked" in stage.row("go on to the next stage")
        await stage.press("q")
        assert "laneshift: the keys" not in stage.screen()


async def test_before_the_first_event_the_engine_is_named() -> None:
    release = rehearsal.baking()
    async with staged(release) as stage:
        stage.app.story.state = None
        stage.app.pulse.lost = str(EngineGone("no engine answers at /run/x"))
        stage.app.paint()
        await stage.pilot.pause()
        assert "no engine answers at /run/x" in stage.screen()


async def test_without_colours_signs_and_words_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(rehearsal.rolling_back()) as stage:
        styles = [s.style for strip in stage.app.screen._compositor.render_strips() for s in strip if s.style]
        colours = {style.color.triplet for style in styles if style.color and style.color.triplet}
        assert colours
        assert all(colour.red == colour.green == colour.blue for colour in colours)
        await stage.stands_as("rolling-back-80x24")
