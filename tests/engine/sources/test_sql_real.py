"""Counts out of a real PostgreSQL: one snapshot, read-only, and a server that hangs, ends and comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from engine.judge.metric import Metric, Threshold
from engine.plan.questions import Statement
from engine.plan.selector import Subject
from engine.sources import sql
from engine.sources.config import SqlConfig
from engine.sources.reading import Query, Reading
from engine.sources.sql import SqlSource
from tests.support.postgres_process import PostgresProcess, running_postgres

pytestmark = pytest.mark.real

ALL = "select count(*) from orders where version = :version"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    with running_postgres() as process:
        with psycopg.connect(process.url) as connection:
            connection.execute("create table orders (version text, paid boolean, price numeric)")
            connection.execute("create role reader login password 'p4ss'")
            connection.execute("grant select on orders to reader")
        yield process


@pytest.fixture(autouse=True)
def orders(server: PostgresProcess) -> None:
    """Ten of stable, three of the canary of which one is not paid."""
    with psycopg.connect(server.url) as connection:
        connection.execute("truncate orders")
    sell(server, "v1", 10)
    sell(server, "v2", 2)
    sell(server, "v2", 1, paid=False)


def sell(server: PostgresProcess, version: str, number: int, paid: bool = True) -> None:
    with psycopg.connect(server.url) as connection:
        for _ in range(number):
            connection.execute("insert into orders values (%s, %s, 1.5)", (version, paid))


def metric(total: str = ALL, part: str = f"{ALL} and paid", name: str = "paid") -> Query:
    judged = Metric(name, "good", (Threshold(0.9, above=False),))
    return Query(judged, total=Statement.parse(total), part=Statement.parse(part))


@asynccontextmanager
async def source(server: PostgresProcess, **more: Any) -> AsyncIterator[SqlSource]:
    url = server.url.replace("postgres@", "reader:p4ss@")
    made = SqlSource(SqlConfig.model_validate({"url": url, **more}))
    try:
        yield made
    finally:
        await made.close()


async def look(source: SqlSource, *queries: Query) -> Reading:
    return await source.read(queries or (metric(),), canary=Subject("v2"), stable=Subject("v1"))


async def answered(source: SqlSource) -> Reading:
    """The next look without a problem."""
    for _ in range(200):
        reading = await look(source)
        if not reading.problem:
            return reading
        await asyncio.sleep(0.05)
    raise AssertionError(reading.problem)


def numbers(reading: Reading, name: str = "paid") -> dict[str, float]:
    return {f"{side} {role}": sum(s.values()) for (of, side, role), s in reading.values.items() if of == name}


COUNTED = {"stable total": 10, "stable part": 10, "canary total": 3, "canary part": 2}


async def test_counts_are_the_databases_own(server: PostgresProcess) -> None:
    async with source(server) as made:
        assert numbers(await look(made)) == COUNTED
        sell(server, "v2", 2)
        assert numbers(await look(made)) == {**COUNTED, "canary total": 5, "canary part": 4}


async def test_a_sum_of_decimals_is_a_number(server: PostgresProcess) -> None:
    worth = metric(total="select sum(price) from orders where version = cast(:version as text)")
    async with source(server) as made:
        assert numbers(await look(made, worth))["canary total"] == 4.5


async def test_one_wrong_query_is_its_metrics_own(server: PostgresProcess) -> None:
    wrong = metric(part="select count(*) from nowhere where x = :version", name="wrong")
    writes = metric(
        part="with x as (delete from orders returning 1) select count(*) from x, (select :version)", name="w"
    )
    async with source(server) as made:
        reading = await look(made, metric(), wrong, writes, metric(name="after"))
        assert (numbers(reading), numbers(reading, "after")) == (COUNTED, COUNTED)
    assert list(reading.doubts) == ["wrong", "w"]
    assert reading.doubts["wrong"] == 'the database says: relation "nowhere" does not exist'


async def test_nothing_is_written_whatever_the_role_may_do(server: PostgresProcess) -> None:
    writes = metric(total="with x as (delete from orders where version = :version returning 1) select count(*) from x")
    made = SqlSource(SqlConfig.model_validate({"url": server.url}))
    reading = await look(made, writes)
    await made.close()
    assert "read-only transaction" in reading.doubts["paid"]
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (13,)


async def test_all_numbers_are_of_one_moment(server: PostgresProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = sql._answer

    def slowly(*asked: Any) -> Any:
        found = answer(*asked)
        seller = threading.Thread(target=sell, args=(server, "v2", 1))
        seller.start()
        seller.join()
        return found

    monkeypatch.setattr(sql, "_answer", slowly)
    async with source(server) as made:
        assert numbers(await look(made)) == COUNTED


async def test_a_slow_query_is_ended_by_the_server(server: PostgresProcess) -> None:
    async with source(server, timeout="300ms") as made:
        reading = await look(made, metric(part="select pg_sleep(20), :version"))
        assert reading.values == {} or reading.doubts
        await answered(made)
    with psycopg.connect(server.url) as connection:
        [found] = connection.execute(
            "select count(*) from pg_stat_activity where query like '%pg_sleep(20)%' "
            "and state = 'active' and pid <> pg_backend_pid()"
        ).fetchall()
    assert found == (0,)


async def test_a_server_that_hangs_is_said_in_time_and_read_again(server: PostgresProcess) -> None:
    async with source(server, timeout="500ms") as made:
        assert numbers(await look(made)) == COUNTED
        server.freeze()
        try:
            hung = await look(made)
            again = await look(made)
        finally:
            server.thaw()
        assert "did not answer within 0.5 s" in hung.problem
        assert "has not answered the look before" in again.problem
        back = await answered(made)
    assert numbers(back) == COUNTED


async def test_a_server_that_ends_is_said_and_read_again(server: PostgresProcess) -> None:
    async with source(server) as made:
        assert numbers(await look(made)) == COUNTED
        server.stop()
        gone = await look(made)
        server.start()
        assert numbers(await look(made)) == COUNTED
    assert "can't be read" in gone.problem
    assert "p4ss" not in gone.problem


async def test_a_refused_password_is_said_and_not_shown(server: PostgresProcess) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("alter role reader nologin")
    try:
        async with source(server) as made:
            problem = (await look(made)).problem
    finally:
        with psycopg.connect(server.url) as connection:
            connection.execute("alter role reader login")
    assert 'role "reader" is not permitted to log in' in problem
    assert "p4ss" not in problem
