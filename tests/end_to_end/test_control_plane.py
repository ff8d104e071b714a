"""The API server, its store and its permissions fail while traffic is shifted: never an advance, always an
explanation, and a way back that gets there when the other side is back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from engine import events as ev
from tests.end_to_end.steps import (
    advance,
    advance_refused,
    at_first_gate,
    events_of,
    explained,
    never_advanced,
    rolled_back,
    until_explained,
)
from tests.support import kube_users
from tests.support.held_line import held_line
from tests.support.kube_api import until
from tests.support.kube_shop import APP, route
from tests.support.kube_throttle import throttled
from tests.support.shop_behind_envoy import USER, Site

pytestmark = pytest.mark.real
LOST = "the router cannot be read"


def loud_until(site: Site, words: str) -> None:
    """The way back is ordered and can't be gone: it says so, and why, and goes on trying."""
    site.order("rollback", reason="smells")
    site.ends("rollback_failed", 30)
    until_explained(site, "still trying")
    assert site.look()["manual_rollback"] in explained(site)
    until_explained(site, words)


def test_an_api_server_that_stands_still_in_mid_shift(site: Site) -> None:
    at_first_gate(site)
    site.gateway.behave(delay=1.5)
    advance(site)
    site.kube.world.server.freeze()
    site.until(lambda: site.look()["weight"]["observed"] == 20 and "no success within" in advance_refused(site))
    never_advanced(site.history(), 1)
    assert site.look()["baked_s"] == 0
    assert LOST in advance_refused(site)
    loud_until(site, "no success within")
    site.kube.world.server.thaw()
    rolled_back(site)
    never_advanced(site.history(), 1)


def test_an_api_server_that_is_killed_and_comes_back(site: Site) -> None:
    at_first_gate(site)
    site.kube.world.server.kill()
    until_explained(site, LOST)
    assert "can't connect" in advance_refused(site)
    loud_until(site, "can't connect")
    site.kube.world.server.start()
    rolled_back(site)
    never_advanced(site.history())


def test_a_store_that_is_gone(site: Site) -> None:
    at_first_gate(site)
    site.kube.world.etcd.kill()
    until_explained(site, LOST)
    assert LOST in advance_refused(site)
    loud_until(site, "")
    site.kube.world.etcd.start()
    rolled_back(site)
    never_advanced(site.history())


@contextmanager
def edited_all_the_while(site: Site) -> Iterator[None]:
    """Somebody edits the route, not its weights, as fast as the server takes it."""
    over = threading.Event()

    def edit() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            names = [{"op": "add", "path": "/spec/hostnames", "value": [f"shop-{number}.example.com"]}]
            site.kube.api.patch("HTTPRoute", APP, names, style="json", manager="kubectl-edit")

    editing = threading.Thread(target=edit)
    editing.start()
    try:
        yield
    finally:
        over.set()
        editing.join()


def raised_meanwhile(site: Site) -> bool:
    """An advance was accepted while the route was edited: what the engine had read last was in effect still."""
    site.until(lambda: "advance" in site.look()["orders"])
    seen = site.look()
    with edited_all_the_while(site):
        asked = {"stage": seen["stage"], "revision": seen["revision"]}
        accepted = site.client.give(site.release, "advance", **asked).accepted
        if accepted:
            until_explained(site, "the route changed before the weight could be written")
    return accepted


def test_a_raise_of_a_route_that_somebody_edits_is_refused_by_the_server(site: Site) -> None:
    at_first_gate(site)
    site.until(lambda: raised_meanwhile(site))
    assert site.weight() == 20
    assert "a test of the patch failed" in explained(site)
    site.until(lambda: "retry" in site.look()["orders"])
    site.order("retry")
    site.at_stage(1)
    assert site.weight() == 60
    site.order("rollback")
    rolled_back(site)


def test_a_permission_that_is_taken_away(site: Site) -> None:
    at_first_gate(site)
    site.grant("patch")
    time.sleep(0.5)  # the server takes a role in its own time
    advance(site)
    until_explained(site, "may not patch httproute checkout")
    assert "grant it, doctor prints how" in explained(site)
    assert site.weight() == 20
    loud_until(site, "may not patch httproute checkout")
    site.grant()
    rolled_back(site)
    never_advanced(site.history(), 1)


def test_a_server_that_is_asked_too_much(site: Site) -> None:
    at_first_gate(site)
    with throttled(site.kube, USER):
        until_explained(site, "429")
        assert LOST in advance_refused(site)
        loud_until(site, "429")
    rolled_back(site)
    never_advanced(site.history())


def test_a_token_that_expires_is_had_anew_from_the_plugin(site: Site) -> None:
    user = "rbac-2"
    site.grant(user=user)
    kubeconfig, login = site.kube.world.exec_kubeconfig(user, site.kube.name)
    login.say(kube_users.token_of(user) if user not in site.kube.world._renewed else site.kube.world._renewed[user])
    at_first_gate(site, kubeconfig=kubeconfig)
    token = site.kube.world.renew_token(user)
    until_explained(site, "the credentials are not accepted")
    assert LOST in advance_refused(site)
    login.say(token)
    site.until(lambda: "advance" in site.look()["orders"])
    never_advanced(site.history())
    site.order("rollback")
    rolled_back(site)


def test_a_route_that_is_deleted(site: Site) -> None:
    at_first_gate(site)
    site.kube.api.delete("HTTPRoute", APP)
    until_explained(site, "there is no httproute checkout")
    assert LOST in advance_refused(site)
    loud_until(site, "there is no httproute checkout")
    site.kube.api.apply(route(stable=80, canary=20))
    rolled_back(site)
    never_advanced(site.history())


def test_a_route_that_its_gateway_refuses(site: Site) -> None:
    at_first_gate(site)
    site.gateway.behave(refused="NotAllowedByListeners")
    until_explained(site, "Accepted is False (NotAllowedByListeners)")
    assert "not in effect everywhere" in advance_refused(site)
    site.order("rollback", reason="smells")
    site.ends("rollback_failed", 15)
    assert site.weight() == 0, "written, and no gateway does it"
    assert "Accepted is False (NotAllowedByListeners)" in explained(site) or site.look()["route"]["pending"]
    site.gateway.behave()
    rolled_back(site)
    never_advanced(site.history())


def refused_patches(site: Site) -> float:
    """Of routes, whose tests failed: the API server's own count."""
    told = site.kube.api.http.get("/metrics").text
    wanted = ('code="422"', 'resource="httproutes"')
    lines = [line for line in told.splitlines() if line.startswith("apiserver_request_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(one in line for one in wanted))


def test_a_raise_that_arrives_after_the_roll_back(site: Site) -> None:
    login = {"token": kube_users.token_of(USER)}
    with held_line(site.kube.world.url) as line:
        kubeconfig = site.home / "held"
        kubeconfig.write_text(kube_users.kubeconfig(line.url, site.kube.world.ca, login, site.kube.name))
        at_first_gate(site, kubeconfig=kubeconfig, scale="none")
        seen = site.look()
        line.hold()  # at once, while an open connection is idle: on a new one nothing but a greeting is kept
        site.order("advance", stage=seen["stage"], revision=seen["revision"])
        site.until(lambda: len(events_of(site, ev.ShiftIntended)) == 2)
        site.until(lambda: line.held)
        time.sleep(0.5)
        site.order("rollback", reason="smells")
        kept = line.pass_new()
        site.until(lambda: site.weight() == 0)
        before = refused_patches(site)
        kept.set()  # before the engine gives the raise up and closes its connection
        until(lambda: refused_patches(site) > before, "the raise arrives, and is refused")
        rolled_back(site)
        site.never(lambda: site.weight() != 0, 2)
        assert site.look()["phase"] == "rolled_back"


def test_an_engine_that_dies_with_the_server_away_goes_back_when_both_are_there_again(site: Site) -> None:
    at_first_gate(site)
    site.kube.world.server.kill()
    site.order("rollback", reason="smells")
    site.kill()
    site.boot()
    site.never(lambda: site.look()["phase"] not in ("rolling_back", "rollback_failed"), 1)
    with suppress(httpx.HTTPError):
        site.kube.world.server.start()
    rolled_back(site)
