"""The worlds in which the sources keep their contract: servers that can be told what to show and how to fail."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from engine.contract.sources import CANARY, STABLE, Shown
from engine.judge.metric import Metric, Threshold
from engine.plan.questions import parse_question
from engine.sources import Source, sql
from engine.sources.combined import Beside, Combined
from engine.sources.config import HttpJsonConfig, PrometheusConfig, ScrapeConfig, SqlConfig
from engine.sources.http_json import HttpJsonSource
from engine.sources.prometheus import PrometheusSource
from engine.sources.reading import Query
from engine.sources.scrape import ScrapeSource
from engine.sources.sql import SqlSource
from tests.support.canned_http import NEVER, Canned, answered, canned
from tests.support.prometheus_fake import FakePrometheus, fake_prometheus, refused, series, told

VERSIONS = {"stable": STABLE.version, "canary": CANARY.version}
LIMIT_S = 0.5


def query(total: str, part: str, source: str = "") -> Query:
    judged = Metric("events", "bad", (Threshold(0.02),))
    return Query(judged, total=parse_question(total), part=parse_question(part), source=source)


class HttpWorld:
    """A page that is served, whatever is on it."""

    limit_s = LIMIT_S
    type = "text/plain"

    def __init__(self, server: Canned) -> None:
        self.server = server
        self.good = b""
        self.config = {"interval": "10s", "timeout": f"{LIMIT_S}s"}

    def page(self, shown: Shown) -> bytes:
        raise NotImplementedError

    async def show(self, shown: Shown) -> None:
        self.good = answered(200, self.page(shown), {"Content-Type": self.type})
        await self.mend()

    async def stop(self) -> None:
        self.server.answers["/x"] = b"\x00"

    async def hang(self) -> None:
        self.server.answers["/x"] = NEVER

    async def garble(self) -> None:
        self.server.answers["/x"] = answered(200, b"<html>502 Bad Gateway</html>")

    async def mend(self) -> None:
        self.server.answers["/x"] = self.good


class ScrapeWorld(HttpWorld):
    query = query("events_total", 'bad_total{version="$version"}')

    def __init__(self, server: Canned) -> None:
        super().__init__(server)
        self.source: Source = ScrapeSource(ScrapeConfig.model_validate({"urls": [f"{server.url}/x"], **self.config}))

    def page(self, shown: Shown) -> bytes:
        lines = ["up 1"]
        for side, (total, bad) in shown.items():
            label = f'{{version="{VERSIONS[side]}"}}'
            lines += [f"events_total{label} {total}", f"bad_total{label} {bad}"]
        return "\n".join([*lines, ""]).replace(" nan", " NaN").replace(" inf", " +Inf").encode()


class CombinedWorld(ScrapeWorld):
    """The same, as one source beside another."""

    query = query("events_total", 'bad_total{version="$version"}', source="more")

    def __init__(self, server: Canned) -> None:
        super().__init__(server)
        first = ScrapeSource(ScrapeConfig.model_validate({"urls": [f"{server.url}/x"], **self.config}))
        self.source = Combined(first, {"more": Beside(self.source, 0.0)}, interval=10.0)


class HttpJsonWorld(HttpWorld):
    query = query("/$version/all", "/$version/bad")
    type = "application/json"
    counts = "since_start"

    def __init__(self, server: Canned) -> None:
        super().__init__(server)
        config = {"url": f"{server.url}/x", "counts": self.counts, **self.config}
        self.source: Source = HttpJsonSource(HttpJsonConfig.model_validate(config))

    def page(self, shown: Shown) -> bytes:
        return json.dumps({VERSIONS[side]: {"all": all_, "bad": bad} for side, (all_, bad) in shown.items()}).encode()

    async def break_part(self) -> None:
        half = self.good.replace(b'"bad"', b'"bat"')
        self.server.answers["/x"] = half


class AllTimeWorld(HttpJsonWorld):
    counts = "all_time"


class PrometheusWorld:
    """A server whose clock goes on by one scrape with whatever is shown."""

    query = query("events_total", 'bad_total{version="$version"}')
    limit_s = LIMIT_S

    def __init__(self, server: FakePrometheus) -> None:
        self.server = server
        self.at = 1_700_000_000.0
        self.points: dict[str, list[tuple[float, str]]] = {}
        config = {"url": server.url, "interval": "10s", "timeout": f"{LIMIT_S}s"}
        self.source: Source = PrometheusSource(PrometheusConfig.model_validate(config), now=lambda: self.at)

    async def show(self, shown: Shown) -> None:
        self.at += 10.0
        for side, counts in shown.items():
            for name, count in zip(("events_total", "bad_total"), counts, strict=True):
                key = f'{name}{{version="{VERSIONS[side]}"}}'
                written = str(count).replace("nan", "NaN").replace("inf", "+Inf")
                self.points[key] = [*self.points.get(key, ())[-2:], (self.at - 1, written)]
        await self.mend()

    async def stop(self) -> None:
        self.server.answers = [("", b"\x00")]

    async def hang(self) -> None:
        self.server.answers = [("", NEVER)]

    async def garble(self) -> None:
        self.server.answers = [("", answered(200, b"<html>Welcome</html>"))]

    async def mend(self) -> None:
        self.server.answers = [("time()", told({"resultType": "scalar", "result": [self.at, str(self.at)]}))]
        for key, points in self.points.items():
            self.server.say(key, series(key.partition("{")[0], *points))

    async def break_part(self) -> None:
        self.server.answers.insert(0, ("bad_total", refused(503, "timeout", "busy")))


class SqlWorld:
    """A database of which the counts can be set to anything."""

    query = query(
        "select coalesce(sum(total), 0) from counts where version = :version",
        "select coalesce(sum(bad), 0) from counts where version = :version",
    )
    limit_s = LIMIT_S

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.away, self.monkeypatch = path, path.with_suffix(".away"), monkeypatch
        self.proceed = threading.Event()
        self.broken = False
        self.do("create table counts (version text, total real, bad real)")
        config = {"url": f"sqlite:///{path}", "timeout": f"{LIMIT_S}s"}
        self.source: Source = SqlSource(SqlConfig.model_validate(config))

    def do(self, statement: str, *bound: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(statement, bound)
            connection.commit()

    async def show(self, shown: Shown) -> None:
        self.do("delete from counts")
        for side, counts in shown.items():
            self.do("insert into counts values (?, ?, ?)", VERSIONS[side], *counts)

    async def stop(self) -> None:
        self.path.rename(self.away)

    async def hang(self) -> None:
        self.proceed.clear()
        answer = sql._answer
        self.monkeypatch.setattr(sql, "_answer", lambda *asked: self.proceed.wait(30) and answer(*asked))

    async def garble(self) -> None:
        self.path.rename(self.away)
        self.path.write_bytes(b"not a database, but long enough to be read as one" * 100)

    async def mend(self) -> None:
        self.monkeypatch.undo()
        self.proceed.set()
        await asyncio.sleep(0.1)  # what hung has its answer
        if self.away.exists():
            self.away.rename(self.path)
        if self.broken:
            self.broken = False
            self.do("alter table counts rename column bat to bad")

    async def break_part(self) -> None:
        self.broken = True
        self.do("alter table counts rename column bad to bat")


@asynccontextmanager
async def http_world(kind: type[HttpWorld]) -> AsyncIterator[Any]:
    async with canned() as server:
        world: Any = kind(server)
        yield world
        await world.source.close()


@asynccontextmanager
async def prometheus_world() -> AsyncIterator[PrometheusWorld]:
    async with fake_prometheus() as server:
        world = PrometheusWorld(server)
        yield world
        await world.source.close()
