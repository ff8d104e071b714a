"""Hears what other engines tell over PostgreSQL: LISTEN on a connection and in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

CHANNEL = "laneshift"
_log = logging.getLogger(__name__)

_LOOK_S = 0.5  # how long `close` may have to wait
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 5.0


class Listener:
    """Connects again, ever slower, for as long as it is open. What is told meanwhile is missed: callers look anyway."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], hear: Callable[[str], None]) -> None:
        self._connect = connect
        self._hear = hear
        self._is_closed = threading.Event()
        self.listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more."""
        self._is_closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(_LAST_PAUSE_S)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._is_closed.is_set():
            try:
                with self._connect() as line:
                    line.execute(f"LISTEN {CHANNEL}")
                    self.listens.set()
                    pause = _FIRST_PAUSE_S
                    self._listen(line)
            except psycopg.Error:
                _log.warning("the journal's news can't be heard; again in %g s", pause)
            finally:
                self.listens.clear()
            self._is_closed.wait(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)

    def _listen(self, line: psycopg.Connection[Any]) -> None:
        while not self._is_closed.is_set():
            for told in line.notifies(timeout=_LOOK_S):
                try:
                    self._hear(told.payload)
                except Exception:  # noqa: BLE001 (logged; a hearer's fault must not end the listening)
                    _log.exception("what was heard of %s could not be used", told.payload)
