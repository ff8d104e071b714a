"""200 orders at once by 20 clients on one release: each is accepted once or refused with its reason."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine import events as ev
from engine.state import Phase
from tests.engine.served import Served, served

CLIENTS, EACH = 20, 10
HERE = ("note", "pause", "resume", "advance", "note")


@pytest.fixture
async def engine(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    async with served(monkeypatch) as made:
        yield made


def orders_of(client: int, meant: dict[str, Any]) -> list[dict[str, Any]]:
    """One client's: the half of them are repeats of the other half, with the same ids."""
    own = []
    for number in range(EACH // 2):
        verb = HERE[(client + number) % len(HERE)]
        said = meant if verb == "advance" else {"reason": f"of client {client}"}
        own.append({"verb": verb, "id": f"c{client}-{number}", **said})
    return own * 2


async def test_each_of_200_orders_at_once_is_accepted_once_or_refused_with_its_reason(engine: Served) -> None:
    release = await engine.begin()
    seen = await engine.ready(release)
    meant = {"stage": seen["stage"], "revision": seen["revision"]}
    orders = [order for client in range(CLIENTS) for order in orders_of(client, meant)]
    random.Random(7).shuffle(orders)
    at_once = (engine.post(f"/v1/releases/{release}/orders", json.dumps(order).encode()) for order in orders)
    answers = await asyncio.gather(*at_once)
    assert len(answers) == CLIENTS * EACH

    assert {status for status, _ in answers} <= {200, 409}
    assert all(body["error"] for status, body in answers if status == 409)

    history = await engine.host.history(release, 0)
    assert [said.seq for said in history] == list(range(1, len(history) + 1))
    accepted = Counter(said.event.order for said in history if isinstance(said.event, ev.OrderAccepted))
    assert set(accepted.values()) == {1}
    told = {order["id"] for order, (status, _) in zip(orders, answers, strict=True) if status == 200}
    assert told == set(accepted)  # nothing acknowledged is lost, and nothing was done that was not acknowledged

    refused = {said.event.order for said in history if isinstance(said.event, ev.OrderRefused)}
    assert set(accepted) | refused == {order["id"] for order in orders}
    entered = [said.event.stage for said in history if isinstance(said.event, ev.StageEntered)]
    advanced = [said for said in history if isinstance(said.event, ev.OrderAccepted) and said.event.verb == "advance"]
    assert len(entered) == len(advanced)
    assert entered in ([], [0])
    assert set(engine.route.written) <= {5}
    assert engine.host.state(release).phase in (Phase.PREFLIGHT, Phase.STAGE)
    notes = sum(order["verb"] == "note" for order in orders) // 2
    assert sum(isinstance(said.event, ev.Noted) for said in history) == notes
