"""An event loop whose clock jumps to the next thing due as soon as nothing else is to be done.

Hours pass in milliseconds and in the same order each time, time limits included. It is for code without threads: what
another thread does is not waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START = 1_000_000.0
"""What `LoopTime.now` says when a loop begins, in seconds since 1970."""


class NothingLeftError(RuntimeError):
    """Everything waits for something that nothing will ever do."""


class _Jumping(selectors.SelectSelector):
    """Never sleeps: it moves the clock on by as long as it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingLeftError("nothing is due, and something is still awaited")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class LoopTime:
    """The engine's `Time` by the running loop's clock."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end in a loop of its own with a clock of its own."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
