"""What an engine says to its service manager: sd_notify(3), a datagram to the socket that $NOTIFY_SOCKET names.

READY=1 comes when every release is taken up, STATUS= says what is under way, STOPPING=1 that it ends, and WATCHDOG=1,
at half the interval that $WATCHDOG_USEC gives, that it lives: sent by the event loop itself, so a loop that hangs is
silent, and only while the journal's thread lives. The service manager then starts the engine again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

log = logging.getLogger(__name__)

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
STATUS_S: Final = 5.0  # how often the status is told where there is no watchdog
LONGEST_STATUS: Final = 200  # characters


class ServiceManager:
    """The service manager of this process; says nothing where there is none."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """`environment` and `pid` are the process's own."""
        path = environment.get(NOTIFY_SOCKET, "")
        self._address = "\0" + path[1:] if path.startswith("@") else path  # @: in Linux' abstract namespace
        self._status = ""
        self.watchdog_s = _watchdog_s(environment, pid) if path else None

    def ready(self, status: str = "") -> None:
        """Everything is taken up: from now on it answers."""
        self._say("READY=1", *self._news(status))

    def alive(self, status: str = "") -> None:
        """It lives."""
        self._say("WATCHDOG=1", *self._news(status))

    def working(self, status: str) -> None:
        """What it does."""
        news = self._news(status)
        if news:
            self._say(*news)

    def stopping(self) -> None:
        """It ends, as it was told to."""
        self._say("STOPPING=1")

    @asynccontextmanager
    async def told(self, status: Callable[[], str], well: Callable[[], bool]) -> AsyncIterator[None]:
        """Ready at the block's begin, stopping at its end; between them it hears what is under way, and that the engine
        lives for as long as `well` says so. For the event loop that serves."""
        self.ready(status())
        keeping = asyncio.create_task(self._keep(status, well))
        try:
            yield
        finally:
            keeping.cancel()
            self.stopping()

    async def _keep(self, status: Callable[[], str], well: Callable[[], bool]) -> None:
        every = self.watchdog_s / 2 if self.watchdog_s else STATUS_S
        while self._address:
            await asyncio.sleep(every)
            if self.watchdog_s is None:
                self.working(status())
            elif well():
                self.alive(status())
            else:
                log.error("the journal's thread has ended: the service manager is not told that this engine lives")

    def _news(self, status: str) -> list[str]:
        """The status, if it is another one."""
        plain = "".join(letter if letter.isprintable() else "?" for letter in status)[:LONGEST_STATUS]
        if plain == self._status:
            return []
        self._status = plain
        return [f"STATUS={plain}"]

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.connect(self._address)
                line.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("the service manager does not hear %s: %s", lines[0], error)


def is_supervised(environment: Mapping[str, str], pid: int) -> bool:
    """Does something start this process again when it ends, and after a boot: a service manager, a container?"""
    return NOTIFY_SOCKET in environment or "KUBERNETES_SERVICE_HOST" in environment or pid == 1


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """The interval in which a sign of life is awaited from this process, in seconds."""
    try:
        interval = int(environment.get("WATCHDOG_USEC", "")) / 1e6
        meant = int(environment.get("WATCHDOG_PID", pid))
    except ValueError:
        return None
    return interval if interval > 0 and meant == pid else None
