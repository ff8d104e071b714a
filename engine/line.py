"""One question to an engine and one answer: what one-shot orders need of `engine.client`.

An *address* is a unix socket's path or `https://host:port`. Whoever rolls back must not wait for a library to load. So
this imports neither http.client (25 ms) nor dataclasses, typing or pathlib (15 to 20 ms together), which cost more than
the order itself; TLS, and what an error needs to be said well, are imported when they are met (`engine.line_tls`,
`engine.line_words`).
"""

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
SYSTEM_SOCKET = "/run/laneshift/engine.sock"
SYSTEM_STATE = "/var/lib/laneshift"  # the state folder of the engine that answers at SYSTEM_SOCKET
ANSWER_LIMIT_S = 20.0
LONGEST_WHERE = 200  # characters of a client's own words about where it is
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3
TLS = "https://"


class EngineGone(Exception):
    """No engine answers at the address, or it stopped answering. `mend` is what to do about it, "" when not known."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


class EngineRefused(Exception):
    """The engine does not do it. `status` is HTTP's: 401 not known, 403 not allowed, 404 no such release, 409 refused,
    422 bad input."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def state_folder() -> str:
    """The state folder: $LANESHIFT_HOME, else laneshift in the user's state folder. Absolute."""
    named = os.environ.get("LANESHIFT_HOME")
    if not named:
        named = os.path.join(os.environ.get("XDG_STATE_HOME") or "~/.local/state", "laneshift")  # noqa: PTH118  # no pathlib here, see above
    return _absolute(named)


def own_address(folder: str | None = None) -> str:
    """The address of the user's own engine: the socket in the state folder, or in another one."""
    return f"{folder or state_folder()}/{SOCKET_NAME}"


def address() -> str:
    """Where the engine is: $LANESHIFT_ENGINE; else, unless $LANESHIFT_HOME is set, the machine's own engine when it has
    one; else the user's own."""
    named = os.environ.get("LANESHIFT_ENGINE")
    if named:
        return named if named.startswith((TLS, "http://")) else _absolute(named.removeprefix("unix:"))
    if not os.environ.get("LANESHIFT_HOME") and _is_there(SYSTEM_SOCKET):
        return SYSTEM_SOCKET
    return own_address()


def scripts_folder(place: str) -> str:
    """The state folder in which the engine at this address keeps its rollback.sh, as far as this machine has it."""
    return SYSTEM_STATE if place == SYSTEM_SOCKET else state_folder()


def user() -> str:
    """Who gives orders from this process: the user it runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def where(place: str = "") -> str:
    """Where this process is, in its own words: its terminal, whence the SSH line comes, and over TCP the machine."""
    words = [_terminal()]
    words += [f"from {line.split()[0]}" for line in [os.environ.get("SSH_CONNECTION", "")] if line.split()]
    words += [f"on {socket.gethostname()}"] if place.startswith(TLS) else []
    said = " ".join(word for word in words if word)
    return "".join(letter if letter.isprintable() else "?" for letter in said)[:LONGEST_WHERE]


def ask(
    place: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    limit_s: float = ANSWER_LIMIT_S,
) -> Any:
    """One request to the engine at an address, one JSON answer. Raises EngineGone, EngineRefused."""
    content = b"" if body is None else json.dumps({"where": where(place), **body}).encode()
    if place.startswith("/"):
        status, raw = _over_socket(place, method, path, content, limit_s)
    else:
        from engine.line_tls import exchange

        status, raw = exchange(place, method, path, content, limit_s)
    return answer_of(place, status, raw)


def give(place: str, release: str, order: Mapping[str, Any], *, who: str = "", limit_s: float = ANSWER_LIMIT_S) -> str:
    """Give an order; "" when it is accepted, else why not: not now, or not by this person.

    `order` has its verb and what belongs to it; with an `id` of its own it can be given twice and counts once.
    Raises EngineGone, EngineRefused for an unknown release or bad input.
    """
    body = {"id": os.urandom(16).hex(), "who": who or user(), **order}
    try:
        ask(place, "POST", release_path(release, "/orders"), body, limit_s)
    except EngineRefused as refused:
        if refused.status not in (403, 409):
            raise
        return str(refused)
    return ""


def release_path(release: str, what: str = "") -> str:
    """The path of a release, whatever its name is made of."""
    return f"/v1/releases/{quoted(release)}{what}"


def quoted(text: str) -> str:
    """Text as a part of a URL."""
    raw = text.encode(errors="surrogateescape")
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in raw)


def _absolute(named: str) -> str:
    return os.path.abspath(os.path.expanduser(named))  # noqa: PTH100, PTH111  # no pathlib here, see above


def _is_there(path: str) -> bool:
    """A path that can't be looked at for want of rights is there."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _terminal() -> str:
    for number in (0, 2, 1):
        try:
            return os.ttyname(number).removeprefix("/dev/")
        except OSError:
            continue
    return ""


def _over_socket(place: str, method: str, path: str, content: bytes, limit_s: float) -> tuple[int, bytes]:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    answer_head, _, answer = _exchange(place, head.encode("ascii") + content, limit_s).partition(b"\r\n\r\n")
    try:
        return int(answer_head.split(b" ", 2)[1]), answer
    except (IndexError, ValueError):
        raise _no_engine(place) from None


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
        from engine.line_words import not_reached

        raise not_reached(place, error) from None


def answer_of(place: str, status: int, raw: bytes) -> Any:
    """The JSON of an answer with this status. Raises EngineRefused for an error, EngineGone for what no engine says."""
    try:
        answer = json.loads(raw)
    except ValueError:
        raise _no_engine(place) from None
    if status < 400:
        return answer
    message = answer.get("error", "") if isinstance(answer, dict) else ""
    if status in (401, 403):
        from engine.line_words import not_allowed

        message = not_allowed(place, status, message)
    raise EngineRefused(status, message or f"the engine answered {status}")


def _no_engine(place: str) -> EngineGone:
    return EngineGone(f"what answers at {place} is no engine, or it ended in mid-answer")
