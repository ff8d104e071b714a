"""The HTTP API that Prometheus, Thanos, Mimir and VictoriaMetrics serve: one question, one answer or a sentence.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from engine.plan.problem import printable
from engine.sources.config import PrometheusConfig

LONGEST_BODY = 16 * 1024 * 1024  # bytes; an answer beyond this is not one a release needs
LONGEST_SAID = 200  # characters of what the server says
PARALLEL = 8  # questions at a time; a server answers 20 of everybody's at once by default


class PrometheusError(Exception):
    """There is no answer; the text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """One series as the API writes it: points are (seconds since the epoch, number or native histogram)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float | Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """All series of one question; `warning` is set when the server says that they may not be all, or not right."""

    series: tuple[Written, ...] = ()
    warning: str = ""


class PrometheusApi:
    """Asks one server. Connects at the first question, so that a missing certificate is an answer like others."""

    def __init__(self, config: PrometheusConfig) -> None:
        self._config = config
        self._name = f"Prometheus at {urlsplit(config.url).netloc.rpartition('@')[2]}"
        self._http: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(PARALLEL)

    async def window(self, expression: str, at: float) -> Answer:
        """A range selector at one instant: raw samples with their own times. Raises PrometheusError.

        The time limit holds from now on, waiting for a turn included: of many questions asked at once all end with it.
        """
        async with _limit(self._config.timeout, self._name), self._turns:
            return await self._asked("query", {"query": expression, "time": f"{at:.3f}"})

    async def steps(self, expression: str, start: float, end: float, step: float) -> Answer:
        """An expression at each `step` seconds from `start` to `end`. Raises PrometheusError."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        async with self._turns, _limit(self._config.timeout, self._name):
            return await self._asked("query_range", {"query": expression, **times})

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _asked(self, path: str, question: Mapping[str, str]) -> Answer:
        # Thanos leaves out what it can't reach unless it is told not to; the others ignore that parameter.
        form = {**question, "timeout": f"{self._config.timeout * 1000:.0f}ms", "partial_response": "false"}
        try:
            status, body = await self._posted(f"{self._config.url.rstrip('/')}/api/v1/{path}", form)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = str(error) or f"the connection broke off ({type(error).__name__})"
            raise PrometheusError(f"{self._name}: {_said(why)}") from error
        except OSError as error:  # ssl.SSLError is one: a certificate that can't be read
            raise PrometheusError(f"a file of tls can't be used: {_said(str(error))}") from error
        if status in (401, 403):
            raise PrometheusError(f"{self._name} refuses the credentials (HTTP {status})")
        # Megabytes take a while to read; a way back must not wait for it.
        return await asyncio.to_thread(_answer, self._name, status, body)

    async def _posted(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        if self._http is None:
            self._http = _client(self._config)
        async with self._http.stream("POST", url, data=form) as answer:
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LONGEST_BODY:
                    raise PrometheusError(f"{self._name} answers more than {LONGEST_BODY} bytes")
        return answer.status_code, bytes(body)


@asynccontextmanager
async def _limit(seconds: float, name: str) -> AsyncIterator[None]:
    """A time limit that says so when it is over."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as late:
        raise PrometheusError(f"{name} did not answer within {seconds:g} s") from late


def _client(config: PrometheusConfig) -> httpx.AsyncClient:
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


def _answer(name: str, status: int, body: bytes) -> Answer:
    """Raises PrometheusError for whatever is no successful answer of this API."""
    try:
        answer = json.loads(body)
        if answer["status"] == "error":
            raise PrometheusError(f"{name}: {_said(answer['errorType'])}: {_said(answer['error'])} (HTTP {status})")
        warning = "; ".join(_said(each) for each in answer.get("warnings") or ())
        return Answer(tuple(_written(series) for series in answer["data"]["result"]), warning)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PrometheusError(f"{name} answers HTTP {status}, not as Prometheus does: is the address right?") from error


def _written(series: Mapping[str, Any]) -> Written:
    """A series of a matrix. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    if "values" not in series and "histograms" not in series:
        raise ValueError("no samples")
    numbers = [(float(at), float(value)) for at, value in series.get("values", ())]
    histograms = [(float(at), dict(histogram)) for at, histogram in series.get("histograms", ())]
    labels = {str(name): str(value) for name, value in series["metric"].items()}
    points: list[tuple[float, float | Mapping[str, Any]]] = [*numbers, *histograms]
    return Written(labels, tuple(sorted(points, key=lambda point: point[0])))


def _said(text: object) -> str:
    return printable(str(text), LONGEST_SAID)
