from __future__ import annotations

import asyncio

import pytest

from sandbox.faults import CATALOGUE, NO_HARM, Faults, Harm, read_switches


def switched(*names: str) -> Faults:
    faults = Faults()
    faults.switch(dict.fromkeys(names, True))
    return faults


@pytest.mark.parametrize(
    ("fault", "harm"),
    [
        ("errors", Harm(error_share=0.05)),
        ("errors-total", Harm(error_share=1.0)),
        ("latency", Harm(slow=True)),
        ("checkout", Harm(lost_purchases=0.5)),
        ("pool", Harm(leaks=True)),
        ("under-load", Harm(error_share=0.1, slow=True)),
        ("crash", NO_HARM),
    ],
)
def test_a_fault_harms_the_canary_alone(fault, harm):
    faults = switched(fault)
    assert faults.harm("shop-b", 50) == harm
    assert faults.harm("shop-a", 50) == NO_HARM


def test_both_harms_both():
    faults = switched("both")
    assert faults.harm("shop-a", 95) == faults.harm("shop-b", 5) == Harm(error_share=0.05)


@pytest.mark.parametrize(
    ("weight", "harmed"), [(0, False), (25, False), (44, False), (45, True), (50, True), (100, True)]
)
def test_under_load_shows_only_from_its_share_of_the_traffic_on(weight, harmed):
    assert (switched("under-load").harm("shop-b", weight) != NO_HARM) is harmed


@pytest.mark.parametrize("fault", [name for name, fault in CATALOGUE.items() if fault.of == "gateway"])
def test_the_gateways_faults_harm_no_side(fault):
    faults = switched(fault)
    assert faults.harm("shop-a", 50) == faults.harm("shop-b", 50) == NO_HARM


def test_the_worst_of_several_faults_counts():
    assert switched("errors", "under-load", "pool").harm("shop-b", 50) == Harm(0.1, slow=True, leaks=True)
    assert switched("errors", "errors-total", "under-load").harm("shop-b", 50).error_share == 1.0


def test_switching_one_leaves_the_others():
    faults = switched("errors", "latency")
    faults.switch({"errors": False})
    assert [name for name, fault in faults.view()["faults"].items() if fault["on"]] == ["latency"]


def test_every_fault_says_what_it_breaks_and_does():
    view = Faults().view()["faults"]
    assert set(view) == set(CATALOGUE)
    assert all(fault["help"] and fault["of"] in ("canary", "both", "gateway") for fault in view.values())


@pytest.mark.parametrize(("body", "sentence"), [({"eror": True}, "no fault 'eror'"), ({"errors": 1}, "true or false")])
def test_switches_that_say_nothing_are_refused(body, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_switches(body)


async def test_waiting_for_the_end_of_a_fault():
    faults = switched("metrics-hang")
    waiting = asyncio.ensure_future(faults.until_off("metrics-hang"))
    faults.switch({"errors": True})
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.switch({"metrics-hang": False})
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(faults.until_off("metrics-hang"), 5)
