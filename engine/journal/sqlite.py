"""The journal in one SQLite file: how it is opened, and what its errors mean. All that is SQLite's own is here
and in `journal_recovery`."""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, literal, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from engine.journal import layout
from engine.journal.records import JournalConflict, JournalCorrupt, JournalUnavailable
from engine.journal.tables import FORMAT, facts

WRITES = "laneshift_writes"
"""The execution option of a connection that will write: it takes SQLite's write lock at once, not half-way."""

SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"

_BUSY_SECONDS = 5.0
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA journal_size_limit = 16777216",
)


def uri(path: Path, mode: str) -> str:
    """SQLite's name of the file; `mode` is `ro` or `rw`, which never create it."""
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def connect(path: Path, *, readonly: bool) -> Engine:
    """A pool of connections to an existing file. Transactions begin where they should, not where sqlite3 guesses."""

    def opened() -> sqlite3.Connection:
        name = uri(path, "ro" if readonly else "rw")
        connection = sqlite3.connect(
            name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        for pragma in ("PRAGMA foreign_keys = ON", *(() if readonly else _PRAGMAS)):
            connection.execute(pragma)
        connection.text_factory = as_text
        return connection

    engine = create_engine("sqlite://", creator=opened, poolclass=QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def as_text(raw: bytes) -> str:
    """Broken text as it is: its checksum says that it is broken, where sqlite3 would only say that it can't read."""
    return raw.decode("utf-8", "surrogateescape")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def answering() -> Iterator[None]:
    """Turn the database's errors into the journal's own."""
    try:
        yield
    except IntegrityError as error:
        raise JournalConflict(f"the journal refuses the record: {error.orig}") from error
    except DBAPIError as error:
        raise _meaning(error.orig) from error
    except sqlite3.Error as error:
        raise _meaning(error) from error


def _meaning(error: BaseException | None) -> JournalUnavailable:
    if is_damage(error):
        return JournalCorrupt(f"the journal's file is damaged: {error}")
    return JournalUnavailable(f"the journal does not answer: {error}")


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is broken, as opposed to busy, full or out of reach."""
    code = getattr(error, "sqlite_errorcode", 0)
    return (code & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def create(path: Path, *, epoch: int = 0) -> None:
    """A new journal without releases. Only its owner may read it; SQLite gives its -wal and -shm the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = connect(path, readonly=False)
    with answering(), engine.execution_options(**{WRITES: True}).begin() as connection:
        layout.create(connection, epoch=epoch)
        layout.put_fact(connection, "schema", schema_checksum(connection.exec_driver_sql(SCHEMA).scalars()))
    engine.dispose()


def schema_checksum(definitions: Iterable[str]) -> int:
    """CRC-32 of the tables as SQLite has them written down: the rows of `SCHEMA`."""
    return zlib.crc32("\n".join(definitions).encode(errors="surrogateescape"))


class SqliteBackend:
    """One engine writes the file, so `shared` is False; nobody is told anything, for nobody else would do it."""

    shared = False

    def __init__(self, path: Path, *, readonly: bool, lock: int | None = None) -> None:
        """`lock` is the file's, closed with it."""
        self.engine = connect(path, readonly=readonly)
        self._lock = lock

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state."""
        with answering(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on the disk when the block has ended."""
        with answering(), self.engine.execution_options(**{WRITES: True}).begin() as connection:
            yield connection

    def clock(self) -> ColumnElement[float]:
        """This machine's time."""
        return literal(time.time())

    def one_by_one(self, _connection: Connection, _what: str) -> None:
        """All that write do it one by one: `WRITES`."""

    def notify(self, _connection: Connection, _releases: Collection[str]) -> None:
        """Nobody listens."""

    def listen(self, _hear: Callable[[str], None]) -> Callable[[], None]:
        """Nothing is ever heard."""
        return lambda: None

    def close(self) -> None:
        """Close the file and let the lock go."""
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def upgrade(path: Path) -> None:
    """Bring a sound journal of an earlier format to this one, all or nothing."""
    engine = connect(path, readonly=False)
    with answering(), engine.execution_options(**{WRITES: True}).begin() as connection:
        if connection.execute(select(facts.c.value).where(facts.c.name == "format")).scalar_one() < FORMAT:
            layout.upgrade(connection)
            layout.put_fact(connection, "schema", schema_checksum(connection.exec_driver_sql(SCHEMA).scalars()))
    engine.dispose()
