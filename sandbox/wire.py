"""HTTP/1.1 messages and their framing, as far as the sandbox speaks it (RFC 9112).

Bodies have a Content-Length, heads are small, chunked coding and HEAD are refused: both ends are ours or a plain
client such as curl, httpx or a browser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MAX_HEAD = 16 * 1024
MAX_BODY = 256 * 1024
CHECK_HEADER = "x-laneshift-check"  # marks a request of laneshift's own, which no metric counts
HOP_BY_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})


class BadMessageError(Exception):
    """What arrived is not a message this code reads; `status` is what a server answers to it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Message:
    """One framed message: start line, headers (names in lower case, the last of equals wins), body."""

    start: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a server's handler gets; `target` is path and query as sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def is_check(self) -> bool:
        """True for laneshift's own requests, which must not show in what is measured."""
        return CHECK_HEADER in self.headers

    def json_object(self) -> dict[str, Any] | None:
        """The body, when it is a JSON object."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


@dataclass(slots=True)
class Response:
    """An answer, on its way out of a handler or just received."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: Mapping[str, Any], status: int = 200) -> Response:
    """`value` as a JSON answer."""
    return Response(status, json.dumps(value).encode(), {"content-type": "application/json"})


class Framer:
    """Cuts a byte stream into messages; one per connection and direction."""

    __slots__ = ("_buffer", "_head")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, dict[str, str], int] | None = None  # start line, headers, body length

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes, in order. Raises BadMessageError; the stream is lost then."""
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        buffer = self._buffer
        if self._head is None:
            end = buffer.find(b"\r\n\r\n")
            if end > MAX_HEAD or (end < 0 and len(buffer) > MAX_HEAD):
                raise BadMessageError(431, f"the head is longer than {MAX_HEAD} bytes")
            if end < 0:
                return None
            self._head = _read_head(bytes(buffer[:end]))
            del buffer[: end + 4]
        start, headers, length = self._head
        if len(buffer) < length:
            return None
        body = bytes(buffer[:length])
        del buffer[:length]
        self._head = None
        return Message(start, headers, body)


def read_request(message: Message) -> Request:
    """A server's reading of a message; BadMessageError when it is no request."""
    method, _, rest = message.start.partition(" ")
    target, _, protocol = rest.partition(" ")
    if not protocol.startswith("HTTP/1.") or not target.startswith("/"):
        raise BadMessageError(400, "this is no HTTP/1.1 request line")
    if method not in _METHODS:
        raise BadMessageError(501, f"the sandbox answers {', '.join(sorted(_METHODS))}")
    return Request(method, target, message.headers, message.body)


def read_response(message: Message) -> Response:
    """A client's reading of a message; BadMessageError when it is no response."""
    protocol, _, rest = message.start.partition(" ")
    code = rest[:3]
    if not protocol.startswith("HTTP/1.") or not (code.isascii() and code.isdecimal()):
        raise BadMessageError(502, "this is no HTTP/1.1 status line")
    return Response(int(code), message.body, message.headers)


def keeps_alive(message: Message) -> bool:
    """True when the sender of `message` wants the connection kept (RFC 9112 9.3)."""
    wish = message.headers.get("connection", "").lower()
    return wish == "keep-alive" if message.start.endswith("HTTP/1.0") else wish != "close"


def write_request(request: Request, host: str) -> bytes:
    """The bytes of `request` for the server at `host`."""
    start = f"{request.method} {request.target} HTTP/1.1\r\nhost: {host}\r\n"
    return start.encode("latin-1") + _write_rest(request.headers, request.body)


def write_response(response: Response, *, keep_alive: bool) -> bytes:
    """The bytes of `response`."""
    start = f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}\r\n"
    if not keep_alive:
        start += "connection: close\r\n"
    return start.encode() + _write_rest(response.headers, response.body)


def _write_rest(headers: Mapping[str, str], body: bytes) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items() if name not in HOP_BY_HOP])
    return f"{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def _read_head(head: bytes) -> tuple[str, dict[str, str], int]:
    if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\r\n") or b"\0" in head:
        raise BadMessageError(400, "the head holds a bare control character")
    start, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadMessageError(400, "a header line is malformed")
        headers[name.lower()] = value.strip()
    return start, headers, _body_length(headers)


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadMessageError(501, "the sandbox reads no transfer coding; send a Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal()):
        raise BadMessageError(400, "the Content-Length is no number")
    if len(text) > 9 or int(text) > MAX_BODY:
        raise BadMessageError(413, f"the body is longer than {MAX_BODY} bytes")
    return int(text)
