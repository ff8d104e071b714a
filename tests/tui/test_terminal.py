from __future__ import annotations

import pytest

from tests.tui.fake_engine import FakeEngine
from tui.app import run_cockpit
from tui.terminal import TerminalUnfit, glyphs_for, require_fit
from widgets.ascii import ascii_of
from widgets.glyphs import ASCII, UNICODE
from widgets.plain import width_of


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_terminal_that_cannot_move_its_cursor_is_refused_with_the_alternative(term: str) -> None:
    with pytest.raises(TerminalUnfit, match="laneshift status shop-1 --watch"):
        require_fit({"TERM": term}, interactive=True, release="shop-1")


def test_a_pipe_is_no_terminal() -> None:
    with pytest.raises(TerminalUnfit, match="this is no terminal"):
        require_fit({"TERM": "xterm"}, interactive=False, release="shop-1")


@pytest.mark.parametrize("term", ["xterm-256color", "screen", "tmux", "linux"])
def test_usual_terminals_are_fit(term: str) -> None:
    require_fit({"TERM": term}, interactive=True, release="shop-1")


def test_nothing_is_drawn_before_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(TerminalUnfit):
        run_cockpit(FakeEngine(), "shop-1")  # type: ignore[arg-type]  # it is refused before the engine is asked


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        ({"LANG": "en_US.UTF-8"}, UNICODE),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, ASCII),
        ({"LC_CTYPE": "de_DE.utf8", "LANG": "C"}, UNICODE),
        ({}, ASCII),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, ASCII),
    ],
)
def test_signs_follow_the_locale(environment: dict[str, str], glyphs: object) -> None:
    assert glyphs_for(environment) == glyphs


@pytest.mark.parametrize("text", ["plain", "日本 …", "┃ frame ┃", "é"])
def test_ascii_keeps_the_width(text: str) -> None:
    assert ascii_of(text).isascii()
    assert width_of(ascii_of(text)) == width_of(text)
