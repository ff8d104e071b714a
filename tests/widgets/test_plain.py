from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.plain import fit, plain, width_of, wrap


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("checkout", "checkout"),
        ("a\x1b[31mred\x1b[0m", "a\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}[0m"),
        ("two\nlines\tand tabs", "two lines and tabs"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}evil", "evil"),
        ("zero\N{ZERO WIDTH SPACE}width", "zerowidth"),
        ("bell\x07", "bell\N{REPLACEMENT CHARACTER}"),
        ("csi\x9b2J", "csi\N{REPLACEMENT CHARACTER}2J"),
        ("[red]no markup[/]", "[red]no markup[/]"),
        ("日本", "日本"),
    ],
)
def test_text_from_outside_is_made_plain(given_text: str, shown: str) -> None:
    assert plain(given_text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    left = {unicodedata.category(char) for char in plain(text)}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def test_a_tower_of_marks_is_cut_down() -> None:
    assert plain("a" + "\N{COMBINING ACUTE ACCENT}" * 50) == "a" + "\N{COMBINING ACUTE ACCENT}" * 2


@given(st.text(), st.integers(0, 40), st.booleans())
def test_fit_takes_exactly_the_width(text: str, width: int, right: bool) -> None:
    assert width_of(fit(text, width, right=right)) == width


def test_fit_aligns_and_cuts() -> None:
    assert fit("ab", 4) == "ab  "
    assert fit("ab", 4, right=True) == "  ab"
    assert fit("abcdef", 4) == "abc…"


@given(st.text(), st.integers(1, 30), st.integers(1, 4))
def test_wrap_stays_inside_its_box(text: str, width: int, rows: int) -> None:
    lines = wrap(text, width, rows)
    assert 1 <= len(lines) <= rows
    assert all(width_of(one) <= max(width, 2) for one in lines)  # a wide character needs two cells


def test_wrap_breaks_at_blanks_and_says_that_more_follows() -> None:
    assert wrap("roll back by hand", 9, 3) == ["roll back", "by hand"]
    assert wrap("one two three four", 5, 2) == ["one", "two …"]
