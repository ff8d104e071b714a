"""What uvicorn needs to listen on several sockets in one loop, and to know who connects."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.access import PeerUnknownError, peer_of
from engine.serving.identity import PEER

UNHEARD_MS = 15_000  # what the network has not acknowledged for that long never arrives


class KnowingProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry the credentials that the kernel keeps of a unix connection's other end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Ask the kernel once; who passes the open connection on is answerable for it."""
        super().connection_made(transport)
        peer: Any
        try:
            peer = peer_of(transport.get_extra_info("socket"))
        except PeerUnknownError as error:
            peer = error if not transport.get_extra_info("ssl_object") else None
        self.app_state = {**self.app_state, PEER: peer}
        if peer is None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: who was cut off is not here for long
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)


class Listener(uvicorn.Server):
    """One socket's server; whoever runs it handles the signals."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=KnowingProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None here: uvicorn's own raises them again, before the journal is closed."""
        yield


class Certificate:
    """A server's certificate, read again when it is renewed."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises OSError (ssl.SSLError is one)."""
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._stamp()
        self.context.load_cert_chain(*self._files)

    def renew(self) -> None:
        """Take the files as they are now, when they have changed: for connections from now on. Raises OSError."""
        stamp = self._stamp()
        if stamp != self._seen:
            self.context.load_cert_chain(*self._files)
            self._seen = stamp

    def _stamp(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)
