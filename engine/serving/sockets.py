"""Where an engine listens: a unix socket whose mode says who may connect, and addresses on the network."""

from __future__ import annotations

import grp
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from engine.config import split_address

LONGEST_PATH = 100  # bytes of a unix socket's path that every system takes
ANSWERS_S = 1.0  # a socket that takes no connection for that long may belong to an engine that is busy
PRIVATE = 0o600
SHARED = 0o660  # with a group that may connect


class SocketError(Exception):
    """The socket can't be bound; the message says what to do."""


def bind(path: Path, mode: int = PRIVATE, group: str = "") -> socket.socket:
    """A listening unix socket at `path`. It is its owner's alone from its first moment on; then it is given to `group`,
    and `mode` says who may connect.

    A socket that nobody answers at any more is replaced. Raises SocketError.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketError(f"{path} is too long for a socket ({LONGEST_PATH} bytes at most): set LANESHIFT_HOME shorter")
    gid = _gid(group)
    _refuse_second(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        bound.bind(str(path))
        if gid is not None:
            os.chown(path, -1, gid)
        if mode != PRIVATE:
            path.chmod(mode)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise SocketError(f"{path} can't be bound: {error.strerror}") from error
    finally:
        os.umask(mask)
    return bound


def bind_address(address: str) -> socket.socket:
    """A listening TCP socket at `host:port`. Raises SocketError."""
    host, port = split_address(address)
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SocketError(f"{address} can't be bound: {error.strerror or error}") from error


def own_folder(home: Path) -> None:
    """Make sure that the state folder is there and that nobody else can look into it. Raises SocketError."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        raise SocketError(f"{home} is shared with others: set LANESHIFT_HOME to a folder of your own")
    if found.st_mode & 0o077:
        home.chmod(0o700)


def socket_folder(folder: Path) -> None:
    """Make sure that the folder of a socket that others use is there, and that only its owner can put another socket in
    its place: who could do that would be taken for the engine. Raises SocketError."""
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise SocketError(f"{folder}, the folder of the socket, can't be used: {error.strerror}") from error
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SocketError(
            f"others can replace a socket in {folder}: only the engine's user may write there (chmod 755)"
        )


def _gid(group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SocketError(f"there is no group {group} to give the socket to: groupadd {group}") from None


def _refuse_second(path: Path) -> None:
    """Where somebody answers there is an engine already; two on one store are each other's spare, at two sockets."""
    if not path.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, suppress(ConnectionRefusedError, FileNotFoundError):
        line.settimeout(ANSWERS_S)
        try:
            line.connect(str(path))
        except TimeoutError:
            pass
        except OSError as error:
            if isinstance(error, ConnectionRefusedError | FileNotFoundError):
                raise
            raise SocketError(f"{path} can't be bound: {error.strerror}") from error
        raise SocketError(f"another engine listens at {path}: stop it first, or give this one a socket of its own")
