"""What went wrong with the API server, in words that say what to do about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.routers import RouterConflict, RouterError

RETRIED: Final = frozenset({429, 500, 502, 503, 504})
"""Answers that mean "later"; everything else that is not a success would be answered the same again."""


class KubeError(RouterError):
    """The API server could not be asked, or said no. `status` is the HTTP status, 0 when nothing was answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class KubeConflict(KubeError, RouterConflict):
    """The object is not as it was read: a failed `test` of a JSON Patch, or another resourceVersion."""


class LineLost(Exception):
    """No answer came: refused, broken off, not to be trusted, or too late. Says which.

    `silent`: the connection stands and says nothing; others of the same pool may be as dead.
    """

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, for the sentence of an error: `patch`, `httproute checkout in namespace shop`."""

    verb: str
    what: str
    server: str
    who: str


def refusal(asked: Asked, status: int, body: bytes) -> KubeError:
    """The error of an answer that is no success."""
    said = _status_object(body)
    message = str(said.get("message") or body[:300].decode(errors="replace").strip() or f"HTTP {status}")
    doing = f"{asked.verb} {asked.what}"
    match status:
        case 401:
            why = "the credentials are not accepted (expired or revoked): log in again, kubectl must work as this user"
            return KubeError(f"{asked.server}, {asked.who}: {why}", status)
        case 403:
            return KubeError(f"{asked.who} may not {doing}: grant it, doctor prints how. It said: {message}", status)
        case 404:
            return KubeError(_missing(asked, said, message), status)
        case 409:
            return KubeConflict(f"could not {doing}: it was changed meanwhile. It said: {message}", status)
        case 422 if _does_not_apply(said):
            return KubeConflict(f"could not {doing}: it is not as it was read, a test of the patch failed", status)
    return KubeError(f"could not {doing}: {asked.server} answered {status}: {message}", status)


def no_answer(asked: Asked, seconds: float, last: str) -> KubeError:
    """The time limit was up. `last` is what the last attempt met, empty when it still waited."""
    met = f": {last}" if last else ""
    return KubeError(f"could not {asked.verb} {asked.what}: no success within {seconds:g} s from {asked.server}{met}")


def _missing(asked: Asked, said: Mapping[str, Any], message: str) -> str:
    """A missing object and a missing kind are both 404; only the first one is named in the answer."""
    details = said.get("details")
    if isinstance(details, dict) and details.get("name"):
        return f"there is no {asked.what}: could not {asked.verb} it ({message})"
    return f"{asked.server} does not know what {asked.what} is: are its definitions installed? It said: {message}"


def _does_not_apply(said: Mapping[str, Any]) -> bool:
    """A JSON Patch that can't be applied (a failed `test`, a path that is gone) is the one refusal of an object that
    names no object; one that applies and makes something invalid has details with its name and the causes."""
    details = said.get("details")
    return said.get("reason") == "Invalid" and not (isinstance(details, dict) and details.get("name"))


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
