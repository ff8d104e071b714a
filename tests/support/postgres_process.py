"""A PostgreSQL for tests: the real one, on a free port, in a folder that goes away with it."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.programs import need

OWNER = "postgres"  # the server refuses to run as root
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")


@dataclass
class PostgresProcess:
    """`url` is where it answers, as its superuser."""

    url: str
    directory: Path
    port: int
    settings: tuple[str, ...] = FAST

    def start(self) -> None:
        """Returns when it takes connections."""
        options = " ".join(f"-c {each}" for each in (*self.settings, f"port={self.port}", "listen_addresses=127.0.0.1"))
        options += f" -c unix_socket_directories={self.directory}"
        self._run("pg_ctl", "-w", "-D", str(self._data), "-l", str(self.directory / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Ends it, also when it is frozen."""
        if (self._data / "postmaster.pid").exists():
            self.thaw()
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "fast", "stop")

    def kill(self) -> None:
        """Its end by kill -9; `start` brings it back with what it had committed."""
        killed = self._signal(signal.SIGKILL)
        while any(Path(f"/proc/{process}").exists() for process in killed):
            time.sleep(0.01)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"d{secrets.token_hex(4)}"
        with psycopg.connect(self.url, autocommit=True) as line:
            line.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url.removesuffix("postgres") + name

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def make(self) -> None:
        """A new database folder."""
        self._run("initdb", "-D", str(self._data), "-U", OWNER, "-A", "trust", "--no-sync")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _signal(self, number: signal.Signals) -> list[int]:
        """To the server and to all that it started, whose numbers are returned."""
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        processes = [main, *map(int, children)]
        for process in processes:
            os.kill(process, number)
        return processes

    def _run(self, *command: str) -> None:
        owner = {"user": OWNER, "group": pwd.getpwnam(OWNER).pw_gid} if os.geteuid() == 0 else {}
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **owner)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_postgres(settings: tuple[str, ...] = FAST) -> Iterator[PostgresProcess]:
    """A server for as long as the block lasts; with `settings` of `()` it keeps what it was told, as in earnest."""
    need("initdb", "pg_ctl", "postgres")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, -1)
        process = PostgresProcess(f"postgresql://{OWNER}@127.0.0.1:{port}/postgres", Path(folder), port, settings)
        process.make()
        try:
            process.start()
            yield process
        finally:
            process.stop()
