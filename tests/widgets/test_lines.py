from __future__ import annotations

from textual.app import App, ComposeResult
from textual.geometry import Region

from widgets.lines import Line, Pane, _changed, cut, line, line_width, spread, text_of


def test_spans_are_plain_and_empty_ones_left_out() -> None:
    assert line("a\x1b", ("", "bold"), ("b", "bad")) == (("a\N{REPLACEMENT CHARACTER}", ""), ("b", "bad"))


def test_cut_and_spread_keep_the_width() -> None:
    long = line("stable", ("canary", "canary"))
    assert line_width(cut(long, 8)) == 8
    assert text_of((spread(line("left"), line("right"), 12),)) == "left   right"
    assert text_of((spread(line("much too long"), line("right"), 10),)) == "muc… right"
    assert line_width(spread(line("x"), line("wider than all"), 5)) == 5


def test_only_the_cells_that_differ_are_dirty() -> None:
    old = line("time ", ("14:00:01", "dim"), " rest")
    new = line("time ", ("14:00:02", "dim"), " rest")
    assert _changed(old, new, 3, 40) == Region(5, 3, 8, 1)
    assert _changed(old, line("time ", ("14:00", "dim")), 0, 40) == Region(5, 0, 35, 1)


class Counted(Pane[str]):
    """Counts what is painted."""

    refreshed = 0

    def draw_value(self, value: str, _width: int, _height: int) -> list[Line]:
        return [line(value)]

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False):
        self.refreshed += 1
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class OnePane(App[None]):
    def compose(self) -> ComposeResult:
        yield Counted()


async def test_what_is_equal_is_not_painted_again() -> None:
    app = OnePane()
    async with app.run_test():
        pane = app.query_one(Counted)
        pane.show("first")
        before = pane.refreshed
        pane.show("first")
        assert pane.refreshed == before
        pane.show("second")
        assert pane.refreshed == before + 1
        assert pane.render_line(0).text.rstrip() == "second"
        assert pane.render_line(7).text.strip() == ""
