"""The journal in a PostgreSQL that several engines share: how it is opened, and what its errors mean. All that is
PostgreSQL's own is here and in `listening`.

A dead server is noticed in seconds, whichever way it is dead: refused, gone from the network (TCP's user timeout), slow
(the statement's limit) or frozen (`deadline`). The pool then forgets its connections, so the next call has a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    create_engine,
    event,
    extract,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from engine.journal import layout
from engine.journal.deadline import Deadlines
from engine.journal.files import take_lock
from engine.journal.listening import CHANNEL, Listener
from engine.journal.records import (
    JournalBusy,
    JournalConflict,
    JournalCorrupt,
    JournalError,
    JournalTooNew,
    JournalUnavailable,
)
from engine.journal.store import Journal
from engine.journal.tables import FORMAT, facts, metadata

LIMIT_S = 4.0
"""How long a transaction may take before the database counts as dead."""
_POOL = 8  # the writer, and threads that read; each engine has as many at most
_PING_LIMIT_S = 1.5
_IDLE_S = 1.0  # a connection that was unused for longer is tried before it is used
_SETUP_LOCK = 0x6C616E6573686966  # "laneshif": PostgreSQL's advisory locks are numbers
_TARGET_LOCK = 0x74617267  # "targ"

# Defaults that a URL's own parameters override; libpq's names.
_LINE = {
    "connect_timeout": "3",
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "4000",
    "application_name": "laneshift",
}
_SESSION = {  # in milliseconds; an engine that is frozen in a transaction must not keep the others from a release
    "statement_timeout": 3000,
    "lock_timeout": 1000,
    "idle_in_transaction_session_timeout": 2000,
}


def open_journal(where: str, home: Path) -> Journal:
    """The journal in the database at `where` (`postgresql://...`), its tables made if they are not there, and the
    spool in the state folder `home`. Raises JournalLocked, JournalTooNew, JournalCorrupt, JournalUnavailable."""
    url = _address(where)
    path = home / "journal.postgresql"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(home / "journal.db")  # one engine has a state folder, whichever kind of journal it uses
    except OSError as error:
        raise JournalUnavailable(f"the state folder {home} can't be used: {error}") from error
    backend = PostgresBackend(url, lock)
    try:
        backend.prepare()
        return Journal.over(path, backend)
    except BaseException:
        backend.close()
        raise


def _address(where: str) -> URL:
    try:
        url = make_url(where).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise JournalUnavailable("the store's address can't be read: postgresql://USER@HOST:PORT/DATABASE") from None
    several = isinstance(url.query.get("host"), tuple) or "," in (url.host or "")
    defaults = _LINE | ({"target_session_attrs": "read-write"} if several else {})
    return url.update_query_dict({name: value for name, value in defaults.items() if name not in url.query})


class PostgresBackend:
    """Connections to one database; other engines have theirs."""

    shared = True

    def __init__(self, url: URL, lock: int | None = None, *, limit_s: float = LIMIT_S) -> None:
        """`lock` is the state folder's, closed with it; `limit_s` as `LIMIT_S`."""
        self.where = url.set(query={}).render_as_string(hide_password=True)
        self._secrets = _secrets(url)
        self._lock = lock
        self._deadlines = Deadlines(limit_s)
        self._url = url
        self._listeners: list[Listener] = []
        self.engine = self._engine()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction of short statements, each of which sees what is committed."""
        with self._answering(), self._transaction() as connection:
            yield connection

    writing = reading

    def clock(self) -> ColumnElement[float]:
        """The server's time, that of the moment and not of the transaction's begin."""
        return extract("epoch", func.clock_timestamp()).cast(Double)

    def one_by_one(self, connection: Connection, what: str) -> None:
        """An advisory lock; those with two numbers are apart from `_SETUP_LOCK`, which is one."""
        connection.execute(select(func.pg_advisory_xact_lock(_TARGET_LOCK, func.hashtext(what))))

    def notify(self, connection: Connection, releases: Collection[str]) -> None:
        """NOTIFY, which PostgreSQL sends when the transaction is durable."""
        if releases:
            told = func.unnest(func.string_to_array("\n".join(sorted(releases)), "\n"))
            connection.execute(select(func.pg_notify(CHANNEL, told)))

    def listen(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """LISTEN on a connection of its own."""
        listener = Listener(self._listening_line, hear)
        self._listeners.append(listener)
        return listener.close

    def close(self) -> None:
        """Close all connections and let the lock go."""
        for listener in self._listeners:
            listener.close()
        self.engine.dispose()
        self._deadlines.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def prepare(self) -> None:
        """Make the tables, or bring them to this format; engines that start together do it one after the other."""
        with self.writing() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_SETUP_LOCK)))
            there = set(inspect(connection).get_table_names())
            if facts.name not in there:
                if foreign := sorted(there & metadata.tables.keys()):
                    raise JournalCorrupt(
                        f"{self.where} has tables that are no laneshift journal ({', '.join(foreign)}); it was not "
                        "touched. Give laneshift a database or a schema (options=-csearch_path=...) of its own"
                    )
                layout.create(connection)
                return
            found = connection.execute(select(facts.c.value).where(facts.c.name == "format")).scalar() or 0
            if found > FORMAT:
                raise JournalTooNew(self.where, found, FORMAT)
            if found < FORMAT:
                layout.upgrade(connection)

    # --- connections

    def _engine(self) -> Engine:
        engine = create_engine(
            self._url,
            isolation_level="READ COMMITTED",
            pool_size=_POOL,
            max_overflow=0,
            pool_timeout=LIMIT_S,
            hide_parameters=True,
        )
        event.listen(engine, "connect", self._on_connect)
        event.listen(engine, "checkout", self._on_checkout)
        return engine

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            with self._deadlines.over(_descriptor(connection.connection.dbapi_connection)), connection.begin():
                yield connection
            connection.info["used"] = time.monotonic()

    def _on_connect(self, line: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used"] = time.monotonic()
        with self._deadlines.over(_descriptor(line)):
            settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SESSION.items())
            line.execute(f"SELECT {settings}")
            line.commit()

    def _on_checkout(self, line: Any, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - entry.info.get("used", 0.0) < _IDLE_S:
            return
        try:
            with self._deadlines.over(_descriptor(line), _PING_LIMIT_S):
                line.execute("SELECT 1")
                line.rollback()
        except psycopg.Error as error:
            raise InvalidatePoolError from error  # the pool forgets all it has and connects anew

    def _listening_line(self) -> psycopg.Connection[Any]:
        arguments = cast("dict[str, Any]", self.engine.dialect.create_connect_args(self._url)[1])
        return psycopg.connect(**arguments, autocommit=True)

    # --- errors

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn the database's errors into the journal's own."""
        try:
            yield
        except DBAPIError as error:
            if error.connection_invalidated or _state(error) == "25006":
                self.engine.dispose()  # all lines are as dead as this one, or lead to a server that was demoted
            raise self._meaning(error) from error
        except UnicodeEncodeError as error:
            raise JournalConflict(f"the journal refuses the record: {error}") from error
        except TimeoutError as error:  # the pool's
            raise JournalUnavailable("the journal does not answer: all its connections are busy") from error

    def _meaning(self, error: DBAPIError) -> JournalError:
        state, said = (
            _state(error),
            self._without_secrets(" ".join(str(error.orig).split()) or type(error.orig).__name__),
        )
        if state[:2] in {"22", "23"}:
            return JournalConflict(f"the journal refuses the record: {said}")
        if state in {"XX001", "XX002"}:
            return JournalCorrupt(f"the journal's database is damaged: {said}")
        if state in {"55P03", "40001", "40P01"}:
            return JournalBusy(f"the journal does not answer: {said}")
        return JournalUnavailable(f"the journal does not answer: {said}")

    def _without_secrets(self, said: str) -> str:
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said


def _state(error: DBAPIError) -> str:
    """PostgreSQL's code of an error; "22000" for what psycopg itself can't send, "" without any."""
    code = getattr(error.orig, "sqlstate", None)
    return code or ("22000" if isinstance(error.orig, psycopg.DataError) else "")


def _secrets(url: URL) -> list[str]:
    given = [url.password, *(url.query.get(name) for name in ("password", "sslpassword", "passfile"))]
    return [str(secret) for secret in given if secret]


def _descriptor(line: Any) -> int:
    return int(line.fileno())
