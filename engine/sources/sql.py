"""Reads counts out of a database, where a business number truly is.

All queries of a look run in one read-only transaction, so that their numbers are of one moment; values are bound, never
written into a query. A count that falls was no restart but a removal, and the metric says so.

The database is asked in a thread of its own, one look at a time: a server that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import math
import numbers
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from engine.plan.problem import printable
from engine.plan.questions import Statement
from engine.plan.selector import Subject
from engine.sources import Source
from engine.sources.config import SqlConfig
from engine.sources.reading import Query, Reading, Side, unnamed
from engine.sources.sql_engine import UnusableError, connected, engine_of, limited

ADDRESS = "sql"  # of all series: a database is one place
LONGEST_SAID = 200  # characters of what a database says

Answers = Mapping["_Ask", float | str]  # a number, or why there is none


@dataclass(frozen=True, slots=True)
class _Ask:
    """One query with what is bound in it; the same one of several metrics is asked once."""

    text: str
    bound: tuple[tuple[str, str], ...]


class SqlSource(Source):
    """One database. Connects at the first look."""

    Config = SqlConfig

    def __init__(self, config: SqlConfig, *, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now = now
        self._engine: Engine | None = None
        self._under_way: asyncio.Future[Answers] | None = None

    async def read(self, queries: tuple[Query, ...], *, canary: Subject, stable: Subject) -> Reading:
        """All counts of `queries` now."""
        subjects: dict[Side, Subject] = {"stable": stable, "canary": canary}
        asked = list(_asks(queries, subjects))
        at = self._now()
        try:
            answers = await self._answers([ask for *_, ask in asked])
        except UnusableError as error:
            return Reading(at, {}, str(error))
        reasons = [answer for answer in answers.values() if isinstance(answer, str)]
        if reasons and len(reasons) == len(answers):
            return Reading(at, {}, "; ".join(dict.fromkeys(reasons)))
        values: dict[tuple[str, Side, str], dict[str, float]] = {}
        doubts = unnamed(queries, subjects)
        for metric, side, role, ask in asked:
            answer = answers[ask]
            if isinstance(answer, str):
                doubts.setdefault(metric, answer)
            else:
                values[metric, side, role] = {f"{ADDRESS} {role} of {side}": answer}
        return Reading(at, values, doubts=doubts, lasting=frozenset(query.metric.name for query in queries))

    async def close(self) -> None:
        """Let go of connections; those of a look that is still under way end with it."""
        if self._engine is not None:
            self._engine.dispose()

    async def _answers(self, asked: Iterable[_Ask]) -> Answers:
        """Raises UnusableError."""
        if self._under_way is not None and not self._under_way.done():
            raise UnusableError("the database has not answered the look before")
        wanted = list(dict.fromkeys(asked))
        self._under_way = _in_a_thread(lambda: self._look(wanted))
        try:
            async with asyncio.timeout(self._config.timeout):
                return await asyncio.shield(self._under_way)
        except TimeoutError as late:
            raise UnusableError(f"the database did not answer within {self._config.timeout:g} s") from late

    def _look(self, asked: Iterable[_Ask]) -> Answers:
        """In the thread. Raises UnusableError."""
        until = time.monotonic() + self._config.timeout
        self._engine = self._engine or engine_of(self._config)
        with connected(self._engine) as connection:
            return {ask: _answer(connection, ask, until) for ask in asked}


def _asks(queries: Iterable[Query], subjects: Mapping[Side, Subject]) -> Iterator[tuple[str, Side, str, _Ask]]:
    for query in queries:
        for side, subject in subjects.items():
            for role, statement in query.asked_in(Statement).items():
                if subject.known and not statement.lacks(subject):
                    bound = tuple(statement.values_of(subject).items())
                    yield query.metric.name, side, role, _Ask(statement.text, bound)


def _answer(connection: Connection, ask: _Ask, until: float) -> float | str:
    """The number, or why there is none; what one query does wrong is not the others' fault."""
    try:
        with limited(connection, until):
            result = connection.execute(text(ask.text), dict(ask.bound))
            rows = [tuple(row) for row in result.fetchmany(2)]
    except SQLAlchemyError as error:
        return _reason(error)
    if len(rows) != 1 or len(rows[0]) != 1:
        shape = f"{len(rows) if len(rows) < 2 else 'several'} rows of {len(rows[0]) if rows else 'no'} columns"
        return f"a query answers {shape} where one number is expected"
    return _number(rows[0][0])


def _number(value: Any) -> float | str:
    if value is None:
        return "a query answers NULL where a number is expected: coalesce(..., 0)"
    if isinstance(value, bool) or not isinstance(value, numbers.Number) or isinstance(value, complex):
        return f"a query answers {printable(str(value), 40)} where a number is expected"
    try:
        return float(value)  # type: ignore[arg-type]  # a Decimal is a Number to Python and none to mypy
    except OverflowError:
        return math.inf  # which the differences doubt


def _reason(error: SQLAlchemyError) -> str:
    """What the database says, without the query and what was bound in it."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return f"the database says: {printable(said, LONGEST_SAID)}"


def _in_a_thread(work: Callable[[], Answers]) -> asyncio.Future[Answers]:
    """A thread that the engine's end need not wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answers] = loop.create_future()

    def tell(answers: Answers | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
            done.exception()  # nobody may be waiting for it any more
        elif answers is not None:
            done.set_result(answers)

    def run() -> None:
        try:
            told: tuple[Answers | None, Exception | None] = (work(), None)
        except Exception as error:  # noqa: BLE001  it is handed on to who waits
            told = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=run, name="sql", daemon=True).start()
    return done
