"""Questions to the store, in threads of their own.

The loop's own threads look up names for the routers: a database that hangs must not use them up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Threads(Protocol):
    """Runs what would stop the loop."""

    async def ask(self, question: Callable[[], T]) -> T:
        """Run it elsewhere, and wait for the answer."""

    def close(self) -> None:
        """Wait for nothing that still runs."""


class Pool:
    """A few threads."""

    def __init__(self, name: str, size: int) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def ask(self, question: Callable[[], T]) -> T:
        """Run it in the next free one."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, question)

    def close(self) -> None:
        """Take nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
