"""Steady open-loop traffic: people arrive whether or not the shop answers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.client import ConnectionPool
from sandbox.store import PRODUCTS, SHOPPERS, shopper
from sandbox.tally import Tally
from sandbox.wire import BadMessageError, Request

MIX = {"checkout": 1 / 3, "browse": 0.4, "login": 0.2, "signup": 1 / 15}  # shares of the arrivals
TYPO_SHARE = 0.03  # of logins
TAKEN_SHARE = 0.01  # of sign-ups
MAX_BEHIND = 1.0  # seconds of arrivals made up for after the process was held up; more are forgotten
_KEPT_SESSIONS = 200


class Traffic:
    """Poisson arrivals at `rps` requests a second through the gateway.

    At most `max_in_flight` requests are unanswered at a time; arrivals beyond are not sent, and told to `on_drop`.
    `tally` has who answered.
    """

    def __init__(
        self,
        gateway: ConnectionPool,
        rps: float,
        rng: random.Random,
        *,
        max_in_flight: int,
        on_drop: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._rps = rps
        self._rng = rng
        self._max_in_flight = max_in_flight
        self._on_drop = on_drop
        self.tally = Tally()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._sessions: deque[str] = deque(maxlen=_KEPT_SESSIONS)
        self._newcomers = 0

    async def run(self) -> None:
        """Sends until it is cancelled."""
        loop = asyncio.get_running_loop()
        arrival = loop.time()
        while True:
            arrival = max(arrival + self._rng.expovariate(self._rps), loop.time() - MAX_BEHIND)
            # Also when late: other work must get its turn between two arrivals.
            await asyncio.sleep(max(arrival - loop.time(), 0))
            self._arrive()

    def close(self) -> None:
        """Gives up what is unanswered."""
        for task in self._in_flight:
            task.cancel()
        self._gateway.close()

    def next_request(self) -> Request:
        """What the next person does. A purchase needs somebody logged in: before the first login it is one."""
        what = self._rng.choices(list(MIX), list(MIX.values()))[0]
        if what == "browse":
            return Request("GET", "/browse", {})
        if what == "signup":
            return _post("/signup", self._newcomer())
        if what == "checkout" and self._sessions:
            return _post("/checkout", self._purchase())
        return _post("/login", self._credentials())

    def _arrive(self) -> None:
        if len(self._in_flight) >= self._max_in_flight:
            self._on_drop()
            return
        task = asyncio.ensure_future(self._visit(self.next_request()))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _visit(self, request: Request) -> None:
        sent = time.time()
        try:
            answer = await self._gateway.send(request)
        except (OSError, BadMessageError):
            return  # the gateway is gone: nobody is left to count this, and the next arrival tries again
        self.tally.count(answer.headers.get("x-version", ""), sent, time.time())
        if request.target == "/login" and answer.status == 200:
            session = json.loads(answer.body)["session"]
            if session is not None:
                self._sessions.append(session)

    def _newcomer(self) -> dict[str, Any]:
        if self._rng.random() < TAKEN_SHARE:
            email, password = self._known()
        else:
            self._newcomers += 1
            email, password = f"newcomer-{self._newcomers}@example.org", "lane"
        return {"email": email, "password": password}

    def _credentials(self) -> dict[str, Any]:
        email, password = self._known()
        typo = "?" if self._rng.random() < TYPO_SHARE else ""
        return {"email": email, "password": password + typo}

    def _purchase(self) -> dict[str, Any]:
        return {
            "session": self._rng.choice(self._sessions),
            "product": self._rng.choice(list(PRODUCTS)),
            "quantity": self._rng.randint(1, 3),
        }

    def _known(self) -> tuple[str, str]:
        return shopper(self._rng.randrange(SHOPPERS))


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request("POST", path, {"content-type": "application/json"}, json.dumps(body).encode())
