"""The journal by its name in the engine's configuration."""

from __future__ import annotations

from pathlib import Path

from engine.journal.store import Journal

SQLITE = "journal.db"
POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def open_store(where: str, home: Path) -> Journal:
    """The journal of the state folder `home`, open for writing: the SQLite file in it, or the PostgreSQL at `where`.

    One engine has a state folder at a time, wherever its journal is, for the spool is in it. Raises as `Journal.open`
    does; ValueError for any other kind of database.
    """
    if not where:
        return Journal.open(home / SQLITE)
    if not where.startswith(POSTGRES):
        raise ValueError("the store is a SQLite file in the state folder (say nothing) or postgresql://...")
    from engine.journal.postgres import open_journal

    return open_journal(where, home)
