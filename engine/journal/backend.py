"""What the journal asks of a database beside tables: the seam between SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Engine


class Backend(Protocol):
    """A database that is open. Its transactions raise the journal's errors and nothing of the database's own.

    engine: its connections
    shared: several engines may have it open
    """

    engine: Engine

    @property
    def shared(self) -> bool: ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block has ended, or did not happen."""
        ...

    def clock(self) -> ColumnElement[float]:
        """The database's time now, seconds since 1970, as part of a statement."""
        ...

    def one_by_one(self, connection: Connection, what: str, /) -> None:
        """Wait until no other transaction that writes has asked for the same; hold it to the transaction's end."""
        ...

    def notify(self, connection: Connection, releases: Collection[str], /) -> None:
        """Tell all who listen, once the transaction is durable, that there is news of these releases."""
        ...

    def listen(self, hear: Callable[[str], None], /) -> Callable[[], None]:
        """Call `hear` with a release's id, in another thread, whenever one is told; returns what ends that."""
        ...

    def close(self) -> None:
        """Let go of all that is open. Twice is fine."""
        ...
