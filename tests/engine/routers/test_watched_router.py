"""A router that only looks: weights in whole percent, and never a write."""

from __future__ import annotations

import pytest

from engine.routers import Ending, RouterError, Write
from engine.routers.watched import WatchedRouter
from tests.support.fake_shop import FakeRouter, Shop

WRITE = Write("shop-1", "1.1", 25, None)


@pytest.mark.parametrize(
    ("shown", "whole"), [(0, 0), (0.2, 1), (9.1, 9), (49.5, 50), (99.6, 99), (99.99, 99), (100, 100)]
)
async def test_a_little_is_not_nothing_and_nearly_all_is_not_all(shown: float, whole: int) -> None:
    seen = await WatchedRouter(FakeRouter(Shop(weight=shown))).observe()
    assert (seen.weight, seen.share) == (whole, None if shown == whole else shown)


async def test_nothing_is_written_whatever_is_asked() -> None:
    shop = Shop(weight=25)
    router = WatchedRouter(FakeRouter(shop))
    for refused in (router.shift, router.finish):
        with pytest.raises(RouterError):
            await refused(WRITE)
    await router.claim("shop-1", "engine")
    assert await router.scale(50) == ""
    assert await router.let_go(Ending("shop-1", "promoted", canary_to_zero=True)) == ""
    await router.rehearse(WRITE)
    assert (shop.asked, shop.writes) == ([], [])


def test_the_router_knows_that_its_target_may_belong_to_anybody() -> None:
    inner = FakeRouter(Shop())
    WatchedRouter(inner)
    assert inner.foreign
