"""Ends what a database does not answer: a server that is frozen, or a line that swallows everything, says no error.

A statement's own time limit is the server's, and TCP's keepalive is answered by a machine whose server hangs. So one
thread shuts the socket of a transaction that is overdue; the driver then sees a lost connection.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Deadlines:
    """Time limits for what happens on sockets. Safe to use from any thread; its thread starts with the first."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._numbers = itertools.count()
        self._due: dict[int, tuple[float, socket.socket]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @contextmanager
    def over(self, descriptor: int, limit_s: float | None = None) -> Iterator[None]:
        """Shut this socket if the block takes longer than the limit."""
        # A name of its own for the socket: the number may belong to another file by the time it is due.
        held = socket.socket(fileno=os.dup(descriptor))
        number = next(self._numbers)
        with self._changed:
            self._due[number] = (time.monotonic() + (limit_s or self._limit_s), held)
            self._start()
            if len(self._due) == 1 or limit_s is not None:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(number, None)
            held.close()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="journal deadlines", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                for number, (due, held) in list(self._due.items()):
                    if due <= now:
                        del self._due[number]
                        with suppress(OSError):  # the other side was faster
                            held.shutdown(socket.SHUT_RDWR)
                next_due = min((due for due, _ in self._due.values()), default=None)
                self._changed.wait(None if next_due is None else max(0.0, next_due - now))
