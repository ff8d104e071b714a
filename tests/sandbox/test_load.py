from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.load import ActiveUsers, DatabasePool, RequestRate


def test_the_rate_follows_a_change_of_traffic():
    rate = RequestRate()
    for tick in range(3000):
        rate.count(tick / 100)
    assert rate.per_second(30) == pytest.approx(100, rel=0.02)
    assert rate.per_second(60) < 1


def test_a_user_is_active_for_a_minute():
    users = ActiveUsers()
    users.see("a", 0)
    users.see("b", 30)
    users.see("a", 50)
    assert [users.number(now) for now in (50, 89, 91, 109, 111)] == [2, 2, 1, 1, 0]


def test_users_who_left_take_no_memory():
    users = ActiveUsers()
    for second in range(1000):
        users.see(str(second), second)
    assert len(users._seen) <= 61


@given(st.integers(0, 2**32))
def test_half_the_pool_is_in_use_until_it_leaks_to_95_and_comes_back(seed):
    pool = DatabasePool(random.Random(seed), 0)
    calm = []
    for second in range(100):
        pool.advance(second, leaks=False)
        calm.append(pool.in_use())
    assert 44 <= min(calm) <= max(calm) <= 56
    pool.advance(114, leaks=True)
    assert 89 <= pool.in_use() <= 95
    pool.advance(10_000, leaks=True)
    assert 89 <= pool.in_use() <= 95
    pool.advance(10_006, leaks=False)
    assert 44 <= pool.in_use() <= 56


def test_a_leak_passes_80_within_15_seconds_and_not_at_once():
    pool = DatabasePool(random.Random(1), 0)
    pool.advance(1, leaks=True)
    assert pool.in_use() < 65
    pool.advance(13, leaks=True)
    assert pool.in_use() > 80
