"""One HTTP request, to the canary itself unless the plan says otherwise; the answer must prove its version."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx

from engine.checks import CheckResult, Place
from engine.checks.config import HttpConfig
from engine.events import CheckOutcome

TIME_LIMIT_S = 10.0
LONGEST_ANSWER = 256 * 1024  # bytes that are read
SHOWN = 200  # characters of an answer that are kept as evidence
MARK = {"X-Laneshift-Check": "1", "User-Agent": "laneshift-check"}  # so that services do not count it


class HttpCheck:
    """Status, optionally a text and a time limit, and always the version that answered."""

    Config = HttpConfig

    def __init__(self, name: str, config: HttpConfig) -> None:
        self.name = name
        self._config = config

    async def run(self, place: Place) -> CheckResult:
        """Ask once; `ERROR` when there was no answer to judge, or it came from another version."""
        config = self._config
        base = place.addresses.get(config.target)
        if base is None:
            return CheckResult(CheckOutcome.ERROR, f"the router knows no address for {config.target}")
        url = base.rstrip("/") + config.path
        started = time.monotonic()
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                status, headers, body = await self._ask(url)
        except (TimeoutError, httpx.TimeoutException):
            return CheckResult(CheckOutcome.ERROR, f"{config.title}: no answer within {TIME_LIMIT_S:g} s")
        except httpx.HTTPError as error:
            return CheckResult(CheckOutcome.ERROR, f"{config.title}: {str(error) or type(error).__name__}")
        seconds = time.monotonic() - started
        version = headers.get(config.version_header, "")
        evidence = {"url": url, "method": config.method, "status": status, "ms": round(seconds * 1000, 1)}
        evidence |= {"version": version, "answer": body[:SHOWN], "at": time.time()}
        outcome, summary = self._judge(place, status, version, body, seconds)
        return CheckResult(outcome, f"{config.title}: {summary}", evidence)

    async def _ask(self, url: str) -> tuple[int, Mapping[str, str], str]:
        config = self._config
        content: Mapping[str, Any] = {} if config.body is None else {"json": config.body}
        async with (
            httpx.AsyncClient(timeout=TIME_LIMIT_S, trust_env=False, headers=MARK) as http,
            http.stream(config.method, url, **content) as answer,
        ):
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LONGEST_ANSWER:
                    break
            return answer.status_code, answer.headers, bytes(body[:LONGEST_ANSWER]).decode(errors="replace")

    def _judge(self, place: Place, status: int, version: str, body: str, seconds: float) -> tuple[CheckOutcome, str]:
        config = self._config
        expected = {"canary": (place.canary,), "stable": (place.stable,), "public": (place.canary, place.stable)}
        if version not in expected[config.target]:
            said = f"{version} answered" if version else f"no {config.version_header} in the answer"
            return CheckOutcome.ERROR, f"{said}, not {' or '.join(expected[config.target])}"
        if status != config.expect:
            return CheckOutcome.FAIL, f"{status} from {version}, {config.expect} expected"
        if config.contains is not None and config.contains not in body:
            return CheckOutcome.FAIL, f"{status} from {version} without the expected text"
        if config.within is not None and seconds > config.within:
            return CheckOutcome.FAIL, f"{seconds * 1000:.0f} ms from {version}, {config.within * 1000:.0f} ms allowed"
        return CheckOutcome.PASS, f"{status} from {version} in {seconds * 1000:.0f} ms"
