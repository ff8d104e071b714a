from __future__ import annotations

import pytest

from sandbox.business import Business
from sandbox.store import Store, shopper

EMAIL, PASSWORD = shopper(1)


def shop(*, pays: bool = True) -> tuple[Business, Store]:
    store = Store()
    return Business(store, lambda: pays), store


def session_of(business: Business) -> str:
    session = business.log_in({"email": EMAIL, "password": PASSWORD}).value["session"]
    assert isinstance(session, str)
    return session


def test_a_whole_journey():
    business, store = shop()
    who = {"email": "new@example.org", "password": "lane"}
    assert business.sign_up(who).success
    session = business.log_in(who).value["session"]
    product = business.browse().value["products"][0]["id"]
    bought = business.check_out({"session": session, "product": product})
    assert (bought.status, bought.success, bought.user) == (200, True, who["email"])
    assert store.orders[bought.value["order"]].email == who["email"]


def test_refusals_of_business_are_answers_not_errors():
    business, store = shop(pays=False)
    declined = business.check_out({"session": session_of(business), "product": 1})
    refused = business.log_in({"email": EMAIL, "password": "wrong"})
    taken = business.sign_up({"email": EMAIL, "password": "x"})
    assert [(reply.status, reply.success) for reply in (declined, refused, taken)] == [(200, False)] * 3
    assert not store.orders


@pytest.mark.parametrize(
    "wrong",
    [{"product": 99}, {"product": "1"}, {"product": True}, {"quantity": 0}, {"quantity": 101}, {"quantity": 1.5}],
)
def test_a_purchase_of_nothing_is_malformed(wrong):
    business, store = shop()
    reply = business.check_out({"session": session_of(business), "product": 1, **wrong})
    assert (reply.status, reply.success) == (400, False)
    assert not store.orders


@pytest.mark.parametrize("body", [{}, {"session": None}, {"session": "s-invented"}, {"session": ["s-1"]}])
def test_nobody_buys_without_a_session(body):
    business, _ = shop()
    assert business.check_out({"product": 1, **body}).status == 401


@pytest.mark.parametrize(
    "body", [{}, {"email": EMAIL}, {"email": EMAIL, "password": 3}, {"email": "x" * 201, "password": "y"}]
)
def test_credentials_are_texts(body):
    business, _ = shop()
    assert business.log_in(body).status == business.sign_up(body).status == 400
