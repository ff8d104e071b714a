from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.interval import RatioInterval, rate_interval


@given(total=st.integers(1, 10**12), share=st.floats(0, 1), phi=st.floats(1, 20))
def test_the_interval_of_a_rate_holds_what_was_seen(total: int, share: float, phi: float) -> None:
    low, high = rate_interval(total, int(total * share), phi)
    assert 0 <= low <= int(total * share) / total <= high <= 1


def test_the_interval_of_a_rate_narrows_with_requests_and_widens_with_bursts() -> None:
    widths = [high - low for low, high in (rate_interval(n, n / 100, 1) for n in (1e3, 1e4, 1e5))]
    assert widths == sorted(widths, reverse=True)
    burst_low, burst_high = rate_interval(1e4, 100, 6)
    assert burst_high - burst_low > widths[1]
    assert rate_interval(0, 0, 1) == (0, 1)


def test_the_interval_of_the_ratio_covers_the_truth_at_every_look() -> None:
    rng = random.Random(3)
    missed = 0
    for _ in range(40):
        ratio = RatioInterval()
        covered = True
        for _ in range(60):
            x_c = sum(rng.random() < 0.02 for _ in range(100))
            x_s = sum(rng.random() < 0.01 for _ in range(300))
            ratio.look((100, x_c), (300, x_s), 1.0)
            low, high = ratio.read()
            covered &= low <= 2.2 and high >= 1.8
        missed += not covered
    assert missed <= 4
    assert low > 1
    assert high < 4


def test_nothing_seen_says_nothing_of_the_ratio() -> None:
    assert RatioInterval().read() == (pytest.approx(0.1), pytest.approx(100))
