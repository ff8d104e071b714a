"""What the host is asked, and what it says when it can't."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


class RefusedError(Exception):
    """A start or an order that the engine does not take; the message says why and what to do."""


class UnknownReleaseError(LookupError):
    """There is no release of that id."""


class WallTime:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)


def steady() -> float:
    """Seconds that only go forward, those included in which the machine slept or the process was stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What a start carries: the plan's own bytes and name, who asks from where, and what names the repeat of the same
    start. With `observe` something else drives the release: it is only judged.

    files:     those that the plan names, by the path it names them with
    forbidden: why this person may not start one; empty when they may
    """

    plan: bytes
    plan_name: str
    who: str
    canary: str = ""
    key: str = ""
    observe: bool = False
    where: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    forbidden: str = ""


def process_name() -> str:
    """The name of this process among the engines of one store: another one each time an engine is started."""
    host = "".join(sign for sign in socket.gethostname() if sign.isalnum() or sign in "-.")
    return f"{host or 'engine'}/{os.getpid()}-{os.urandom(3).hex()}"
