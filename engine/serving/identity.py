"""Who asks: the kernel's word on the unix socket, a bearer token's on TCP. What a body says of it is not read."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from engine.access import Access, Caller, Peer, PeerUnknownError, UnknownTokenError
from engine.access.caller import place
from engine.config import VARIABLE, EngineConfig, EngineConfigError, config_path, read_engine_config

log = logging.getLogger(__name__)

PEER: Final = "peer"  # the key of a connection's Peer in an ASGI scope's state
_NO_TOKEN: Final = "who are you? come with `Authorization: Bearer TOKEN` over TLS, or over the engine's unix socket"


class Identity:
    """Says who a request's caller is and what they may not do, by the engine's configuration as it is now."""

    def __init__(self, home: Path, now: Callable[[], float]) -> None:
        """Raises EngineConfigError when the configuration can't be read."""
        self._path = config_path(home)
        self._now = now
        self._seen = _stamp(self._path)
        self.config: EngineConfig = read_engine_config(self._path, needed=VARIABLE in os.environ)
        self._access = Access.of(self.config)
        self.trouble = ""

    @property
    def access(self) -> Access:
        """By the file as it is now; by the last good one while it is wrong."""
        stamp = _stamp(self._path)
        if stamp != self._seen:
            self._seen = stamp
            self._read()
        return self._access

    def caller(self, request: Request, said: str = "") -> Caller:
        """Who asks; `said` are their own words about where they are. Raises HTTPException with 401."""
        peer = request.scope.get("state", {}).get(PEER)
        if isinstance(peer, Peer):
            return self.access.by_peer(peer, said)
        if isinstance(peer, PeerUnknownError):
            raise _unknown(str(peer))
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _unknown(_NO_TOKEN)
        address = request.client.host if request.client else "an unknown address"
        try:
            return self.access.by_token(token.strip(), address, self._now(), said)
        except UnknownTokenError as error:
            raise _unknown(str(error)) from None

    def allowed(self, request: Request, act: str) -> Caller:
        """The caller, who may do this. Raises HTTPException with 401 or 403."""
        caller = self.caller(request)
        why = self.access.refusal(caller, act)
        if why:
            raise HTTPException(403, why)
        return caller

    def _read(self) -> None:
        try:
            self.config = read_engine_config(self._path, needed=VARIABLE in os.environ)
        except EngineConfigError as error:
            self.trouble = f"the engine's configuration is wrong, the last good one is in force: {error}"
            log.warning("%s", self.trouble)
            return
        self._access, self.trouble = Access.of(self.config), ""


def from_there(caller: Caller, said: str) -> Caller:
    """The same caller, with their own words about where they are."""
    return replace(caller, where=place(caller.where, said)) if said else caller


def _unknown(why: str) -> HTTPException:
    return HTTPException(401, why, {"WWW-Authenticate": "Bearer"})


def _stamp(path: Path) -> Any:
    try:
        found = os.stat(path)  # noqa: PTH116  # a microsecond less at each request
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
