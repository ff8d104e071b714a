"""The engine's process: one host, served until a signal or an order stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from engine.host import Host
from engine.serving.app import application
from engine.serving.sockets import bind, own_folder


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How an engine is served: `socket` is where it listens."""

    socket: Path


def serve(home: Path, options: ServeOptions) -> None:
    """Run an engine on the state folder `home` until it is told to stop (SIGTERM, SIGINT, POST /v1/stop).

    Raises the journal's errors (JournalLocked when another engine runs) and SocketError.
    """
    own_folder(home)
    with asyncio.Runner() as runner:
        runner.run(_serve(home, options))


async def _serve(home: Path, options: ServeOptions) -> None:
    host = Host(home)
    try:
        with bind(options.socket) as listening:
            # Who asks from now on waits for the answer, while the releases are taken up.
            await host.resume()
            await Server(host).serve(sockets=[listening])
    finally:
        await host.close()


class Server(uvicorn.Server):
    """Serves `host` until a signal or an order stops it; its streams end first, so that it never waits for them."""

    def __init__(self, host: Host) -> None:
        self.stopping = asyncio.Event()
        app = application(host, self.stopping, self.stop)
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )

    def stop(self) -> None:
        """Stop soon: what is being answered is answered."""
        self.stopping.set()
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal stops the server and no more; uvicorn's own would raise it again, before the journal is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
