"""Each pane's lines, drawn without an app."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.chart import ChartData, plot
from widgets.checklist import Checklist, ChecklistRows, ItemRow
from widgets.glyphs import ASCII, UNICODE
from widgets.lanes import Lanes, RoadLanes
from widgets.lines import Line, line_width, text_of
from widgets.metrics_table import MetricRow, MetricsTable, MetricTable
from widgets.notes import (
    Banner,
    Coming,
    EventLog,
    KeyHint,
    KeyLine,
    LogLine,
    NextAction,
    Notice,
    Panel,
    PanelRow,
    panel_lines,
)
from widgets.stage_bar import StageBar, StageCell


def shown(lines: list[Line]) -> list[str]:
    return text_of(tuple(lines)).split("\n")


def stages(count: int, now: int) -> tuple[StageCell, ...]:
    return tuple(
        StageCell(number + 1, "done" if number < now else "now" if number == now else "ahead", "", 0.5)
        for number in range(count)
    )


def test_the_stage_bar_says_done_now_and_next() -> None:
    cells = (StageCell(5, "done", "done"), StageCell(25, "now", "bake 0:42", 0.5), StageCell(100, "next", "next"))
    words, bars = shown(StageBar().draw_value(cells, 62, 2))
    assert words == " ✔ 5% done           ▶ 25% bake 0:42     ○ 100% next"
    assert bars.count("━") == 19 + 9


@given(st.integers(1, 60), st.integers(0, 59), st.integers(20, 200))
def test_the_present_stage_is_always_in_sight(count: int, now: int, width: int) -> None:
    lines = StageBar().draw_value(stages(count, min(now, count - 1)), width, 2)
    assert "▶" in shown(lines)[0]
    assert all(line_width(one) <= width for one in lines)


@pytest.mark.parametrize(("observed", "canary_cells"), [(0.0, 0), (1.0, 1), (50.0, 23), (99.9, 45), (100.0, 46)])
def test_a_side_with_traffic_always_has_a_piece_of_road(observed: float, canary_cells: int) -> None:
    lanes = Lanes("v1", "v2", observed, observed)
    top, bottom = shown(RoadLanes().draw_value(lanes, 72, 2))
    assert bottom.count("█") == canary_cells
    assert top.count("█") == 46 - canary_cells


def test_an_unread_weight_is_a_question_and_a_wanted_one_a_mark() -> None:
    unknown = shown(RoadLanes().draw_value(Lanes("v1", "v2", 5, None), 72, 2))
    assert "█" not in "".join(unknown)
    assert "?" in unknown[0]
    wanted = shown(RoadLanes().draw_value(Lanes("v1", "v2", 50, 5.0), 72, 2))
    assert all("┆" in row for row in wanted)


ROW = MetricRow("errors", "0.1%", "0.2%", "> 2%", (0.1, 0.2), 0.1, "✔", "pass", "good", "errors 0.1%: inside its lines")


def test_the_chosen_metric_is_in_sight_with_its_reason() -> None:
    rows = tuple(replace(ROW, name=f"metric_{number}", reason=f"reason {number}") for number in range(30))
    text = shown(MetricsTable().draw_value(MetricTable(rows, chosen=29), 80, 8))
    assert any("▸ metric_29" in row for row in text)
    assert text[-1].strip() == "reason 29"
    assert text[0].startswith("  METRIC (+24)")


@pytest.mark.parametrize(("height", "expected"), [(3, 0), (4, 1), (6, 3), (20, 3)])
def test_the_numbers_behind_the_reason_take_what_room_is_left(height: int, expected: int) -> None:
    row = replace(ROW, reason="the reason", why=("one", "two", "a third that is longer " * 9))
    text = shown(MetricsTable().draw_value(MetricTable((row,)), 80, height))
    assert text[2].strip() == "the reason"
    assert [one.strip()[:5] for one in text[3:]] == ["one", "two", "a thi"][:expected]


def test_an_alert_stands_in_the_verdicts_place_until_it_fails() -> None:
    rings = replace(ROW, alert=True, tone="")
    assert "! ALERT" in shown(MetricsTable().draw_value(MetricTable((rings,)), 80, 8))[1]
    fails = replace(ROW, alert=True, tone="bad", sign="✘", word="FAIL")
    assert "✘ FAIL" in shown(MetricsTable().draw_value(MetricTable((fails,)), 80, 8))[1]


def test_two_rows_for_each_metric_when_tall() -> None:
    text = shown(MetricsTable().draw_value(MetricTable((ROW, ROW), tall=True), 80, 8))
    assert [row[2:8] for row in text[1:5]] == ["      ", "errors", "      ", "errors"]


ITEMS = tuple(
    ItemRow(f"item-{number}", "pre" if number < 8 else "during" if number < 17 else "post", f"words {number}", "open")
    for number in range(24)
)


@given(st.integers(0, 23), st.integers(2, 40), st.integers(30, 120))
def test_the_chosen_item_is_in_sight_at_every_height(chosen: int, height: int, width: int) -> None:
    lines = Checklist().draw_value(ChecklistRows(ITEMS, chosen), width, height)
    assert len(lines) <= height
    assert all(line_width(one) <= width for one in lines)
    assert any(f"words {chosen}" in row and "▸" in row for row in shown(lines))


def test_the_head_counts_what_is_settled() -> None:
    rows = (ItemRow("a", "pre", "a", "done"), ItemRow("b", "pre", "b", "waived"), ItemRow("c", "post", "c", "open"))
    drawn = Checklist().draw_value(ChecklistRows(rows), 80, 1)
    assert shown(drawn) == [" CHECKLIST  before 2/2  during 0/0  after 0/1"]


def test_the_manual_command_stays_whole_in_a_banner() -> None:
    notice = Notice("NO ENGINE: nothing is guarded.", "no engine answers. By hand: sh /var/lib/x/rollback.sh")
    text = " ".join(row.strip() for row in shown(Banner().draw_value(notice, 60, 3)))
    assert text.endswith("By hand: sh /var/lib/x/rollback.sh")


def test_a_panels_long_text_takes_a_second_row() -> None:
    panel = Panel("ROLLED BACK", "alarm", (PanelRow("why", "word " * 30),))
    lines = panel_lines(panel, 60)
    assert len(lines) == 3
    assert shown(lines)[2].startswith(" " * 13 + "word")


def test_what_comes_keeps_its_countdown_however_long_the_words() -> None:
    coming = Coming("x" * 300, "0:42 left", "50%", (("a", "advance"),))
    first, second = shown(NextAction().draw_value(coming, 80, 2))
    assert first.endswith("0:42 left")
    assert second == " THEN    50% · a advance"


def test_the_log_shows_the_newest_and_never_overflows() -> None:
    entries = tuple(LogLine("14:00:00", f"{number} " + "long " * 50) for number in range(9))
    lines = EventLog().draw_value(entries, 60, 3)
    assert [row.split()[1] for row in shown(lines)] == ["6", "7", "8"]
    assert all(line_width(one) <= 60 for one in lines)


def test_the_key_line_drops_the_least_important_and_never_the_way_back() -> None:
    hints = (KeyHint("a", "advance", True, 1), KeyHint("R", "roll back", True, 0), KeyHint("n", "note", True, 6))
    assert shown(KeyLine().draw_value(hints, 40, 1)) == [" a advance  R roll back  n note"]
    assert shown(KeyLine().draw_value(hints, 26, 1)) == [" a advance  R roll back"]
    assert shown(KeyLine().draw_value(hints, 14, 1)) == [" R roll back"]


CHART = ChartData("errors (%)", (-4.0, -2.0, 0.0), (0.1, None, 0.3), (0.1, float("nan"), 0.1), 2.0, 0.1)


def test_a_chart_has_its_size_its_gaps_and_its_threshold() -> None:
    rows = plot(CHART, 60, 12, ascii_only=False)
    assert len(rows) == 12
    assert any(role == "bad" for row in rows for _, role in row)
    assert any(role == "canary" for row in rows for _, role in row)


def test_the_threshold_is_drawn_where_it_is_and_not_where_the_data_end() -> None:
    beyond = replace(CHART, canary=(0.1, 4.0, 0.3), line=1.0, baseline=None)
    rows = plot(beyond, 60, 14, ascii_only=False)
    (drawn,) = [number for number, row in enumerate(rows) if any(role == "bad" for _, role in row)]
    assert 7 <= drawn <= 10  # of 11 rows from 4.4 down to 0


def test_a_chart_of_nothing_and_in_ascii_is_drawn_too() -> None:
    empty = ChartData("nothing", (), (), (), None, None)
    assert len(plot(empty, 60, 12, ascii_only=False)) == 12
    assert text_of(tuple(plot(CHART, 60, 12, ascii_only=True))).isascii()


def test_the_two_sets_of_signs_have_the_same_cells() -> None:
    for name in UNICODE.__slots__:
        there, here = getattr(UNICODE, name), getattr(ASCII, name)
        assert here.isascii()
        assert name == "arrow" or len(there) == len(here)
