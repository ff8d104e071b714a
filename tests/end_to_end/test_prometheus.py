"""Prometheus fails while a release runs: never an advance, always an explanation, and no obstacle to a way back."""

from __future__ import annotations

import pytest

from engine import events as ev
from tests.end_to_end.plans import HURRY
from tests.end_to_end.steps import (
    advance,
    advance_refused,
    at_first_gate,
    begin,
    events_of,
    never_advanced,
    rolled_back,
    until_explained,
)
from tests.support.moody_proxy import moody_proxy
from tests.support.shop_behind_envoy import Site

pytestmark = pytest.mark.real


def test_one_that_stands_still_is_stopped_and_comes_back(site: Site) -> None:
    at_first_gate(site)
    site.prometheus.freeze()
    until_explained(site, "did not answer")
    assert "the source shows nothing" in advance_refused(site)
    site.prometheus.stop()
    until_explained(site, "connection attempts failed")
    site.until(lambda: "blind" in site.look()["holds"])
    never_advanced(site.history())
    site.prometheus.start()
    site.until(lambda: "advance" in site.look()["orders"])
    advance(site)
    site.at_stage(1)
    site.prometheus.stop()
    site.order("rollback")
    rolled_back(site, 10)


def test_one_that_is_slow_or_answers_half(site: Site) -> None:
    with moody_proxy(site.prometheus.url) as prometheus:
        at_first_gate(site, prometheus=prometheus.url)
        prometheus.behave(delay=2.0)
        until_explained(site, "did not answer")
        assert "the source shows nothing" in advance_refused(site)
        prometheus.behave()
        site.until(lambda: "advance" in site.look()["orders"])
        prometheus.behave(half=True)
        until_explained(site, "peer closed connection")
        assert "the source shows nothing" in advance_refused(site)
        site.until(lambda: "blind" in site.look()["holds"])
        never_advanced(site.history())
        site.order("rollback")
        rolled_back(site, 10)


def test_one_that_leaves_the_canary_out_is_no_proof_of_health(site: Site) -> None:
    """Data of stable and none of the canary: nobody can tell a canary that is gone from one that is not shown."""
    with moody_proxy(site.prometheus.url) as prometheus:
        at_first_gate(site, prometheus=prometheus.url)
        prometheus.behave(hidden="checkout-canary")
        rolled_back(site)
        [back] = events_of(site, ev.RollbackStarted)
        assert (back.metric, back.who) == ("liveness", "laneshift")
        never_advanced(site.history())


def test_one_that_shows_nothing_from_the_start_lets_nothing_begin(site: Site) -> None:
    with moody_proxy(site.prometheus.url) as prometheus:
        prometheus.behave(half=True)
        begin(site, stages=HURRY, prometheus=prometheus.url)
        until_explained(site, "the source shows nothing")
        site.never(lambda: site.weight() != 0, 3)
        site.order("cancel")
        site.ends("cancelled")
