from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable

from sandbox.client import ConnectionPool
from sandbox.traffic import MIX, TYPO_SHARE, Traffic
from sandbox.wire import Request, Response


class FakeGateway(ConnectionPool):
    """Answers every login with a session, when it is told to answer at all. `moved` is set by each arrival."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[Request] = []
        self.dropped = 0
        self.moved = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def send(self, request: Request) -> Response:
        self.asked.append(request)
        self.moved.set()
        await self.answers.wait()
        return Response(200, json.dumps({"session": "s-1"}).encode())

    def drop(self) -> None:
        self.dropped += 1
        self.moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.moved.clear()
                await self.moved.wait()


def traffic(gateway: FakeGateway, *, max_in_flight: int = 50) -> Traffic:
    return Traffic(gateway, 5000, random.Random(3), max_in_flight=max_in_flight, on_drop=gateway.drop)


def test_the_first_purchase_waits_for_a_login():
    sent = traffic(FakeGateway())
    assert {sent.next_request().target for _ in range(200)} == {"/login", "/signup", "/browse"}


def test_a_third_of_the_requests_are_checkouts():
    sent = traffic(FakeGateway())
    sent._sessions.append("s-1")
    requests = [sent.next_request() for _ in range(20_000)]
    found = Counter(request.target[1:] for request in requests)
    # Six standard deviations of a share at 20,000 are at most 0.02.
    assert {what: abs(found[what] / 20_000 - share) < 0.02 for what, share in MIX.items()} == dict.fromkeys(MIX, True)
    logins = [json.loads(request.body)["password"] for request in requests if request.target == "/login"]
    assert abs(sum(password.endswith("?") for password in logins) / len(logins) - TYPO_SHARE) < 0.015


async def test_a_session_of_a_login_pays_later():
    gateway = FakeGateway()
    sent = traffic(gateway)
    running = asyncio.ensure_future(sent.run())
    await gateway.until(lambda: any(request.target == "/checkout" for request in gateway.asked))
    running.cancel()
    sent.close()
    purchase = next(request for request in gateway.asked if request.target == "/checkout")
    assert json.loads(purchase.body)["session"] == "s-1"


async def test_arrivals_do_not_wait_for_answers_and_are_dropped_beyond_the_bound():
    gateway = FakeGateway()
    gateway.answers.clear()
    sent = traffic(gateway, max_in_flight=20)
    running = asyncio.ensure_future(sent.run())
    await gateway.until(lambda: gateway.dropped >= 30)
    assert len(gateway.asked) == 20
    gateway.answers.set()
    await gateway.until(lambda: len(gateway.asked) > 20)
    running.cancel()
    sent.close()
