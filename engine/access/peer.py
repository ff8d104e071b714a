"""Who is at the other end of a unix socket, as the kernel says: it can't be claimed."""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final, Protocol

_UCRED: Final = struct.Struct("iII")  # Linux, unix(7): struct ucred {pid_t pid; uid_t uid; gid_t gid;}
_SO_PEERCRED: Final = getattr(socket, "SO_PEERCRED", 17)
_NOBODY: Final = 0xFFFFFFFF  # what Linux says where there are no credentials

# macOS, sys/ucred.h: struct xucred {u_int cr_version; uid_t cr_uid; short cr_ngroups; gid_t cr_groups[NGROUPS];}, where
# NGROUPS is 16 and the first group is the effective one; sys/un.h: SOL_LOCAL 0, LOCAL_PEERCRED 1, LOCAL_PEERPID 2
_XUCRED: Final = struct.Struct("IIh16I")
_XUCRED_VERSION: Final = 0
_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
_LOCAL_PEERPID: Final = 2
_PID: Final = struct.Struct("i")


class PeerUnknownError(Exception):
    """The system does not say who is at the other end; nobody may be taken for somebody then."""


class Connection(Protocol):
    """What is needed of a socket; asyncio's `TransportSocket` has it too."""

    @property
    def family(self) -> int: ...

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end when it connected. `pid` is None where the system hides it (another namespace)."""

    uid: int
    gid: int
    pid: int | None


def peer_of(sock: Connection, platform: str = sys.platform) -> Peer:
    """Who opened this unix socket's other end. Raises PeerUnknownError."""
    if sock.family != socket.AF_UNIX:
        raise PeerUnknownError("only a unix socket says who is at its other end: come with a token")
    try:
        if platform == "linux":
            return _on_linux(sock)
        if platform == "darwin":
            return _on_macos(sock)
    except (OSError, struct.error) as error:
        raise PeerUnknownError(f"the system does not say who is at the other end: {error}") from None
    raise PeerUnknownError(f"on {platform} the engine can't know who is at the other end: run it on Linux or macOS")


def _on_linux(sock: Connection) -> Peer:
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, _UCRED.size))
    if _NOBODY in (uid, gid):
        raise PeerUnknownError("the kernel has no credentials of the other end: connect anew")
    return Peer(uid, gid, pid or None)


def _on_macos(sock: Connection) -> Peer:
    version, uid, count, *groups = _XUCRED.unpack(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
    if version != _XUCRED_VERSION or count < 1:
        raise PeerUnknownError(f"the kernel's credentials have another form (version {version}, {count} groups)")
    (pid,) = _PID.unpack(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size))
    return Peer(uid, groups[0], pid or None)
