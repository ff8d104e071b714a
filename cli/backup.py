"""`laneshift backup`: a copy of the journal that is whole, while the engine runs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import click

from cli.ending import Exit, fail, show
from engine import line

PAGES_AT_ONCE = 1024  # the engine's appends go between
PAUSE_S = 0.01
ELSEWHERE = "run this on its machine as its user, with LANESHIFT_HOME naming its state folder"
POSTGRES = (
    "the journal is in PostgreSQL: pg_dump --format=custom --file=FILE postgresql://USER@HOST/DATABASE; "
    "back with pg_restore --dbname=postgresql://USER@HOST/EMPTY_DATABASE FILE"
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def backup(file: Path, as_json: bool) -> None:
    """Copy the journal to FILE, which must not be there yet; only you may read it.

    It is the journal of one moment, and the engine goes on meanwhile. To restore it, stop the engine and put the file
    in place of journal.db in the state folder, without journal.db-wal and journal.db-shm.
    """
    address = line.address()
    if address not in (line.own_address(), line.SYSTEM_SOCKET) and not os.environ.get("LANESHIFT_HOME"):
        fail(Exit.BAD_INPUT, f"where the engine at {address} keeps its journal is not known here: {ELSEWHERE}")
    home = Path(line.scripts_folder(address))
    if _in_postgres(address, home):
        fail(Exit.BAD_INPUT, POSTGRES)
    journal = home / "journal.db"
    if not journal.exists():
        fail(Exit.BAD_INPUT, f"there is no journal in {home}")
    try:
        size = copy(journal, file)
    except FileExistsError:
        fail(Exit.BAD_INPUT, f"{file} is there already, and is not overwritten")
    except (OSError, sqlite3.Error) as error:
        fail(Exit.NO_ENGINE, f"the journal can't be copied: {error}")
    show(as_json, {"file": str(file), "bytes": size}, f"{file}: {size / 1e6:.1f} MB")


def _in_postgres(address: str, home: Path) -> bool:
    """As the engine says that runs: it may have been started with --store. Without one, as its settings say."""
    try:
        return bool(line.ask(address, "GET", "/v1/engine").get("store") == "postgresql")
    except line.EngineGone:
        from engine.config import EngineConfigError, config_path, read_engine_config

    try:
        return bool(read_engine_config(config_path(home)).store)
    except EngineConfigError:  # unreadable settings are no reason for having no copy of the file
        return False


def copy(journal: Path, file: Path) -> int:
    """Copy a SQLite journal, also one that is being written, as it is in one moment; its size in bytes.

    Raises FileExistsError, OSError, sqlite3.Error; then nothing is left at `file`.
    """
    from engine.journal.check import opened
    from engine.journal.files import sync_folder

    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(opened(journal)) as source, closing(sqlite3.connect(file)) as target:
            source.execute("BEGIN")  # one state for all pages: else each append would begin the copy again
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(target, pages=PAGES_AT_ONCE, sleep=PAUSE_S)
            # A log beside it could be forgotten when the file is moved.
            target.execute("PRAGMA journal_mode = DELETE")
        with file.open("rb") as done:
            os.fsync(done.fileno())
        sync_folder(file.absolute().parent)
    except BaseException:
        for part in ("", "-wal", "-shm", "-journal"):
            file.with_name(file.name + part).unlink(missing_ok=True)
        raise
    return file.stat().st_size
