"""The way to an engine over TCP: TLS whose certificate and host name are always verified, and a bearer token.

The token is in the Authorization header and nowhere else: never in an argument, a URL or a log.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from urllib.parse import urlsplit

from engine.line import TLS, EngineGone

CA = "LANESHIFT_CA"
TOKEN = "LANESHIFT_TOKEN"
TOKEN_FILE = "LANESHIFT_TOKEN_FILE"
LONGEST_TOKEN = 4096
LONGEST_ANSWER = 64 * 1024 * 1024


def exchange(address: str, method: str, path: str, content: bytes, limit_s: float) -> tuple[int, bytes]:
    """One request, one answer: its status and its content. Raises EngineGone."""
    host, port = host_of(address)
    line = http.client.HTTPSConnection(host, port, timeout=limit_s, context=context())
    try:
        line.request(method, path, content or None, {"Content-Type": "application/json", **authorization()})
        answer = line.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER)
    except TimeoutError:
        raise EngineGone(f"the engine at {address} does not answer within {limit_s:g} s; it may still act") from None
    except http.client.HTTPException:
        raise EngineGone(f"what answers at {address} is no engine, or it ended in mid-answer") from None
    except OSError as error:
        raise not_reached(address, error) from None
    finally:
        line.close()


def host_of(address: str) -> tuple[str, int]:
    """Host and port of an address such as `https://releases.example:7443`. Raises EngineGone."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme != "https" or not parts.hostname or not plain:
        raise EngineGone(
            f"{_without_secrets(address)!r} is no address of an engine",
            f"LANESHIFT_ENGINE is a socket's path or {TLS}host:port; a token goes into ${TOKEN}",
        )
    return parts.hostname, port or 443


def context() -> ssl.SSLContext:
    """What verifies the engine's certificate: $LANESHIFT_CA, else the system's authorities. Raises EngineGone."""
    named = os.environ.get(CA) or None
    try:
        return ssl.create_default_context(cafile=named)
    except OSError as error:
        raise EngineGone(f"${CA}: {named} can't be read as certificates: {error.strerror or error}") from None


def authorization() -> dict[str, str]:
    """The header that says who asks; empty without a token. Raises EngineGone for one that can't be read."""
    token = os.environ.get(TOKEN, "").strip() or _token_in_file(os.environ.get(TOKEN_FILE, ""))
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()) or " " in token or len(token) > LONGEST_TOKEN:
        raise EngineGone(f"what ${TOKEN} or the file of ${TOKEN_FILE} holds is no token: one word of printable ASCII")
    return {"Authorization": f"Bearer {token}"}


def not_reached(address: str, error: OSError) -> EngineGone:
    """Why nothing was to be heard over TCP, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        mend = f"name the authority that signed it: {CA}=FILE; the address must be a name in the certificate"
        return EngineGone(f"the certificate of {address} is not trusted: {error.verify_message}", mend)
    if isinstance(error, ssl.SSLError):
        return EngineGone(f"{address} speaks no TLS that this side takes: {error.reason or error}")
    if isinstance(error, socket.gaierror):
        return EngineGone(f"the host of {address} has no address: {error.strerror}")
    mend = "is the engine there, with `listen` in its engine.yaml, and the port open on the way?"
    return EngineGone(f"no engine answers at {address}: {error.strerror or error}", mend)


def _token_in_file(path: str) -> str:
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="ascii") as file:  # noqa: PTH111, PTH123  # a path as text, as in engine.line
            return file.read(LONGEST_TOKEN + 2).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it holds no token"
        raise EngineGone(f"${TOKEN_FILE}: {path} can't be read: {why}") from None


def _without_secrets(address: str) -> str:
    """An address as it may be shown: without what stands before an @."""
    scheme, slashes, rest = address.partition("//")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
