"""A PostgreSQL for tests: the real one, on a free port, in a folder that goes away with it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import need

OWNER = "postgres"  # the server refuses to run as root
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")


@dataclass
class PostgresProcess:
    """`url` is where it answers, as its superuser."""

    url: str
    directory: Path
    port: int

    def start(self) -> None:
        """Returns when it takes connections."""
        options = " ".join(f"-c {each}" for each in (*FAST, f"port={self.port}", "listen_addresses=127.0.0.1"))
        options += f" -c unix_socket_directories={self.directory}"
        self._run("pg_ctl", "-w", "-D", str(self._data), "-l", str(self.directory / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Ends it, also when it is frozen."""
        if (self._data / "postmaster.pid").exists():
            self.thaw()
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "fast", "stop")

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

    def _signal(self, number: signal.Signals) -> None:
        """To the server and to all that it started."""
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for process in (main, *map(int, children)):
            os.kill(process, number)

    def _run(self, *command: str) -> None:
        owner = {"user": OWNER, "group": pwd.getpwnam(OWNER).pw_gid} if os.geteuid() == 0 else {}
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, **owner)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_postgres() -> Iterator[PostgresProcess]:
    """A server for as long as the block lasts."""
    need("initdb", "pg_ctl", "postgres")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(OWNER).pw_uid, -1)
        process = PostgresProcess(f"postgresql://{OWNER}@127.0.0.1:{port}/postgres", Path(folder), port)
        process.make()
        try:
            process.start()
            yield process
        finally:
            process.stop()
