"""The engine's process: one host, served on its sockets until a signal or an order stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config import VARIABLE, EngineConfig, Listen, config_path, read_engine_config
from engine.config.tls import tls_files
from engine.host import Host
from engine.journal.opening import open_store
from engine.line import SOCKET_NAME
from engine.presence import Presence
from engine.secrets import Secrets
from engine.serving.api import Api
from engine.serving.app import application
from engine.serving.duties import call_dead_man, renew, service, share
from engine.serving.identity import Identity
from engine.serving.listening import Certificate, Listener
from engine.serving.probes import probes
from engine.serving.sockets import PRIVATE, SHARED, SocketError, bind, bind_address, own_folder, socket_folder


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How an engine is served: where its socket is, and who may open it (`mode`, `group`); where its journal is
    (`store`: empty for the state folder); whether something starts it again when it ends (`supervised`).

    engine.yaml says the same where an option is left at its default.
    """

    socket: Path
    store: str = ""
    supervised: bool = False
    mode: int = PRIVATE
    group: str = ""


def serve(home: Path, options: ServeOptions) -> None:
    """Run an engine on the state folder `home` until it is told to stop (SIGTERM, SIGINT, POST /v1/stop).

    Raises the journal's errors (JournalLocked when another engine runs), EngineConfigError and SocketError.
    """
    own_folder(home)
    config = read_engine_config(config_path(home), needed=VARIABLE in os.environ)
    options = _with(config, options, home)
    if options.socket.parent != home:
        socket_folder(options.socket.parent)
    store = options.store or config.store_url(Secrets(home))
    with asyncio.Runner() as runner:
        runner.run(_serve(home, options, store, config.lease))


def _with(config: EngineConfig, options: ServeOptions, home: Path) -> ServeOptions:
    """The options, and what the configuration says of the socket where they leave it at its default."""
    place = config.socket
    if place is None:
        return options
    own = options.socket == home / SOCKET_NAME
    path = config_path(home).absolute().parent / place.path if place.path and own else options.socket
    if options.group or not place.group:
        return replace(options, socket=path)
    return replace(options, socket=path, group=place.group, mode=SHARED)


async def _serve(home: Path, options: ServeOptions, store: str, lease_s: float) -> None:
    journal = await asyncio.to_thread(open_store, store, home)
    host = Host(home, journal=journal, lease_s=lease_s, supervised=options.supervised)
    try:
        server = Server(host, home, options.group)
        with ExitStack() as open_sockets:
            local = open_sockets.enter_context(bind(options.socket, options.mode, options.group))
            server.listen(open_sockets)
            # Who asks from now on waits for the answer, while the releases are taken up.
            await host.resume()
            await server.serve(local)
    finally:
        await host.close()


class Server:
    """Serves `host` until a signal or an order stops it; its streams end first, so that it never waits for them."""

    def __init__(self, host: Host, home: Path, group: str = "") -> None:
        """By the configuration of the state folder `home`; `group` may open its socket. Raises EngineConfigError."""
        self.stopping = asyncio.Event()
        self.presence = Presence()
        self._host = host
        self._home = home
        self._identity = Identity(home, host.now)
        self._app = application(Api(host, self._identity, self.presence, self.stopping, self.stop, group))
        self._listeners: list[tuple[Listener, socket.socket]] = []
        self._certificate: Certificate | None = None
        self.addresses: dict[str, tuple[str, int]] = {}

    def listen(self, open_sockets: ExitStack) -> None:
        """Listen on the network too, where the configuration says so: by TLS, and for probes. `addresses` says where.

        Raises SocketError.
        """
        config = self._identity.config
        if config.listen is not None:
            tls = self._tls(config.listen)
            self._listen("listen", config.listen.address, Listener(self._app, tls), open_sockets)
        if config.probes is not None:
            self._listen("probes", config.probes, Listener(probes(self._host)), open_sockets)

    async def serve(self, local: socket.socket) -> None:
        """Answer at a unix socket, and wherever else it listens."""
        self._listeners.append((Listener(self._app), local))
        duties = [asyncio.create_task(duty) for duty in self._duties()]
        try:
            async with service(self._host), self._signals():
                await asyncio.gather(*(listener.serve(sockets=[bound]) for listener, bound in self._listeners))
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)

    def stop(self) -> None:
        """Stop soon: what is being answered is answered."""
        self.stopping.set()
        for listener, _ in self._listeners:
            listener.should_exit = True

    def _duties(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield call_dead_man(self._host, self._home, self._identity.config)
        if self._certificate is not None:
            yield renew(self._certificate)
        if self._host.journal.shared:
            yield share(self._host, self.presence)

    def _listen(self, name: str, address: str, listener: Listener, open_sockets: ExitStack) -> None:
        bound = open_sockets.enter_context(bind_address(address))
        self.addresses[name] = bound.getsockname()[:2]
        self._listeners.append((listener, bound))

    def _tls(self, place: Listen) -> ssl.SSLContext:
        files = tls_files(place, config_path(self._home))
        try:
            self._certificate = Certificate(*files)
        except OSError as error:
            raise SocketError(f"listen: the certificate or its key can't be used: {error}") from error
        return self._certificate.context

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """A signal stops the server and no more; uvicorn's own would raise it again, before the journal is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
