"""A line between a client and a server that a test cuts, mutes or makes swallow everything."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class TcpProxy:
    """`port` is where clients connect. `mute_when` looks at each piece that a client sends; from the one on for which
    it says yes, the server's answers go nowhere and the connection is cut once the server has answered."""

    def __init__(self, server_port: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.mute_when: Callable[[bytes], bool] = lambda _: False
        self.muted = 0
        self._refuses = False
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection ends now; new ones too, until `mend`."""
        self._refuses = True
        for line in self._lines:
            _end(line)
        self._lines.clear()

    def mend(self) -> None:
        """Connections are taken again."""
        self._refuses = False

    def close(self) -> None:
        """The end of it."""
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._refuses:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._lines += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        is_muted = False
        with suppress(OSError), selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, (client, server))
            ready.register(server, selectors.EVENT_READ, (server, client))
            while True:
                for key, _ in ready.select():
                    source, target = key.data
                    piece = source.recv(65536)
                    if not piece or (is_muted and source is server):
                        _end(client)
                        _end(server)
                        return
                    if source is client and self.mute_when(piece):
                        is_muted, self.muted = True, self.muted + 1
                    target.sendall(piece)


def _end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


@contextmanager
def tcp_proxy(server_port: int) -> Iterator[TcpProxy]:
    """A proxy for as long as the block lasts."""
    proxy = TcpProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
