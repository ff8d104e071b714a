from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.reach import (
    requests_to_prove_below,
    requests_to_prove_harm,
    requests_to_prove_ratio,
    smallest_ratio_shown,
)


@given(usual=st.floats(1e-4, 0.1), n=st.floats(1e3, 1e7))
def test_what_is_shown_with_so_many_requests_needs_so_many(usual: float, n: float) -> None:
    ratio = smallest_ratio_shown(usual, n, 3 * n, alpha=0.002)
    if 1.001 < ratio < min(100, 1 / usual):
        assert requests_to_prove_harm(ratio, usual, 25, alpha=0.002) == pytest.approx(n, rel=0.01)


def test_the_founding_lines_need_what_is_known_of_them() -> None:
    assert requests_to_prove_below(0.005, 0.001, beta=0.05) == pytest.approx(1253 * 1.23, rel=0.05)
    assert requests_to_prove_ratio(2, 0.001, 5, beta=0.05) == pytest.approx(11000, rel=0.15)


def test_questions_that_traffic_cannot_answer_take_for_ever() -> None:
    assert requests_to_prove_ratio(2, 0.001, 100, beta=0.05) == inf
    assert requests_to_prove_ratio(2, 0.0, 50, beta=0.05) == inf
    assert requests_to_prove_below(0.005, 0.02, beta=0.05) == inf
    assert smallest_ratio_shown(0.001, 1, 19, alpha=0.002) == inf
    assert smallest_ratio_shown(0.001, 0, 0, alpha=0.002) == inf


def test_bursts_cost_in_proportion() -> None:
    assert requests_to_prove_harm(2, 0.01, 5, 0.002, phi=4) == pytest.approx(
        4 * requests_to_prove_harm(2, 0.01, 5, 0.002)
    )
