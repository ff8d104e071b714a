"""Something that speaks Prometheus' HTTP API and answers what a test says, question by question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.support.canned_http import NEVER, answered


@dataclass
class FakePrometheus:
    """`answers`: (part of the question, whole HTTP answer); the first that fits is given, else no series.

    `asked` has the form of each question, `heads` the head of its request.
    """

    url: str = ""
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    slowness: float = 0.0
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    def say(self, part: str, *series: Mapping[str, Any], warnings: Sequence[str] = ()) -> None:
        """Answer these series to questions that hold `part`; what was said before of it is forgotten."""
        self.answers = [(of, answer) for of, answer in self.answers if of != part]
        self.answers.append((part, matrix(*series, warnings=warnings)))

    def questions(self, path: str = "query") -> list[str]:
        """The expressions asked so far."""
        return [form["query"] for form in self.asked if form["path"].endswith(path)]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer; then the connection ends, unless the answer is NEVER."""
        self._lines.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        lengths = (line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length"))
        length = int(next(lengths, "0"))
        form = {name: one[0] for name, one in parse_qs((await reader.readexactly(length)).decode()).items()}
        self.heads.append(head)
        self.asked.append({**form, "path": head.split(" ")[1]})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.slowness)
        self.at_once -= 1
        asked = form.get("query", head.split(" ")[1])
        answer = next((answer for part, answer in self.answers if part in asked), matrix())
        if answer is not NEVER:
            writer.write(answer)
            writer.close()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._lines:
            writer.close()


def series(name: str, *points: tuple[float, str], **labels: str) -> dict[str, Any]:
    """One series of numbers, as the API writes it; from the gateway unless labels say otherwise."""
    return {
        "metric": {"__name__": name, "job": "gw", "instance": "gw:80", **labels},
        "values": [list(p) for p in points],
    }


def native(name: str, *points: tuple[float, Mapping[str, Any]], **labels: str) -> dict[str, Any]:
    """One series of native histograms."""
    where = {"__name__": name, "job": "gw", "instance": "gw:80", **labels}
    return {"metric": where, "histograms": [list(point) for point in points]}


def matrix(*found: Mapping[str, Any], warnings: Sequence[str] = ()) -> bytes:
    """A successful answer with these series."""
    said = {"status": "success", "data": {"resultType": "matrix", "result": found}, "warnings": warnings}
    return answered(200, json.dumps(said).encode())


def told(data: Any) -> bytes:
    """A successful answer with other data than series."""
    return answered(200, json.dumps({"status": "success", "data": data}).encode())


def refused(status: int, kind: str, why: str) -> bytes:
    """The API's own error."""
    return answered(status, json.dumps({"status": "error", "errorType": kind, "error": why}).encode())


@asynccontextmanager
async def fake_prometheus() -> AsyncIterator[FakePrometheus]:
    """A server for as long as the block lasts."""
    fake = FakePrometheus()
    server = await asyncio.start_server(fake.talk, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        fake.hang_up()
        await server.wait_closed()
