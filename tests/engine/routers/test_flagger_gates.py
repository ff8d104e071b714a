"""What a gate of Flagger's answers: closed, but for one step of one revision that a release has approved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from engine.kube.marks import INTENT, RELEASE
from engine.routers import RouterError
from engine.routers.flagger_doctor import problem_of
from engine.routers.flagger_gates import MOST_BYTES, Gatekeeper, GateServer
from engine.routers.flagger_reading import CHECKSUM, GATES, OPEN, Answer, Canary, Gate, answer
from tests.support.flagger_shop import canary as made
from tests.support.kube_process import free_port

TOKEN = "a-token-of-the-tests"
ASKED = {"namespace": "shop", "name": "checkout", "checksum": "c1", "phase": "Progressing"}


def canary(opened: str = "", *, phase: str = "Progressing", weight: int = 25, **more: Any) -> Canary:
    """At a weight of 25, 50 and 100, of revision r1, in the hands of a release."""
    item = made("http://engine/token")
    notes = {RELEASE: "checkout-1", INTENT: "1.2", OPEN: opened, **more.pop("notes", {})}
    item["metadata"]["annotations"] = {name: value for name, value in notes.items() if value}
    status = {"phase": phase, "canaryWeight": weight, "lastAppliedSpec": more.pop("revision", "r1")}
    return Canary({**item, "status": status}, **more)


def passes(seen: Canary, gate: Gate, checksum: str = "c1") -> bool:
    return answer(seen, gate, checksum).passes


@pytest.mark.parametrize("gate", GATES)
def test_without_a_release_every_gate_is_closed(gate: Gate) -> None:
    assert not passes(canary("50 of r1", notes={RELEASE: ""}), gate)


@pytest.mark.parametrize(
    ("opened", "weight", "open_gates"),
    [
        ("", 25, {"confirm-rollout"}),
        ("50 of r1", 25, {"confirm-rollout", "confirm-traffic-increase"}),
        ("50 of r1", 50, {"confirm-rollout"}),
        ("100 of r1", 25, {"confirm-rollout"}),
        ("50 of r2", 25, {"confirm-rollout"}),
        ("promotion of r1", 25, {"confirm-rollout"}),
        ("promotion of r1", 100, {"confirm-rollout", "confirm-traffic-increase", "confirm-promotion"}),
        ("rollback of r1", 25, {"rollback"}),
        ("rollback of r2", 25, set()),
    ],
)
def test_a_gate_passes_for_what_was_approved_and_nothing_else(opened: str, weight: int, open_gates: set[Gate]) -> None:
    seen = canary(opened, weight=weight)
    assert {gate for gate in GATES if passes(seen, gate)} == open_gates


def test_an_approval_is_spent_by_the_patch_that_must_get_through_first() -> None:
    given = answer(canary("50 of r1"), "confirm-traffic-increase", "c1")
    tests = [each for each in given.spends if each["op"] == "test"]
    assert [each["value"] for each in tests] == ["50 of r1", "1.2"]
    written = {each["path"].rpartition("~1")[2]: each["value"] for each in given.spends if each["op"] == "add"}
    assert written == {"open": "", "checksum": "r1 c1"}


def test_a_revision_keeps_the_checksum_of_its_first_approval() -> None:
    bound = canary("50 of r1", notes={CHECKSUM: "r1 c1"})
    assert passes(bound, "confirm-traffic-increase", "c1")
    assert not passes(bound, "confirm-traffic-increase", "c2")
    assert passes(canary("50 of r1", notes={CHECKSUM: "r0 c0"}), "confirm-traffic-increase", "c1")


def test_a_route_that_is_not_where_flagger_says_closes_the_gate() -> None:
    assert passes(canary("50 of r1", routed=25.0), "confirm-traffic-increase")
    assert not passes(canary("50 of r1", routed=50.0), "confirm-traffic-increase")


def test_while_it_waits_for_the_promotion_flagger_forgets_its_weight() -> None:
    seen = canary("promotion of r1", phase="WaitingPromotion", weight=0)
    assert (seen.weight, passes(seen, "confirm-promotion")) == (100, True)


@pytest.mark.parametrize(
    ("written", "seconds"), [("10s", 10), ("1m", 60), ("1m30s", 90), ("5s", 10), ("", 60), ("1h", 3600)]
)
def test_the_interval_is_ten_seconds_at_least(written: str, seconds: float) -> None:
    seen = canary()
    seen.item["spec"]["analysis"]["interval"] = written
    assert seen.interval_s == seconds


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"stepWeights": [5, 50]}, "its stepWeights are 5, 50; write stepWeights: [25, 50, 100]"),
        ({"stepWeights": []}, "its stepWeights are missing"),
        ({"stepWeights": [50, 25, 100]}, "write stepWeights: [25, 50, 100]"),
        ({"stepWeights": [10, 100]}, "its stepWeights are 10, 100 and the plan's weights 25, 50, 100"),
        ({"iterations": 5}, "its analysis has iterations"),
        ({"webhooks": []}, "it has no webhook confirm-rollout"),
        ({}, ""),
    ],
)
def test_a_canary_that_would_not_ask_is_refused(change: dict[str, Any], why: str) -> None:
    seen = canary()
    seen.item["spec"]["analysis"].update(change)
    said = problem_of(seen, (25, 50, 100))
    assert why in said
    assert bool(said) == bool(why)


# --- over HTTP


class Decided:
    """Says what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.given: Answer | Exception = Answer(True, "yes")
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, gate: Gate, checksum: str) -> Answer:
        self.asked.append((gate, checksum))
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


@pytest.fixture
def decided() -> Decided:
    return Decided()


@pytest.fixture
async def http(decided: Decided) -> AsyncIterator[httpx.AsyncClient]:
    server = GateServer(f"127.0.0.1:{free_port()}")
    keeper = Gatekeeper("shop", "checkout", TOKEN, decided)
    server.keep(keeper)
    async with httpx.AsyncClient(base_url=f"http://{server.listen}", trust_env=False) as client:
        yield client
    await server.leave(keeper)


async def test_a_question_is_answered_with_200_or_403(http: httpx.AsyncClient, decided: Decided) -> None:
    given = await http.post(f"/{TOKEN}/rollback", json=ASKED)
    assert (given.status_code, given.text, decided.asked) == (200, "yes", [("rollback", "c1")])
    decided.given = Answer(False, "no")
    assert (await http.post(f"/{TOKEN}/rollback", json=ASKED)).status_code == 403


async def test_what_can_not_be_decided_is_closed(http: httpx.AsyncClient, decided: Decided) -> None:
    decided.given = RouterError("the API server does not answer")
    given = await http.post(f"/{TOKEN}/confirm-rollout", json=ASKED)
    assert (given.status_code, given.text) == (403, "the API server does not answer")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/another-token-of-nobody/rollback", ASKED),
        (f"/{TOKEN}/post-rollout", ASKED),
        (f"/{TOKEN}/rollback", {**ASKED, "name": "cart"}),
        (f"/{TOKEN}/rollback", {**ASKED, "namespace": "test"}),
        (f"/{TOKEN}/rollback", [ASKED]),
        (f"/{TOKEN}/rollback", {**ASKED, "metadata": "x" * MOST_BYTES}),
    ],
)
async def test_what_is_not_understood_is_closed_and_decides_nothing(
    http: httpx.AsyncClient, decided: Decided, path: str, body: Any
) -> None:
    assert (await http.post(path, json=body)).status_code == 403
    assert decided.asked == []


async def test_two_canaries_share_an_address_and_it_is_free_after_the_last(decided: Decided) -> None:
    server = GateServer(f"127.0.0.1:{free_port()}")
    first = Gatekeeper("shop", "checkout", TOKEN, decided)
    second = Gatekeeper("shop", "cart", TOKEN, decided)
    for keeper in (first, second, first):
        server.keep(keeper)
    await server.leave(first)
    async with httpx.AsyncClient(base_url=f"http://{server.listen}", trust_env=False) as client:
        assert (await client.post(f"/{TOKEN}/rollback", json=ASKED)).status_code == 403
        assert (await client.post(f"/{TOKEN}/rollback", json={**ASKED, "name": "cart"})).status_code == 200
    other = GateServer(server.listen)
    with pytest.raises(RouterError, match=f"can't listen on {server.listen}: .*; change gates.listen"):
        other.keep(first)
    await server.leave(second)
    other.keep(first)
    await other.leave(first)
