"""A real HAProxy (master and worker) on free ports, in front of the servers that a test names."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.kube_process import READY_SECONDS, Child, free_port
from tests.support.programs import need
from tests.support.stopped import wait_until_stopped

BACKEND = "shop"


class HaproxyProcess(Child):
    """`url` is where the traffic goes in, `metrics` where its exporter answers, `socket` where it is steered.

    `first`: what its configuration gives each server; `balance` and `more` are lines of its backend.
    """

    def __init__(
        self,
        directory: Path,
        servers: Mapping[str, str],
        first: Mapping[str, int],
        *,
        balance: str = "roundrobin",
        more: Sequence[str] = (),
    ) -> None:
        port = free_port()
        self.url, self.metrics = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/metrics"
        self.socket = str(directory / "admin.sock")
        self.servers, self.balance, self.more, self._port = servers, balance, more, port
        self._config = directory / "haproxy.cfg"
        self.configure(first)
        command = ["haproxy", "-W", "-db", "-f", str(self._config)]
        super().__init__("haproxy", command, directory, lambda: self.worker() != "")

    def configure(self, first: Mapping[str, int], servers: Mapping[str, str] | None = None) -> None:
        """Write its configuration, which the next start or reload reads."""
        self.servers = servers or self.servers
        self._config.write_text("\n".join([*self._frame(), *self._servers(first)]) + "\n")

    def reload(self) -> None:
        """A new worker takes over, with the configuration's weights; returns when it answers and the old one has
        ended: until then the master may take no other reload."""
        before = self.worker()
        os.kill(self.pid, signal.SIGUSR2)
        deadline = time.monotonic() + READY_SECONDS
        while self.worker() in ("", before) or Path(f"/proc/{before}").exists():
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, master and worker."""
        self._all(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        worker = self.worker()
        self._all(signal.SIGSTOP)
        wait_until_stopped(int(worker))

    def thaw(self) -> None:
        """It goes on."""
        self._all(signal.SIGCONT)

    def worker(self) -> str:
        """The process id of the worker that answers, empty when none does."""
        try:
            said = self.tell("show info")
        except OSError:
            return ""
        return next((line.split()[1] for line in said.splitlines() if line.startswith("Pid:")), "")

    def weights(self) -> dict[str, int]:
        """By server."""
        return {name: int(self.tell(f"get weight {BACKEND}/{name}").split()[0]) for name in self.servers}

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """As a person does by hand."""
        for name, weight in weights.items():
            said = self.tell(f"set server {BACKEND}/{name} weight {weight}").strip()
            assert not said, said

    def tell(self, command: str) -> str:
        """One command and its answer. Raises OSError."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(self.socket)
            line.sendall(f"{command}\n".encode())
            said = b""
            while part := line.recv(65536):
                said += part
        return said.decode()

    def _all(self, number: signal.Signals) -> None:
        if self.running:
            os.killpg(self.pid, number)

    def _frame(self) -> list[str]:
        return [
            "global",
            f"stats socket {self.socket} level admin expose-fd listeners",
            "hard-stop-after 2s",
            "defaults",
            "mode http",
            "timeout connect 1s",
            "timeout client 5s",
            "timeout server 5s",
            "frontend public",
            f"bind 127.0.0.1:{self._port}",
            "http-request use-service prometheus-exporter if { path /metrics }",
            f"default_backend {BACKEND}",
        ]

    def _servers(self, first: Mapping[str, int]) -> list[str]:
        each = "check inter 100 fall 2 rise 1"
        lines = [
            f"server {name} {urlsplit(url).netloc} weight {first[name]} {each}" for name, url in self.servers.items()
        ]
        return [f"backend {BACKEND}", f"balance {self.balance}", *self.more, *lines]


@contextmanager
def running_haproxy(
    servers: Mapping[str, str],
    first: Mapping[str, int] | None = None,
    *,
    balance: str = "roundrobin",
    more: Sequence[str] = (),
) -> Iterator[HaproxyProcess]:
    """One for as long as the block lasts. `servers`: base URL by name; `first`: by default all on the first named."""
    need("haproxy", "socat")
    weights = first or {name: 100 * (number == 0) for number, name in enumerate(servers)}
    with tempfile.TemporaryDirectory(prefix="ha-") as directory:
        haproxy = HaproxyProcess(Path(directory), servers, weights, balance=balance, more=more)
        try:
            haproxy.start()
            yield haproxy
        finally:
            haproxy.thaw()
            haproxy.kill()
