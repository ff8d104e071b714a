from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.binomial import upper_tail


def exact_tail(bad: int, total: int, share: Fraction) -> float:
    terms = (math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(bad, total + 1))
    return float(sum(terms))


@given(total=st.integers(1, 60), bad=st.integers(0, 60), percent=st.integers(1, 60))
def test_above_the_mean_it_is_the_exact_tail(total: int, bad: int, percent: int) -> None:
    tail = upper_tail(bad, total, percent / 100)
    if bad > total * percent / 100:
        assert tail == pytest.approx(exact_tail(bad, total, Fraction(percent, 100)), rel=1e-9)
    else:
        assert tail == 1


@given(total=st.integers(1, 10**12), share=st.floats(1e-6, 0.9), excess=st.floats(0, 10))
def test_any_size_gives_a_probability_that_falls_with_more_bad_events(total: int, share: float, excess: float) -> None:
    spread = math.sqrt(total * share * (1 - share))
    bad = min(total, math.ceil(total * share + excess * spread))
    assert 0 <= upper_tail(min(total, bad + 1 + spread), total, share) <= upper_tail(bad, total, share) <= 1


def test_the_normal_approximation_joins_the_sum() -> None:
    below, above = 1.9e6, 2.1e6  # variances just below and above the switch, both 4 spreads above the mean
    tails = [upper_tail(n / 2 + 4 * math.sqrt(n / 4), n, 0.5) for n in (2 * below, 2 * above)]
    assert tails[0] == pytest.approx(tails[1], rel=0.05)
    assert tails[0] == pytest.approx(3.17e-5, rel=0.05)


def test_impossible_counts_have_no_probability() -> None:
    assert upper_tail(1, 0, 0.1) == 0
    assert upper_tail(1, 10, 0) == 0
    assert upper_tail(11, 10, 0.5) == 0
