"""The faults that can be switched on at any moment, and what each does to one side of the shop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

CANARY = "shop-b"
OVERLOAD_WEIGHT = 45  # percent; `under-load` starts there, so that it shows from a stage of 50 on and never at 25


@dataclass(frozen=True, slots=True)
class Fault:
    """`of` says what it breaks: the canary, both sides, or the gateway's own admin and metrics."""

    of: Literal["canary", "both", "gateway"]
    help: str


CATALOGUE: Mapping[str, Fault] = {
    "errors": Fault("canary", "5% of answers are 500"),
    "errors-total": Fault("canary", "all answers are 500"),
    "latency": Fault("canary", "p95 and p99 are three times as long, and every answer 300 ms longer at least"),
    "checkout": Fault("canary", "answers are 200, but half the purchases fail"),
    "pool": Fault("canary", "database connections leak, to 95 of 100 in 15 s"),
    "crash": Fault("canary", "connections are refused"),
    "under-load": Fault("canary", f"from {OVERLOAD_WEIGHT}% of the traffic on: 10% are 500 and answers are slow"),
    "both": Fault("both", "5% of answers are 500, on both versions at once"),
    "gateway-ignores": Fault("gateway", "a new weight is answered with 200 and not taken"),
    "gateway-slow": Fault("gateway", "the route is read and written after 10 s"),
    "metrics-hang": Fault("gateway", "/metrics does not answer"),
    "metrics-empty": Fault("gateway", "/metrics answers 200 with nothing in it"),
    "metrics-garbage": Fault("gateway", "/metrics answers 200 with nonsense"),
    "metrics-nan": Fault("gateway", "every value at /metrics is NaN"),
}


@dataclass(frozen=True, slots=True)
class Harm:
    """What the faults that are on do to one side; the default is none."""

    error_share: float = 0.0  # of its answers, a fraction
    lost_purchases: float = 0.0  # of the purchases that would succeed, a fraction
    slow: bool = False
    leaks: bool = False


NO_HARM = Harm()


class Faults:
    """The switchboard. Not thread-safe: it lives in the sandbox's one loop."""

    def __init__(self) -> None:
        self._on: set[str] = set()
        self._switched = asyncio.Event()

    def is_on(self, name: str) -> bool:
        return name in self._on

    def switch(self, wanted: Mapping[str, bool]) -> None:
        """Switches the named faults on or off and leaves the others."""
        for name, on in wanted.items():
            (self._on.add if on else self._on.discard)(name)
        self._switched.set()
        self._switched = asyncio.Event()

    async def until_off(self, name: str) -> None:
        """Waits until the fault `name` is off."""
        while name in self._on:
            await self._switched.wait()

    def harm(self, side: str, weight: float) -> Harm:
        """What befalls `side` while its share of the traffic is `weight` percent."""
        if not self._on:
            return NO_HARM
        canary = self._on if side == CANARY else frozenset[str]()
        overloaded = "under-load" in canary and weight >= OVERLOAD_WEIGHT
        return Harm(
            error_share=max(
                1.0 if "errors-total" in canary else 0.0,
                0.1 if overloaded else 0.0,
                0.05 if "errors" in canary or "both" in self._on else 0.0,
            ),
            lost_purchases=0.5 if "checkout" in canary else 0.0,
            slow="latency" in canary or overloaded,
            leaks="pool" in canary,
        )

    def view(self) -> dict[str, Any]:
        """Every fault by name: on or off, what it breaks, what it does."""
        return {
            "faults": {
                name: {"on": name in self._on, "of": fault.of, "help": fault.help} for name, fault in CATALOGUE.items()
            }
        }


def read_switches(body: Mapping[str, Any]) -> dict[str, bool]:
    """The faults a request's JSON names; ValueError with a sentence when it names others or no booleans."""
    for name, on in body.items():
        if name not in CATALOGUE:
            raise ValueError(f"there is no fault {name!r}; there are {', '.join(CATALOGUE)}")
        if type(on) is not bool:
            raise ValueError(f"{name} must be true or false, not {on!r}")
    return dict(body)
