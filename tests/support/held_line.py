"""A TCP line to a server that can hold back what its clients send, as a congested network does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

LINGER_S = 3.0  # a server that is hung up on stops working on what it was just sent


class HeldLine:
    """`url` is where clients connect; what they send is passed on, or kept until `let_go`."""

    def __init__(self, server: str) -> None:
        address = urlsplit(server)
        self._server = (address.hostname or "", address.port or 0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"{address.scheme}://127.0.0.1:{self._listening.getsockname()[1]}"
        self.held = 0
        self.answers: list[bytes] = []  # how each part of what the server said begins
        self._gate = threading.Event()  # set while everything passes
        self._gate.set()
        self._open: list[socket.socket] = []

    def start(self) -> None:
        """Take connections."""
        threading.Thread(target=self._accept, name="held line", daemon=True).start()

    def close(self) -> None:
        """Break all of them off."""
        self._gate.set()
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def hold(self) -> None:
        """Keep what is sent on the connections that are there, and on those that come."""
        self.held, self._gate = 0, threading.Event()

    def pass_new(self) -> threading.Event:
        """From now on what comes on new connections passes; set what is returned to let go of what is kept."""
        kept, self._gate = self._gate, threading.Event()
        self._gate.set()
        return kept

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(self._server, 10)
                except OSError:  # the server is gone, for now
                    client.close()
                    continue
                self._open += (client, server)
                for work in (self._up, self._down):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        """Each connection waits at the gate that it met first when it was closed."""
        gate = None
        with suppress(OSError):
            while sent := client.recv(65536):
                gate = gate or (None if self._gate.is_set() else self._gate)
                if gate is not None and not gate.is_set():
                    self.held += len(sent)
                    gate.wait()
                server.sendall(sent)
            if gate is not None:
                threading.Event().wait(LINGER_S)
            server.shutdown(socket.SHUT_WR)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(65536):
                self.answers.append(said[:16])
                with suppress(OSError):  # nobody waits for it any more, and the server is not to know
                    client.sendall(said)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def held_line(server: str) -> Iterator[HeldLine]:
    """A line to a server for as long as the block lasts."""
    line = HeldLine(server)
    line.start()
    try:
        yield line
    finally:
        line.close()
