"""Counts out of SQLite: one moment, nothing written, nothing taken for a number that is none."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from engine.judge.metric import Metric, Threshold
from engine.plan.model import parse_plan
from engine.plan.problem import PlanError
from engine.plan.questions import Statement
from engine.plan.selector import Subject
from engine.sources import sql
from engine.sources.config import SqlConfig
from engine.sources.reading import Differences, Query, Reading
from engine.sources.sql import SqlSource

CANARY, STABLE = Subject("v2"), Subject("v1")
ALL = "select count(*) from orders where version = :version"
PAID = f"{ALL} and paid"


def metric(total: str = ALL, part: str = PAID, name: str = "paid") -> Query:
    judged = Metric(name, "good", (Threshold(0.9, above=False),))
    return Query(judged, total=Statement.parse(total), part=Statement.parse(part))


class Shop:
    """A database with orders of both versions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.do("create table orders (version text, paid boolean)")

    def do(self, statement: str, *bound: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(statement, bound)
            connection.commit()

    def sell(self, version: str, number: int, paid: bool = True) -> None:
        for _ in range(number):
            self.do("insert into orders values (?, ?)", version, paid)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop #1.db")


@asynccontextmanager
async def source(shop: Shop, **more: Any) -> AsyncIterator[SqlSource]:
    made = SqlSource(SqlConfig.model_validate({"url": f"sqlite:///{shop.path}", **more}), now=lambda: 123.0)
    try:
        yield made
    finally:
        await made.close()


async def look(shop: Shop, *queries: Query, canary: Subject = CANARY, **more: Any) -> Reading:
    async with source(shop, **more) as made:
        return await made.read(queries or (metric(),), canary=canary, stable=STABLE)


def numbers(reading: Reading) -> dict[tuple[str, str], float]:
    return {(side, role): sum(series.values()) for (_, side, role), series in reading.values.items()}


async def test_counts_are_the_databases_own(shop: Shop) -> None:
    shop.sell("v1", 5)
    shop.sell("v2", 3)
    shop.sell("v2", 2, paid=False)
    reading = await look(shop)
    assert (reading.at, reading.problem, reading.doubts) == (123.0, "", {})
    assert numbers(reading) == {
        ("stable", "total"): 5,
        ("stable", "part"): 5,
        ("canary", "total"): 5,
        ("canary", "part"): 3,
    }


@pytest.mark.parametrize("strange", ["v2' or '1'='1", "v2; drop table orders", "v2\x00", ":version", "%s", "v2%"])
async def test_a_version_is_a_value_whatever_is_in_it(shop: Shop, strange: str) -> None:
    shop.sell("v2", 3)
    reading = await look(shop, canary=Subject(strange))
    assert reading.problem == ""
    assert numbers(reading)["canary", "total"] == 0


async def test_signs_of_percent_and_colons_in_a_query_mean_themselves(shop: Shop) -> None:
    shop.sell("v2", 3)
    query = metric(part=r"select count(*) from orders where version like '%2' and '12:30' <> '\:x' and :version <> ''")
    assert numbers(await look(shop, query))["canary", "part"] == 3


async def test_all_numbers_are_of_one_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the query of all orders and that of paid ones somebody buys."""
    shop.sell("v2", 1)
    shop.do("pragma journal_mode=wal")
    answer = sql._answer

    def slowly(*asked: Any) -> Any:
        found = answer(*asked)
        seller = threading.Thread(target=shop.sell, args=("v2", 1))
        seller.start()
        seller.join()
        return found

    monkeypatch.setattr(sql, "_answer", slowly)
    assert {one for (side, _), one in numbers(await look(shop)).items() if side == "canary"} == {1}


async def test_the_same_query_is_asked_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    answer = sql._answer
    monkeypatch.setattr(sql, "_answer", lambda *what: asked.append(what[1]) or answer(*what))
    await look(shop, metric(), metric(name="again"))
    assert len(asked) == len(set(asked)) == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("select count(*) from order_s where version = :version", "the database says: no such table: order_s"),
        ("select version, paid from orders where :version <> ''", "several rows of 2 columns"),
        ("select paid from orders where version = :version", "several rows of 1 columns"),
        ("select paid from orders where version = :version and 0", "0 rows of no columns"),
        ("select sum(paid) from orders where version = :version and 0", "NULL"),
        ("select version from orders where version = :version limit 1", "answers v"),
        ("select 1e400 where :version <> ''", ""),
        ("with x as (select 1) insert into orders values (:version, 1)", "the database says: "),
        ("select count(*) from orders where :version <> '' and load_extension('x') > 0", "the database says: not auth"),
    ],
)
async def test_what_is_not_one_number_is_a_doubt_of_its_metric_alone(shop: Shop, wrong: str, said: str) -> None:
    for version in ("v1", "v2"):
        shop.sell(version, 2)
    differences = Differences((metric(), metric(part=wrong, name="wrong")))
    samples = differences.since_last(await look(shop, metric(), metric(part=wrong, name="wrong")))
    assert [sample.metric for sample in samples] == ["wrong"]
    assert said in samples[0].problem
    assert samples[0].problem
    assert numbers(await look(shop))["canary", "total"] == 2, "nothing was written"


async def test_a_count_that_falls_is_a_doubt_once_and_no_news(shop: Shop) -> None:
    shop.sell("v1", 10)
    shop.sell("v2", 10)
    differences = Differences((metric(),))
    differences.since_last(await look(shop))
    shop.do("delete from orders where rowid <= 4")
    [sample] = differences.since_last(await look(shop))
    assert (sample.stable, sample.canary) == (None, None)
    assert sample.problem == "stable's total fell from 10 to 6: count what is never removed"
    shop.sell("v2", 1, paid=False)
    [sample] = differences.since_last(await look(shop))
    assert sample.stable is not None
    assert sample.canary is not None
    assert (sample.stable.total, sample.canary.total, sample.canary.bad) == (0, 1, 1)


async def test_what_is_not_known_of_a_side_is_said_and_not_asked(shop: Shop) -> None:
    reading = await look(shop, metric(total="select count(*) from orders where version = :build"))
    assert reading.doubts == {"paid": ":build of stable is not known: the router does not tell it"}
    reading = await look(shop, canary=Subject())
    assert {side for side, _ in numbers(reading)} == {"stable"}


async def test_a_query_that_takes_too_long_is_ended(shop: Shop) -> None:
    forever = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n, orders"
    reading = await look(shop, metric(total=f"{forever} where :version <> ''"), timeout="100ms")
    assert "did not answer within 0.1 s" in reading.problem or "interrupted" in str((reading.doubts, reading.problem))
    assert [name for name, role in numbers(reading) if role == "total"] == []


async def test_a_look_that_hangs_keeps_no_other_waiting(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    proceed = threading.Event()
    answer = sql._answer
    monkeypatch.setattr(sql, "_answer", lambda *asked: proceed.wait(20) and answer(*asked))
    async with source(shop, timeout="50ms") as made:

        async def problem() -> str:
            return (await made.read((metric(),), canary=CANARY, stable=STABLE)).problem

        assert await problem() == "the database did not answer within 0.05 s"
        assert await problem() == "the database has not answered the look before"
        proceed.set()
        monkeypatch.undo()
        for _ in range(500):
            if not await problem():
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the database was not asked again")


@pytest.mark.parametrize("there", [False, True], ids=["no file", "no database"])
async def test_what_is_no_database_is_said_and_none_is_made(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "gone.db"
    if there:
        path.write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    made = SqlSource(SqlConfig.model_validate({"url": f"sqlite:///{path}"}))
    reading = await made.read((metric(),), canary=CANARY, stable=STABLE)
    await made.close()
    assert reading.values == {}
    assert "not a database" in reading.problem if there else "can't be read: unable to open" in reading.problem
    assert path.exists() is there


PLAN = """\
service: shop
router: {sandbox: {}}
source: {sql: {url: "URL"}}
metrics:
  paid: {total: "select count(*) from o where v = :version", good: "select :version", alert: "< 9%"}
"""


@pytest.mark.parametrize(
    "url", ["sqlite:////var/shop.db", "postgresql://r:${env:P}@db/x", "${env:DB}", "postgres://db"]
)
def test_a_url_of_a_known_database_is_taken(url: str) -> None:
    config = parse_plan(PLAN.replace("URL", url).encode()).source.config
    assert (config.url, config.interval, config.timeout) == (url, 30, 5)


def secret(url: str) -> Callable[[], object]:
    return lambda: parse_plan(PLAN.replace("URL", url).encode())


@pytest.mark.parametrize(
    ("url", "said"), [("mysql://db/x", "postgresql://... or sqlite:///..."), ("postgresql://r:pw1@db/x", "${env:")]
)
def test_another_url_is_refused_and_a_literal_password_too(url: str, said: str) -> None:
    with pytest.raises(PlanError) as found:
        secret(url)()
    assert said in str(found.value)
    assert "pw1" not in str(found.value)
