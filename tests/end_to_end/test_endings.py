"""How releases end: three in a row by exchanging sides and by copying, and a way back from every phase."""

from __future__ import annotations

from typing import Any

import pytest

from engine import events as ev
from tests.end_to_end.steps import begin, complete, events_of, rolled_back, start_refused
from tests.support.engine_bench import stages_entered
from tests.support.kube_shop import CANARY, STABLE, deployment, until_ready, weights
from tests.support.shop_behind_envoy import NEW, OLD, Site

pytestmark = pytest.mark.real

SHORT = ((100, 1),)
SAYS_NO = {
    "pre": [{"http": {"path": "/healthz"}, "name": "the canary answers", "ticks": ["smoke"]}],
    "post": [{"http": {"path": "/nowhere"}, "name": "what nobody serves"}],
}


def template(site: Site, name: str) -> Any:
    return site.kube.api.get("Deployment", name)["spec"]["template"]


def served_by(site: Site) -> dict[str, int]:
    """Envoy's own weights, by Service."""
    there = site.envoy.weights()
    return {STABLE: there["stable"], CANARY: there["canary"]}


def test_three_releases_in_a_row_exchange_the_sides(site: Site) -> None:
    sides, versions = (STABLE, CANARY), (NEW, "v1.6.0", "v1.7.0")
    for number, version in enumerate(versions):
        if number:
            site.deploy(sides[1], version)
            assert "exchange stable and canary" in start_refused(site, sides=sides[::-1], canary=version)
        begin(site, stages=SHORT, sides=sides, canary=version)
        site.ends("promoted")
        assert stages_entered(site.history()) == [0]
        assert served_by(site) == {sides[0]: 0, sides[1]: 100}
        complete(site)
        sides = sides[::-1]
    answered = site.traffic()["last_sent"]
    assert answered["v1.7.0"] == max(answered.values())


def test_three_releases_in_a_row_copy_the_canary_to_stable(site: Site) -> None:
    for version in (NEW, "v1.6.0", "v1.7.0"):
        site.deploy(CANARY, version)
        begin(site, stages=SHORT, canary=version, finish="copy")
        site.ends("promoted", 60)
        assert served_by(site) == {STABLE: 100, CANARY: 0}
        assert template(site, STABLE)["metadata"]["labels"]["app.kubernetes.io/version"] == version
        assert site.rollouts.runs(STABLE) == version
        site.until(lambda: site.kube.api.get("Deployment", CANARY)["spec"]["replicas"] == 0)
        complete(site)


def test_before_traffic_moved_a_release_is_cancelled(site: Site) -> None:
    begin(site, advance="manual")
    site.until(lambda: "advance" in site.look()["orders"])
    site.order("cancel")
    site.ends("cancelled")
    assert weights(site.kube) == {STABLE: 100, CANARY: 0}
    assert not events_of(site, ev.ShiftIntended)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_way_back_from_every_stage(site: Site, stage: int) -> None:
    begin(site, stages=tuple((weight, 60 if number == stage else 1) for number, weight in enumerate((20, 60, 100))))
    site.at_stage(stage)
    site.order("rollback", reason="regrets")
    rolled_back(site)
    assert stages_entered(site.history()) == list(range(stage + 1))


def test_a_way_back_while_the_release_is_finished(site: Site) -> None:
    begin(site, stages=SHORT, checks=SAYS_NO, on_fail="hold")
    site.ends("finishing")
    site.until(lambda: "what nobody serves" in site.look()["waits_for"])
    site.order("rollback", reason="regrets")
    rolled_back(site)


def test_a_way_back_while_a_copy_is_under_way(site: Site) -> None:
    before = template(site, STABLE)
    site.kube.api.apply(deployment(CANARY, version=NEW, ready_after="6s"))
    until_ready(site.kube, CANARY, 2)
    begin(site, stages=SHORT, finish="copy")
    site.until(lambda: events_of(site, ev.FinishAnswered))
    site.until(lambda: template(site, STABLE) != before)
    site.order("rollback", reason="regrets")
    site.ends("rolled_back")
    assert weights(site.kube) == {STABLE: 100, CANARY: 0}
    assert template(site, STABLE) == before
    until_ready(site.kube, STABLE, 2)
    assert site.rollouts.runs(STABLE) == OLD


@pytest.mark.parametrize("finish", ["swap", "copy"])
def test_a_way_back_after_the_promotion_while_the_old_side_is_kept(site: Site, finish: str) -> None:
    before = template(site, STABLE)
    begin(site, stages=SHORT, finish=finish, keep_old="10m")
    site.ends("promoted")
    site.order("rollback", reason="regrets")
    site.ends("rolled_back")
    assert weights(site.kube) == {STABLE: 100, CANARY: 0}
    assert template(site, STABLE) == before
    until_ready(site.kube, STABLE, 2)
    site.until(lambda: site.rollouts.runs(STABLE) == OLD)


def test_after_that_the_answer_is_the_command_that_would_do_it(site: Site) -> None:
    begin(site, stages=SHORT)
    site.ends("promoted")
    site.until(lambda: not site.look()["keep_until"])
    answer = site.client.give(site.release, "rollback")
    assert not answer.accepted
    assert "this would be the command: kubectl" in answer.why
