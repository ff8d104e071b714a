from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import store as module
from sandbox.store import SHOPPERS, Order, Store, shopper


@pytest.fixture
def small(monkeypatch) -> Store:
    """A store whose bounds are within reach."""
    monkeypatch.setattr(module, "MAX_USERS", SHOPPERS + 3)
    monkeypatch.setattr(module, "MAX_SESSIONS", 4)
    monkeypatch.setattr(module, "MAX_ORDERS", 5)
    return Store()


def test_only_the_right_password_logs_in():
    store = Store()
    email, password = shopper(3)
    session = store.log_in(email, password)
    assert session is not None
    user = store.user_of(session)
    assert user is not None
    assert user.email == email
    assert store.log_in(email, password + "?") is None
    assert store.log_in("nobody@example.org", password) is None
    assert store.user_of("s-invented") is None


def test_an_address_is_taken_once():
    store = Store()
    assert store.sign_up("new@example.org", "lane")
    assert not store.sign_up("new@example.org", "other")
    assert store.log_in("new@example.org", "lane")


def test_an_order_without_a_user_and_an_order_of_nothing_are_found():
    store = Store()
    store.order(store.users["shopper-0@example.org"], 1, 1)
    store.orders[900] = Order("ghost@example.org", 1, 1)
    store.orders[901] = Order("shopper-0@example.org", 99, 1)
    store.orders[902] = Order("shopper-0@example.org", 1, 0)
    assert store.integrity() == {"users": SHOPPERS, "orders": 4, "orphans": 1, "corrupt": 2}


@given(actions=st.lists(st.tuples(st.sampled_from(["sign_up", "order"]), st.integers(0, 6)), max_size=60))
def test_bounds_hold_and_leave_no_orphans(actions):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_USERS", SHOPPERS + 3)
        patch.setattr(module, "MAX_ORDERS", 5)
        store = Store()
        for action, number in actions:
            email = f"newcomer-{number}@example.org"
            if action == "sign_up":
                store.sign_up(email, "lane")
            elif email in store.users:
                store.order(store.users[email], 1, 1)
        counts = store.integrity()
        assert (counts["orphans"], counts["corrupt"]) == (0, 0)
        assert counts["users"] <= SHOPPERS + 3
        assert counts["orders"] <= 5
        assert {number for user in store.users.values() for number in user.orders} == set(store.orders)


def test_the_oldest_session_ends_first(small):
    sessions = [small.log_in(*shopper(number)) for number in range(5)]
    assert small.user_of(sessions[0]) is None
    assert all(small.user_of(session) for session in sessions[1:])


def test_the_first_shoppers_stay_when_newcomers_go(small):
    for number in range(20):
        small.sign_up(f"newcomer-{number}@example.org", "lane")
    assert shopper(0)[0] in small.users
    assert list(small.users)[SHOPPERS:] == [f"newcomer-{number}@example.org" for number in (17, 18, 19)]
