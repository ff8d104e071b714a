"""Percent as weights of servers, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.routers.haproxy_cli import Server
from engine.routers.haproxy_weights import HIGHEST, configured_weight, share_of, weight_of, weights_for

SIZES = st.integers(1, 60)


def servers(count: int, weight: int, initial: int = 0) -> list[Server]:
    return [Server(f"s{number}", weight, initial, up=True, checked=True) for number in range(count)]


@pytest.mark.parametrize(
    ("weight", "canaries", "stables", "each"),
    [
        (0, 1, 1, (0, 100)),
        (5, 1, 1, (5, 95)),
        (100, 3, 9, (100, 0)),
        (5, 1, 10, (10, 19)),
        (50, 2, 6, (150, 50)),
        (25, 4, 4, (100, 300)),
    ],
)
def test_a_share_is_made_of_whole_weights(weight: int, canaries: int, stables: int, each: tuple[int, int]) -> None:
    canary, stable = weights_for(weight, canaries, stables)
    assert canary * each[1] == stable * each[0]
    assert share_of(canary * canaries, stable * stables) == pytest.approx(weight)


@given(st.integers(1, 99), SIZES, SIZES)
def test_both_sides_keep_some_traffic_and_no_weight_is_beyond_what_haproxy_takes(
    weight: int, canaries: int, stables: int
) -> None:
    canary, stable = weights_for(weight, canaries, stables)
    assert 1 <= canary <= HIGHEST
    assert 1 <= stable <= HIGHEST


@given(st.integers(1, 99), st.integers(1, 10), st.integers(1, 10))
def test_no_other_pair_of_weights_is_much_nearer(weight: int, canaries: int, stables: int) -> None:
    canary, stable = weights_for(weight, canaries, stables)
    off = abs(share_of(canary * canaries, stable * stables) - weight)
    nearest = min(
        abs(share_of(one * canaries, other * stables) - weight)
        for one in range(1, HIGHEST + 1)
        for other in {max(1, min(HIGHEST, round(one * canaries * (100 - weight) / weight / stables)))}
    )
    assert off <= nearest + 0.01


@given(st.integers(0, 100), SIZES, SIZES)
def test_what_was_written_is_what_is_read(weight: int, canaries: int, stables: int) -> None:
    """Also where several percents end as the same pair."""
    canary, stable = weights_for(weight, canaries, stables)
    assert weight_of(servers(canaries, canary), servers(stables, stable), float(weight)) == weight


def test_weights_of_another_hand_are_their_share() -> None:
    assert weight_of(servers(1, 10), servers(1, 95)) == 9.52
    assert weight_of([*servers(1, 10), *servers(1, 20)], servers(1, 70)) == 30
    assert weight_of(servers(1, 0), servers(1, 0)) == 0
    assert configured_weight(servers(1, 9, initial=50), servers(1, 9, initial=50)) == 50
