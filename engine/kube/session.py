"""One pool of kept-alive connections to an API server, through the kubernetes package's client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp.connector import NEEDS_CLEANUP_CLOSED
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.rest import RESTClientObject

from engine.kube.connection import Request
from engine.kube.credentials import Credentials
from engine.kube.errors import LineLost

IDLE_S: Final = 75.0
"""How long an idle connection is kept: the client's own 15 s would make a roll back wait for a TLS handshake."""

CONNECT_S: Final = 2.0
STREAM_IDLE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class _Rest(RESTClientObject):
    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize,
            ssl=self.ssl_context,
            keepalive_timeout=IDLE_S,
            enable_cleanup_closed=NEEDS_CLEANUP_CLOSED,  # older Pythons wait 30 s for the goodbye of a dead server
        )


class Session:
    """Sends requests as one user; knows no retries."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._client = ApiClient(credentials.configuration)
        self._client.rest_client = _Rest(credentials.configuration)
        self._client.user_agent = "laneshift"

    async def send(self, request: Request, limit: float) -> Answer:
        """One request within `limit` seconds. Raises LineLost."""
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=min(CONNECT_S, limit))
        try:
            answer = await self._call(request, timeout)
            try:
                return Answer(answer.status, await answer.read(), answer.headers)
            finally:
                answer.response.release()
        except TimeoutError:
            raise LineLost(f"no answer within {limit:.1f} s", silent=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LineLost(_in_words(error)) from None

    @asynccontextmanager
    async def lines(self, request: Request) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """An open watch: its status, and its lines as they come. Raises LineLost, while they are read too."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STREAM_IDLE_S)
        try:
            answer = await self._call(request, timeout)
            try:
                refused = b"" if answer.status == 200 else await answer.read()
                yield Answer(answer.status, refused, answer.headers), aiter(answer.response.content)
            finally:
                answer.response.close()  # the rest of a watch is of no use to the next request
        except TimeoutError:
            raise LineLost("it went silent", silent=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LineLost(_in_words(error)) from None

    async def close(self) -> None:
        """Close all connections; what still waits for an answer on them is told that they broke off."""
        await self._client.rest_client.close()
        await asyncio.sleep(0)  # aiohttp closes transports in the loop's next round

    async def _call(self, request: Request, limits: aiohttp.ClientTimeout) -> Any:
        headers = {"Accept": "application/json", "Content-Type": request.content_type, **self._client.default_headers}
        if authorization := await self.credentials.authorization():
            headers["Authorization"] = authorization
        query = f"?{urlencode(request.query)}" if request.query else ""
        return await self._client.call_api(
            request.method,
            f"{self.credentials.server}{request.path}{query}",
            header_params=headers,
            body=request.body,
            _request_timeout=limits,
            _preload_content=False,
        )


def _in_words(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            return f"no TLS: {error}"
        case aiohttp.ClientConnectorError():
            return f"can't connect: {error.os_error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was broken off"
    return str(error) or type(error).__name__


def decoded(body: bytes) -> dict[str, Any]:
    """An object of the API. Raises ValueError when it is none."""
    value = json.loads(body)
    if isinstance(value, dict):
        return value
    raise ValueError("no object")
