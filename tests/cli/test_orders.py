from __future__ import annotations

import pytest

from tests.cli.fake_engine import look


def test_each_order_is_given_with_what_belongs_to_it(engine, laneshift):
    engine.releases = [look()]
    lines = {
        "advance --override --reason urgent": {"stage": 0, "revision": "r1", "override": True, "reason": "urgent"},
        "pause": {},
        "approve --reason read": {"stage": 0, "revision": "r1", "reason": "read"},
        "resume --reason known": {"stage": 0, "revision": "r1", "reason": "known"},
        "retry --reason fixed": {"stage": 0, "revision": "r1", "reason": "fixed"},
        "cancel --reason wrong": {"reason": "wrong"},
        "tick shop-1 smoke --note green": {"item": "smoke", "reason": "green", "revision": "r1"},
        "untick shop-1 smoke": {"item": "smoke", "revision": "r1"},
        "waive shop-1 smoke --reason none": {"item": "smoke", "reason": "none", "revision": "r1"},
        "note shop-1 all is well": {"reason": "all is well"},
    }
    for line, fields in lines.items():
        ended = laneshift(*line.split())
        verb = line.split()[0]
        order = f"{verb} smoke" if "item" in fields else verb
        assert (ended.code, ended.out, ended.err) == (0, f"shop-1: {order} accepted\n", "")
        given = engine.orders.pop()
        assert given["verb"] == verb
        assert given["id"]
        assert given["who"]
        assert isinstance(given["where"], str)
        assert fields.items() <= given.items()
    assert not engine.orders


def test_several_items_are_an_order_each(engine, laneshift):
    engine.releases = [look()]
    ended = laneshift("waive", "shop-1", "security", "performance", "--note", "no new dependency")
    assert ended.out == "shop-1: waive security accepted\nshop-1: waive performance accepted\n"
    assert [(order["item"], order["reason"]) for order in engine.orders] == [
        ("security", "no new dependency"),
        ("performance", "no new dependency"),
    ]


def test_the_first_item_that_is_refused_ends_it(engine, laneshift):
    engine.releases, engine.refuses = [look()], "no item 'securty'"
    ended = laneshift("waive", "shop-1", "securty", "performance", "--reason", "none")
    assert (ended.code, ended.err) == (4, "laneshift: shop-1: waive securty: no item 'securty'\n")
    assert [order["item"] for order in engine.orders] == ["securty"]


def test_every_order_has_an_id_of_its_own(engine, laneshift):
    engine.releases = [look()]
    for _ in range(3):
        laneshift("pause")
    assert len({order["id"] for order in engine.orders}) == 3


def test_an_order_that_is_refused_ends_with_4_and_the_reason(engine, laneshift):
    engine.releases = [look()]
    engine.refuses = "already paused by ann"
    assert laneshift("pause").err == "laneshift: shop-1: already paused by ann\n"
    ended = laneshift("pause", "--json")
    assert ended.code == 4
    assert ended.json == {
        "error": "shop-1: already paused by ann",
        "exit_code": 4,
        "release": "shop-1",
        "order": "pause",
        "accepted": False,
    }


def test_an_order_that_is_not_ones_own_to_give_says_where_the_roles_are(engine, laneshift):
    engine.releases = [look()]
    engine.answers["POST", "/v1/releases/shop-1/orders"] = (
        403,
        {"error": "ann is a viewer: approve needs an approver"},
    )
    ended = laneshift("approve", "--json")
    assert (ended.code, ended.json["accepted"]) == (4, False)
    assert "ann is a viewer: approve needs an approver" in ended.err
    assert "your name and roles there: laneshift status --engine" in ended.err


def test_an_order_that_is_accepted_is_said_as_json(engine, laneshift):
    engine.releases = [look()]
    assert laneshift("pause", "--json").json == {"release": "shop-1", "order": "pause", "accepted": True}


# --- which release is meant


@pytest.mark.parametrize(
    ("held", "line", "meant"),
    [
        ([look()], "pause", "shop-1"),
        ([look(), look("pay-3", phase="promoted")], "pause", "shop-1"),
        ([look(), look("pay-3")], "pause pay-3", "pay-3"),
        ([look(phase="promoted"), look("shop-2"), look("pay-3")], "pause shop", "shop-2"),
        ([look(phase="promoted"), look("shop-2", phase="rolled_back")], "note shop hello", "shop-2"),
        ([look("a-1"), look("a-1-1", service="a-1")], "pause a-1", "a-1"),
    ],
)
def test_it_is_the_one_named_the_services_or_the_only_one(engine, laneshift, held, line, meant):
    engine.releases = held
    assert laneshift(*line.split()).code == 0
    assert engine.heard[-1] == ("POST", f"/v1/releases/{meant}/orders")


@pytest.mark.parametrize(
    ("held", "line", "why"),
    [
        ([], "pause", "no release is under way: laneshift start"),
        ([look(), look("pay-3")], "pause", "which release? name one: shop-1, pay-3"),
        ([look(), look("shop-2")], "pause shop", "which release? name one: shop-1, shop-2"),
        ([look(phase="promoted")], "pause", "no release is under way; the last was shop-1 (promoted): name it"),
        ([look()], "pause nothing", "no release or service 'nothing'; the latest releases are: shop-1"),
        ([look()], "pause a/b", "no release or service 'a/b'"),
    ],
)
def test_what_is_not_clear_ends_with_2_and_gives_no_order(engine, laneshift, held, line, why):
    engine.releases = held
    ended = laneshift(*line.split())
    assert ended.code == 2
    assert why in ended.err
    assert engine.orders == []
