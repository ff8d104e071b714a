from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.route import ConflictError, Mark, Order, Route, read_order

NAMES = ("shop-a", "shop-b")
WEIGHTS = {"shop-a": 95, "shop-b": 5}


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_a_request_goes_to_the_canary_with_the_probability_of_its_weight(weight, chance):
    route = Route({"shop-a": 100 - weight, "shop-b": weight})
    assert route.pick(chance) == ("shop-a" if chance * 100 < 100 - weight else "shop-b")


def test_every_write_counts_and_leaves_its_mark_even_when_weights_stay():
    mark = Mark("3.7", "engine", "checkout-7")
    route = Route(WEIGHTS, generation=4).after(Order(WEIGHTS, mark))
    assert (route.weights, route.mark, route.generation) == (WEIGHTS, mark, 5)


def test_a_write_without_a_mark_leaves_none():
    assert Route(WEIGHTS, Mark("3.7")).after(read_order({"weights": WEIGHTS}, NAMES)).mark == Mark()


def test_compare_and_set_takes_only_the_generation_it_was_meant_for():
    route = Route(WEIGHTS, generation=4)
    assert route.after(Order(WEIGHTS, if_generation=4)).generation == 5
    for other in (0, 3, 5):
        with pytest.raises(ConflictError, match=f"generation 4, not {other}"):
            route.after(Order(WEIGHTS, if_generation=other))


def test_an_order_is_read_whole():
    body = {
        "weights": WEIGHTS,
        "mark": {"number": "3.7", "by": "engine", "release": "checkout-7"},
        "if_generation": 7,
    }
    assert read_order(body, NAMES) == Order(WEIGHTS, Mark("3.7", "engine", "checkout-7"), 7)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "each of shop-a, shop-b"),
        ({"weights": [95, 5]}, "each of shop-a, shop-b"),
        ({"weights": {"shop-a": 100}}, "each of shop-a, shop-b"),
        ({"weights": {**WEIGHTS, "shop-c": 0}}, "for nothing else"),
        ({"weights": {"shop-a": 95, "shop-b": 4}}, "99 in all"),
        ({"weights": {"shop-a": 95.0, "shop-b": 5}}, "weight of shop-a is a whole number"),
        ({"weights": {"shop-a": 99, "shop-b": True}}, "weight of shop-b is a whole number"),
        ({"weights": {"shop-a": 101, "shop-b": -1}}, "from 0 to 100, not 101"),
        ({"weights": WEIGHTS, "if_generation": "7"}, "if_generation is a whole number"),
        ({"weights": WEIGHTS, "if_generation": True}, "if_generation is a whole number"),
        ({"weights": WEIGHTS, "mark": {"whose": "x"}}, "mark has number, by and release"),
        ({"weights": WEIGHTS, "mark": None}, "mark has number, by and release"),
        ({"weights": WEIGHTS, "mark": {"number": 3}}, "mark.number is a text"),
        ({"weights": WEIGHTS, "mark": {"by": "x" * 201}}, "mark.by is a text of 200"),
        ({"weights": WEIGHTS, "generation": 3}, "'generation' is none of"),
    ],
)
def test_what_is_no_order_is_refused_with_a_sentence(body, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_order(body, NAMES)
