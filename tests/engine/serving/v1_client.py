"""The one-shot client of laneshift 0.1, kept as it was: what it does must work on every engine of `/v1`."""

from __future__ import annotations

import json
import os
import pwd
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:  # the name is enough for a type checker, and typing takes 5 ms
    from collections.abc import Mapping
    from typing import Any

SOCKET_NAME = "engine.sock"
ANSWER_LIMIT_S = 20.0
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3


class EngineGone(Exception):
    """No engine answers at the socket, or it stopped answering."""


class EngineRefused(Exception):
    """The engine does not do it. `status` is HTTP's: 404 no such release, 409 refused, 422 bad input."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def state_folder() -> str:
    """The state folder: $LANESHIFT_HOME, else laneshift in the user's state folder. Absolute."""
    named = os.environ.get("LANESHIFT_HOME")
    if not named:
        named = os.path.join(os.environ.get("XDG_STATE_HOME") or "~/.local/state", "laneshift")  # noqa: PTH118  # no pathlib here, see above
    return os.path.abspath(os.path.expanduser(named))  # noqa: PTH100, PTH111  # the same


def user() -> str:
    """Who gives orders from this process: the user it runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def ask(
    folder: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    limit_s: float = ANSWER_LIMIT_S,
) -> Any:
    """One request to the engine of a state folder, one JSON answer. Raises EngineGone, EngineRefused."""
    place = f"{folder}/{SOCKET_NAME}"
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    status, answer = _parsed(_exchange(place, head.encode("ascii") + content, limit_s), place)
    if status >= 400:
        message = answer.get("error", "") if isinstance(answer, dict) else ""
        raise EngineRefused(status, message or f"the engine answered {status}")
    return answer


def give(folder: str, release: str, order: Mapping[str, Any], *, who: str = "", limit_s: float = ANSWER_LIMIT_S) -> str:
    """Give an order; "" when it is accepted, else why not.

    `order` has its verb and what belongs to it; with an `id` of its own it can be given twice and counts once.
    Raises EngineGone, EngineRefused for an unknown release or bad input.
    """
    body = {"id": os.urandom(16).hex(), "who": who or user(), **order}
    try:
        ask(folder, "POST", release_path(release, "/orders"), body, limit_s)
    except EngineRefused as refused:
        if refused.status != 409:
            raise
        return str(refused)
    return ""


def release_path(release: str, what: str = "") -> str:
    """The path of a release, whatever its name is made of."""
    raw = release.encode(errors="surrogateescape")
    return "/v1/releases/" + "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in raw) + what


def _exchange(place: str, request: bytes, limit_s: float) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(limit_s)
            line.connect(place)
            line.sendall(request)
            return b"".join(iter(lambda: line.recv(65536), b""))
    except TimeoutError:
        raise EngineGone(f"the engine at {place} does not answer within {limit_s:g} s; it may still act") from None
    except OSError as error:
        raise EngineGone(f"no engine answers at {place}: {error.strerror or error}") from None


def _parsed(raw: bytes, place: str) -> tuple[int, Any]:
    """Status and JSON of a whole HTTP/1.1 answer."""
    head, _, content = raw.partition(b"\r\n\r\n")
    try:
        return int(head.split(b" ", 2)[1]), json.loads(content)
    except (IndexError, ValueError):
        raise EngineGone(f"what answers at {place} is no engine, or it ended in mid-answer") from None
