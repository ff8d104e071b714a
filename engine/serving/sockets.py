"""Where the engine listens on the machine itself: a unix socket whose mode says who may connect."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

LONGEST_PATH = 100  # bytes of a unix socket's path that every system takes


class SocketError(Exception):
    """The socket can't be bound; the message says what to do."""


def bind(path: Path) -> socket.socket:
    """A listening unix socket at `path`, readable and writable by its owner alone from its first moment on.

    The caller holds the journal's lock, so a socket that is there belongs to an engine that is gone.
    Raises SocketError.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketError(f"{path} is too long for a socket ({LONGEST_PATH} bytes at most): set LANESHIFT_HOME shorter")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        bound.bind(str(path))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise SocketError(f"{path} can't be bound: {error.strerror}") from error
    finally:
        os.umask(mask)
    return bound


def own_folder(home: Path) -> None:
    """Make sure that the state folder is there and that nobody else can look into it. Raises SocketError."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        raise SocketError(f"{home} is shared with others: set LANESHIFT_HOME to a folder of your own")
    if found.st_mode & 0o077:
        home.chmod(0o700)
