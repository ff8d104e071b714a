"""Programs that tests start and stop, freeze and kill; none outlives the test process, however that ends."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.stopped import wait_until_stopped

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
# Linux ends a child with the *thread* that began it, so all are begun by one that lives as long as this process.
_keeper = ThreadPoolExecutor(1, "keeper")


@dataclass
class Child:
    """One program with its log; `ready` says whether it answers. It is not started before `start`."""

    name: str
    command: Sequence[str]
    directory: Path
    ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """What it printed, over all its starts."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """It was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it answers; what it kept on disk is still there. Harmless when it runs."""
        if not self.running:
            self.process = _keeper.submit(self._spawn).result()
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Fails with the end of its log when it ends or does not answer."""
        deadline = time.monotonic() + READY_SECONDS
        while self.running and time.monotonic() < deadline:
            if self.ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.name} does not answer:\n{self.tail()}")

    def stop(self) -> None:
        """End it in good order, by force when it takes longer than 10 s. Harmless when it has ended."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        wait_until_stopped(self.process.pid)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-3000:].decode(errors="replace")

    def _spawn(self) -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        ended_with_us = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*ended_with_us, *self.command],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now.

    Not of those that the kernel gives to outgoing connections: while a server is down, one of its clients could get its
    port, and the server could not come back.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def listens(port: int) -> bool:
    """Something accepts connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
