"""The share that the source counts against the router's, by simulation of traffic that comes in uneven lumps."""

from __future__ import annotations

import random

import pytest

from engine.judge.share import disagreement

LOOKS = 720  # an hour at an interval of 5 s
PER_LOOK = 200


def counted(chance: random.Random, share: float, lump: int) -> int:
    """The canary's requests of one look: sessions of `lump` requests each, of which the canary gets its share."""
    return lump * sum(chance.random() < share for _ in range(PER_LOOK // lump))


def first_said(chance: random.Random, *, router: float, true: float, lump: int, looks: int = LOOKS) -> int | None:
    """The look at which the difference is said, None when it never is."""
    canary = both = due = 0.0
    for look in range(looks):
        canary += counted(chance, true, lump)
        both += PER_LOOK
        due += PER_LOOK * router
        if disagreement(canary, both, due):
            return look
    return None


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5, 0.98])
@pytest.mark.parametrize("lump", [1, 4])
def test_the_right_share_is_never_called_wrong(share: float, lump: int) -> None:
    chance = random.Random(f"{share} {lump}")
    assert all(first_said(chance, router=share, true=share, lump=lump) is None for _ in range(20))


@pytest.mark.parametrize(("router", "true"), [(0.05, 0.1), (0.25, 0.5), (0.5, 0.25), (0.05, 0.0)])
def test_twice_the_share_or_half_of_it_is_found_soon(router: float, true: float) -> None:
    chance = random.Random(f"{router} {true}")
    for _ in range(20):
        found = first_said(chance, router=router, true=true, lump=4)
        assert found is not None
        assert found * PER_LOOK <= 6000


def test_a_difference_too_small_to_matter_is_never_said() -> None:
    assert disagreement(59_000, 1_000_000, 50_000) == ""
    assert disagreement(290_000, 1_000_000, 250_000) == ""
    assert disagreement(310_000, 1_000_000, 250_000)


def test_traffic_on_a_canary_of_weight_0_is_said_and_stray_requests_are_not() -> None:
    assert disagreement(50, 10_000, 0) == ""
    assert disagreement(2_000, 10_000, 0)


def test_it_says_both_shares_and_the_counts() -> None:
    said = disagreement(2_000, 10_000, 500)
    assert said == "the router shows 5% on the canary, and the source counts 20.0% (2000 of 10000 requests)"


def test_nothing_counted_is_no_difference() -> None:
    assert disagreement(0, 0, 0) == ""
