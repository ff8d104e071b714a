"""HTTP for sources: credentials that renew, certificates of one's own, bounds on time and size, errors in words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from engine.plan.problem import printable
from engine.sources.config import HttpAccess

LONGEST_BODY = 16 * 1024 * 1024  # bytes; an answer beyond this is not one a release needs
LONGEST_SAID = 200  # characters of what a server says

Renewed = Callable[[], HttpAccess]


class HttpError(Exception):
    """There is no answer; the text is a sentence that says why."""


class HttpClient:
    """Asks one server. Connects at the first question, so that a missing certificate is an answer like others.

    `renewed` gives the configuration with its secrets as they are now: a token in a file may be another one by now.
    """

    def __init__(self, name: str, config: HttpAccess, renewed: Renewed | None = None) -> None:
        self.name = name
        self._config = config
        self._renewed = renewed
        self._http: httpx.AsyncClient | None = None
        self._made_of: tuple[HttpAccess, list[float]] | None = None

    async def renew(self) -> None:
        """Take up a token, a password or a certificate that has changed; called before each look."""
        if self._renewed is not None:
            try:
                self._config = self._renewed()
            except Exception:  # noqa: BLE001  a file that is being replaced: the credentials of before are tried still
                return
        if self._http is not None and self._made_of != (self._config, _changes(self._config)):
            await self.close()

    async def ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """The whole answer. Raises HttpError, and TimeoutError."""
        try:
            return await self._asked(method, url, form)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = str(error) or f"the connection broke off ({type(error).__name__})"
            raise HttpError(f"{self.name}: {printable(why, LONGEST_SAID)}") from error
        except OSError as error:  # ssl.SSLError is one: a certificate that can't be read
            raise HttpError(f"a file of tls can't be used: {printable(str(error), LONGEST_SAID)}") from error

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """The configuration's time limit; says so when it is over. Raises HttpError."""
        try:
            async with asyncio.timeout(self._config.timeout):
                yield
        except TimeoutError as late:
            raise HttpError(f"{self.name} did not answer within {self._config.timeout:g} s") from late

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _asked(self, method: str, url: str, form: Mapping[str, str] | None) -> httpx.Response:
        if self._http is None:
            self._made_of = (self._config, _changes(self._config))
            self._http = _client(self._config)
        async with self._http.stream(method, url, data=form) as answer:
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LONGEST_BODY:
                    raise HttpError(f"{self.name} answers more than {LONGEST_BODY} bytes")
        plain = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=plain, content=bytes(body))


def said_of(status: int, name: str) -> str:
    """Why this status is no answer; empty when it may be one."""
    return f"{name} refuses the credentials (HTTP {status})" if status in (401, 403) else ""


def _changes(config: HttpAccess) -> list[float]:
    """When each of its files changed last."""
    paths = (config.tls.ca, config.tls.cert, config.tls.key) if config.tls else ()
    return [Path(path).stat().st_mtime if path and Path(path).exists() else 0.0 for path in paths]


def _client(config: HttpAccess) -> httpx.AsyncClient:
    """Raises OSError for a file that can't be read or is no certificate."""
    context = ssl.create_default_context(cafile=config.tls.ca if config.tls else None)
    if config.tls and config.tls.cert:
        context.load_cert_chain(config.tls.cert, config.tls.key)
    headers = dict(config.headers)
    if config.bearer_token:
        headers["Authorization"] = f"Bearer {config.bearer_token}"
    basic = (config.basic.user, config.basic.password) if config.basic else None
    return httpx.AsyncClient(
        auth=httpx.BasicAuth(*basic) if basic else None,
        headers=headers,
        timeout=config.timeout,
        verify=context,
        trust_env=False,
    )
