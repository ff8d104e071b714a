from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from widgets.glyphs import ASCII, UNICODE
from widgets.lines import line_width, text_of
from widgets.spark import spark


def drawn(values: list[float | None], width: int, rows: int = 1, mark: float | None = None) -> str:
    return text_of(tuple(spark(values, width, rows, UNICODE, mark)))


def test_the_scale_is_fixed_whatever_the_data() -> None:
    assert drawn([0.0, 0.5, 0.99], 4) == "│▁▅█"
    assert drawn([0.1, 0.1, 0.1], 4) == "│▁▁▁"


def test_past_the_line_is_a_sign_of_its_own_in_one_row_and_a_bar_above_the_line_in_two() -> None:
    assert drawn([0.5, 1.01], 3) == "│▅▲"
    assert drawn([0.5, 1.5], 3, rows=2) == "▁▁▅\n│▅█"
    assert spark([1.01], 2, 1, UNICODE)[0][-1] == ("▲", "bad")


def test_gaps_are_gaps() -> None:
    assert drawn([0.5, None, math.nan, math.inf, 0.5], 6) == "│▅   ▅"


def test_the_baseline_is_marked_at_the_left_and_the_newest_values_win() -> None:
    assert drawn([0.0, 0.5, 0.99], 3, mark=0.5) == "▅▅█"
    assert drawn([], 4) == "│"


def test_ascii_has_eight_levels_too() -> None:
    shown = text_of(tuple(spark([0.0, 0.99, 2.0], 4, 1, ASCII)))
    assert shown.isascii()
    assert shown == "|_#^"


@given(st.lists(st.none() | st.floats()), st.integers(1, 60), st.sampled_from([1, 2]), st.none() | st.floats())
def test_every_line_has_the_width(values: list[float | None], width: int, rows: int, mark: float | None) -> None:
    lines = spark(values, width, rows, UNICODE, mark)
    assert [line_width(one) for one in lines] == [width] * rows
