"""Databases as the `sql` source uses them: read-only, one snapshot a look, each query with a time limit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from engine.plan.problem import printable
from engine.sources.config import SqlConfig

LONGEST_SAID = 200  # characters of what a database says
SHORTEST_LEFT_S = 0.001  # a limit of 0 would be none
_UNTIL_IT_IS_GONE = {  # libpq's: a server that fell off the network is noticed within half a minute
    "application_name": "laneshift",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
STEPS = 10_000  # of SQLite's machine between two looks at the clock


class UnusableError(Exception):
    """The database can't be asked; the text is a sentence that says why."""


def engine_of(config: SqlConfig) -> Engine:
    """Connects later. Raises UnusableError."""
    try:
        url = make_url(config.url)
    except ArgumentError as error:  # whose text holds the address, password and all
        raise UnusableError("the database's url can't be read") from error
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, config.timeout)
    return _postgresql(url, config.timeout)


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction that sees one moment, given up at the end. Raises UnusableError."""
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise UnusableError(f"the database can't be read: {printable(said, LONGEST_SAID)}") from error


@contextmanager
def limited(connection: Connection, until: float) -> Iterator[None]:
    """Queries inside end at `until` (monotonic seconds); one that fails leaves the transaction as it was."""
    left = max(SHORTEST_LEFT_S, until - time.monotonic())
    if connection.dialect.name == "sqlite":
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        yield
        return
    with connection.begin_nested():
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(left * 1000) or 1}")
        yield


def _sqlite(url: URL, timeout: float) -> Engine:
    """A file that is there already, opened for reading: a missing one is not made."""
    path = quote(str(Path(url.database or "").absolute()))

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=timeout)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _postgresql(url: URL, timeout: float) -> Engine:
    """Raises UnusableError without its driver."""
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={**_UNTIL_IT_IS_GONE, "connect_timeout": max(2, round(timeout))},
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise UnusableError("PostgreSQL needs its driver: pip install 'laneshift[postgres]'") from error
