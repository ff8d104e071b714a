"""The engine's process: one host, served on its sockets until a signal or an order stops it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.config import Listen, config_path
from engine.host import Host
from engine.presence import Presence
from engine.serving.api import Api
from engine.serving.app import application
from engine.serving.identity import Identity
from engine.serving.listening import Certificate, Listener
from engine.serving.sockets import PRIVATE, SocketError, bind, bind_address, own_folder, socket_folder

log = logging.getLogger(__name__)

RENEWED_S = 60.0  # how often it is looked whether the certificate was renewed


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How an engine is served: where its socket is, and who may open it (`mode`, `group`)."""

    socket: Path
    mode: int = PRIVATE
    group: str = ""


def serve(home: Path, options: ServeOptions) -> None:
    """Run an engine on the state folder `home` until it is told to stop (SIGTERM, SIGINT, POST /v1/stop).

    Raises the journal's errors (JournalLocked when another engine runs), EngineConfigError and SocketError.
    """
    own_folder(home)
    if options.socket.parent != home:
        socket_folder(options.socket.parent)
    with asyncio.Runner() as runner:
        runner.run(_serve(home, options))


async def _serve(home: Path, options: ServeOptions) -> None:
    host = Host(home)
    try:
        server = Server(host, home)
        with ExitStack() as open_sockets:
            local = open_sockets.enter_context(bind(options.socket, options.mode, options.group))
            # Who asks from now on waits for the answer, while the releases are taken up.
            if server.listen is not None:
                server.secure(open_sockets.enter_context(bind_address(server.listen.address)))
            await host.resume()
            await server.serve(local)
    finally:
        await host.close()


class Server:
    """Serves `host` until a signal or an order stops it; its streams end first, so that it never waits for them."""

    def __init__(self, host: Host, home: Path) -> None:
        """By the configuration of the state folder `home`. Raises EngineConfigError."""
        self.stopping = asyncio.Event()
        self.presence = Presence()
        self._home = home
        self._identity = Identity(home, host.now)
        self._app = application(Api(host, self._identity, self.presence, self.stopping, self.stop))
        self._listeners: list[tuple[Listener, socket.socket]] = []
        self._certificate: Certificate | None = None

    @property
    def listen(self) -> Listen | None:
        """Where people with a token are to reach it."""
        return self._identity.config.listen

    def secure(self, bound: socket.socket) -> None:
        """Listen there too, by TLS with the configuration's certificate. Raises SocketError."""
        assert self.listen is not None
        folder = config_path(self._home).absolute().parent
        try:
            self._certificate = Certificate(folder / self.listen.certificate, folder / self.listen.key)
        except OSError as error:
            raise SocketError(f"listen: the certificate or its key can't be used: {error}") from error
        self._listeners.append((Listener(self._app, self._certificate.context), bound))

    async def serve(self, local: socket.socket) -> None:
        """Answer at a unix socket, and wherever else it was told to listen."""
        self._listeners.append((Listener(self._app), local))
        renewing = asyncio.create_task(self._renew())
        try:
            with self._signals():
                await asyncio.gather(*(listener.serve(sockets=[bound]) for listener, bound in self._listeners))
        finally:
            renewing.cancel()

    def stop(self) -> None:
        """Stop soon: what is being answered is answered."""
        self.stopping.set()
        for listener, _ in self._listeners:
            listener.should_exit = True

    async def _renew(self) -> None:
        while self._certificate is not None:
            await asyncio.sleep(RENEWED_S)
            try:
                self._certificate.renew()
            except OSError as error:
                log.warning("the new certificate can't be used, the old one stays: %s", error)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A signal stops the server and no more; uvicorn's own would raise it again, before the journal is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
