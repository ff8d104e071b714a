"""A real sshd on loopback with users of its own, all gone when the test ends. It needs root: only root makes users.

What the users run is this very checkout with this very Python, which may stand in folders that are closed to them. So
sshd gets a mount namespace of its own, in which those folders are empty but for what is needed; nothing is changed
outside it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.programs import REQUIRED, need

PROJECT = Path(__file__).parents[2]
PROGRAMS = ("sshd", "ssh", "ssh-keygen", "useradd", "userdel", "groupadd", "groupdel", "unshare", "mount")
READY_S = 10.0
GONE_S = 5.0
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
AllowUsers {users}
AuthenticationMethods publickey
UsePAM no
StrictModes no
PrintMotd no
PrintLastLog no
"""


def need_root() -> None:
    """Skip the test, or fail where all must be there, as long as this is not root."""
    if os.geteuid() == 0:
        return
    why = "needs root: system users are made for it"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{why} ({REQUIRED} is set)")
    pytest.skip(why)


@dataclass(frozen=True, slots=True)
class Sshd:
    """A running server: `users` may log in by the key in `folder`, and share `group`."""

    folder: Path
    port: int
    group: str
    users: tuple[str, ...]

    def line(self, user: str, command: str, *, terminal: bool = False) -> list[str]:
        """The ssh client's command line that runs `command` as this user."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes")
        named = [word for option in options for word in ("-o", option)]
        place = ["-p", str(self.port), "-i", str(self.folder / "key"), f"{user}@127.0.0.1"]
        return ["ssh", "-F", "/dev/null", *(["-tt"] if terminal else []), *named, *place, command]

    def run(self, user: str, command: str, text: str = "") -> str:
        """What the command printed; `text` is its standard input."""
        done = subprocess.run(
            self.line(user, command), input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def running_sshd(folder: Path, *names: str) -> Iterator[Sshd]:
    """A server in `folder`, which must be open to others, and a user for each of `names` (with something behind it, so
    that no user of this machine is meant), all in one new group."""
    need_root()
    need(*PROGRAMS)
    mark = secrets.token_hex(3)
    group, users = f"ls-{mark}", tuple(f"{name}-{mark}" for name in names)
    _keys(folder)
    try:
        _do("groupadd", group)
        for user in users:
            home = folder / user
            _do("useradd", "-M", "-d", str(home), "-s", "/bin/sh", "-g", group, "-p", "*", user)
            home.mkdir(mode=0o700)
            shutil.chown(home, user, group)
        with _server(folder, users) as port:
            yield Sshd(folder, port, group, users)
    finally:
        for user in users:
            _end_all_of(user)
            subprocess.run(["userdel", "-f", user], capture_output=True, check=False)
        subprocess.run(["groupdel", group], capture_output=True, check=False)


def _keys(folder: Path) -> None:
    """The host's key and the one that all users come with."""
    for name in ("host", "key"):
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))


@contextmanager
def _server(folder: Path, users: tuple[str, ...]) -> Iterator[int]:
    """The server's port, as long as the block lasts."""
    port, config, log = _free_port(), folder / "sshd_config", folder / "sshd.log"
    config.write_text(CONFIG.format(port=port, folder=folder, users=" ".join(users)))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd lets no request into anything else
    sshd = shlex.join([shutil.which("sshd") or "sshd", "-D", "-f", str(config), "-E", str(log)])
    script = "\n".join(["set -e", *_opened(folder), f"exec {sshd}"])
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script])
    try:
        _wait_until_listening(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait()


def _opened(folder: Path) -> list[str]:
    """Shell lines after which everybody can reach this Python and this checkout, in this mount namespace."""
    needed = {Path(place).resolve() for place in (sys.prefix, sys.base_prefix, PROJECT)}
    closed = {shut for place in needed if (shut := _closed_above(place)) is not None}
    lines = []
    for number, shut in enumerate(sorted(closed)):
        inside = sorted(place for place in needed if place.is_relative_to(shut))
        for kept, place in enumerate(inside):
            aside = shlex.quote(str(folder / f"mount-{number}-{kept}"))
            lines += [f"mkdir {aside}", f"mount --bind {shlex.quote(str(place))} {aside}"]
        lines.append(f"mount -t tmpfs -o mode=755 laneshift {shlex.quote(str(shut))}")
        for kept, place in enumerate(inside):
            aside, there = (shlex.quote(str(one)) for one in (folder / f"mount-{number}-{kept}", place))
            lines += [f"mkdir -p {there}", f"mount --bind {aside} {there}"]
    return lines


def _closed_above(place: Path) -> Path | None:
    """The first folder on the way to `place` that others can't pass."""
    on_the_way = [*reversed(place.parents), place]
    return next((folder for folder in on_the_way if not folder.stat().st_mode & 0o001), None)


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not listen: {log.read_text() if log.exists() else 'no log'}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _end_all_of(user: str) -> None:
    """End what the user still runs, and wait for it: a session that lost its line ends soon by itself."""
    deadline = time.monotonic() + GONE_S
    while (pids := _processes_of(user)) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _processes_of(user: str) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "-u", user], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
