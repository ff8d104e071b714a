"""Starting and stopping a sandbox as a process of its own, which outlives the terminal it was started from."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.ready import Ready, Urls

LOG_NAME = "sandbox.log"
READY_NAME = "sandbox.ready.json"
READY_SECONDS = 10.0
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
_TAIL_BYTES = 2000


class SandboxError(RuntimeError):
    """The sandbox did not start; the text says why, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers."""

    ready: Ready
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.ready.pid

    @property
    def urls(self) -> Urls:
        return self.ready.urls

    def stop(self) -> int:
        """Ends it, by force when it takes longer than 5 s; returns its exit code. Harmless when it has ended."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def start(
    directory: Path,
    base_port: int = 7480,
    rps: float = 300,
    *,
    seed: int | None = None,
    outside_gateway: int | None = None,
) -> Running:
    """Starts a sandbox in a session of its own and waits until it answers, 10 s at most.

    `directory` holds its log and, while it runs, where it answers; `outside_gateway` is the port of another gateway
    that the traffic goes to instead. Raises SandboxError.
    """
    directory = directory.resolve()
    process = _spawn(directory, base_port, rps, seed, outside_gateway)
    try:
        return Running(_wait_until_ready(process, directory), process)
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def running(
    directory: Path,
    base_port: int = 7480,
    rps: float = 300,
    *,
    seed: int | None = None,
    outside_gateway: int | None = None,
) -> Iterator[Running]:
    """A sandbox for as long as the block lasts."""
    started = start(directory, base_port, rps, seed=seed, outside_gateway=outside_gateway)
    try:
        yield started
    finally:
        started.stop()


def _spawn(
    directory: Path, base_port: int, rps: float, seed: int | None, outside_gateway: int | None
) -> subprocess.Popen[bytes]:
    arguments = ["--base-port", str(base_port), "--rps", str(rps), "--ready-file", str(directory / READY_NAME)]
    if seed is not None:
        arguments += ["--seed", str(seed)]
    if outside_gateway is not None:
        arguments += ["--outside-gateway", str(outside_gateway)]
    with (directory / LOG_NAME).open("ab") as log:
        # -P: a folder called sandbox where this runs must not be taken for the package.
        return subprocess.Popen(  # noqa: S603  the program is this Python, the arguments are made above
            [sys.executable, "-P", "-m", "sandbox", *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], directory: Path) -> Ready:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        ready = _read_ready(directory / READY_NAME)
        if ready is not None and ready.pid == process.pid:  # not one that an earlier sandbox left there
            return ready
        code = process.poll()
        if code is not None:
            raise SandboxError(f"the sandbox ended with exit code {code}:\n{_tail(directory)}")
        time.sleep(_POLL_SECONDS)
    raise SandboxError(f"the sandbox did not answer in {READY_SECONDS:g} s:\n{_tail(directory)}")


def _read_ready(path: Path) -> Ready | None:
    try:
        return Ready.read(path.read_text())
    except FileNotFoundError:
        return None


def _tail(directory: Path) -> str:
    return (directory / LOG_NAME).read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
