"""The HTTP API that Prometheus, Thanos, Mimir and VictoriaMetrics serve: one question, one answer or a sentence.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from engine.plan.problem import printable
from engine.sources.config import PrometheusConfig
from engine.sources.http_client import LONGEST_SAID, HttpClient, HttpError, Renewed, said_of

_OTHER = "{} answers HTTP {}, not as Prometheus does: is the address right?"
PARALLEL = 8  # questions at a time; a server answers 20 of everybody's at once by default


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
    """Asks one server."""

    def __init__(self, config: PrometheusConfig, renewed: Renewed | None = None) -> None:
        self._base = f"{config.url.rstrip('/')}/api/v1/"
        self._timeout = f"{config.timeout * 1000:.0f}ms"
        self._http = HttpClient(f"Prometheus at {urlsplit(config.url).netloc.rpartition('@')[2]}", config, renewed)
        self._turns = asyncio.Semaphore(PARALLEL)

    async def renew(self) -> None:
        """Take up credentials that have changed; called before each look."""
        await self._http.renew()

    async def window(self, expression: str, at: float) -> Answer:
        """A range selector at one instant: raw samples with their own times. Raises HttpError.

        The time limit holds from now on, waiting for a turn included: of many questions asked at once all end with it.
        """
        async with self._http.limit(), self._turns:
            return await self._asked("query", {"query": expression, "time": f"{at:.3f}"})

    async def steps(self, expression: str, start: float, end: float, step: float) -> Answer:
        """An expression at each `step` seconds from `start` to `end`. Raises HttpError."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        async with self._turns, self._http.limit():
            return await self._asked("query_range", {"query": expression, **times})

    async def clock(self) -> float:
        """The server's own time in seconds since the epoch. Raises HttpError."""
        said = await self._data("POST", "query", {"query": "time()"})
        try:
            return float(said["result"][1])
        except (LookupError, TypeError, ValueError) as error:
            raise HttpError(f"{self._http.name} does not tell its time") from error

    async def version(self) -> str:
        """What the server calls itself. Raises HttpError."""
        said = await self._data("GET", "status/buildinfo")
        return printable(str(said.get("version", "")), LONGEST_SAID) if isinstance(said, dict) else ""

    async def alerts(self) -> list[tuple[str, str]]:
        """(name, expression) of every alert rule. Raises HttpError."""
        said = await self._data("GET", "rules?type=alert")
        try:
            rules = [rule for group in said["groups"] for rule in group["rules"]]
            return [(str(rule["name"]), str(rule["query"])) for rule in rules]
        except (LookupError, TypeError) as error:
            raise HttpError(f"{self._http.name} lists no rules") from error

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    async def _data(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        async with self._http.limit():
            answer = await self._http.ask(method, self._base + path, form)
        if refused := said_of(answer.status_code, self._http.name):
            raise HttpError(refused)
        return _said_by(self._http.name, answer.status_code, answer.content)["data"]

    async def _asked(self, path: str, question: Mapping[str, str]) -> Answer:
        # Thanos leaves out what it can't reach unless it is told not to; the others ignore that parameter.
        form = {**question, "timeout": self._timeout, "partial_response": "false"}
        answer = await self._http.ask("POST", self._base + path, form)
        if refused := said_of(answer.status_code, self._http.name):
            raise HttpError(refused)
        # Megabytes take a while to read; a way back must not wait for it.
        return await asyncio.to_thread(_answer, self._http.name, answer.status_code, answer.content)


def _answer(name: str, status: int, body: bytes) -> Answer:
    """Raises HttpError for whatever is no successful answer of this API."""
    answer = _said_by(name, status, body)
    try:
        warning = "; ".join(_said(each) for each in answer.get("warnings") or ())
        return Answer(tuple(_written(series) for series in answer["data"]["result"]), warning)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HttpError(_OTHER.format(name, status)) from error


def _said_by(name: str, status: int, body: bytes) -> dict[str, Any]:
    """The JSON around an answer. Raises HttpError."""
    try:
        answer: dict[str, Any] = json.loads(body)
        if answer["status"] == "error":
            raise HttpError(f"{name}: {_said(answer['errorType'])}: {_said(answer['error'])} (HTTP {status})")
        answer["data"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HttpError(_OTHER.format(name, status)) from error
    return answer


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
