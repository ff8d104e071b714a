"""Runs one program of the engine's own configuration: bounded in time and output, in a process group of its own.

The pipes are ours and not asyncio's: `Process.wait` waits for asyncio's pipes too, and a grandchild that holds one open
would keep it waiting for ever (https://github.com/python/cpython/issues/119710).
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, cast

KEPT: Final = 64 * 1024  # bytes of each output that are kept: the first of stdout, the last of stderr
MOST: Final = 16 * 1024 * 1024  # bytes that are read; who writes more waits for its reader until its time is up
GRACE_S: Final = 1.0  # between SIGTERM and SIGKILL, for a program that gives back a lock
LAST_WORDS_S: Final = 0.5  # for the end of an output that a process outside of the group holds open
INHERITED: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


class NotRunError(Exception):
    """The program could not be run, or did not end in time and was stopped; the message says which."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended by itself. `out` is the first 64 kB of its stdout, `cut` when there was more; `err` the last
    of its stderr. A negative `code` is the signal that ended it."""

    code: int
    out: bytes
    err: bytes
    cut: bool = False


def environment_of(own: Mapping[str, str]) -> dict[str, str]:
    """What a program sees: the few variables that every program needs, and its own. Nothing else of the engine's
    environment, which holds the secrets of other plans."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(own)


def program_of(name: str, environment: Mapping[str, str], folder: Path) -> str:
    """The file that `name` stands for: on the PATH, or relative to `folder` when it has a slash.

    Raises NotRunError, also when there is no such folder to run in.
    """
    if not folder.is_dir():
        raise NotRunError(f"there is no folder {folder}")
    if "/" in name:
        path = folder / name
        found = str(path) if path.is_file() and os.access(path, os.X_OK) else None
    else:
        found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        where = f"in {folder}" if "/" in name else "on the PATH"
        raise NotRunError(f"there is no program {plain(name)} {where}")
    return found


async def run(argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, limit_s: float) -> Ran:
    """Run to the end, without a shell and with nothing to read. Raises NotRunError.

    At its end, when its time is up, and when this is cancelled, everything in its process group is killed.
    """
    program = program_of(argv[0], environment, folder)
    command = [*_watchdog(limit_s), program, *argv[1:]]
    async with _pipe(first=True) as (out, to_out), _pipe(first=False) as (err, to_err):
        process = await _started(command, env=environment, cwd=folder, stdout=to_out, stderr=to_err)
        to_out.close()
        to_err.close()
        try:
            async with asyncio.timeout(limit_s):
                code = await process.wait()
        except TimeoutError:
            flood = f" and printed more than {MOST:,} bytes" if max(out.total, err.total) > MOST else ""
            raise NotRunError(f"{plain(argv[0])} did not end within {limit_s:g} s{flood}: stopped") from None
        finally:
            await _stop(process)
        await asyncio.wait([out.ended, err.ended], timeout=LAST_WORDS_S)
        return Ran(code, bytes(out.kept), bytes(err.kept), out.total > KEPT)


def _watchdog(limit_s: float) -> list[str]:
    """Ends the program after its time when no engine is there to do it: a raise must not land long after a crash."""
    timeout = shutil.which("timeout")
    return [timeout, "-k", "1", str(math.ceil(limit_s + GRACE_S) + 1)] if timeout else []


async def _started(argv: Sequence[str], **how: Any) -> asyncio.subprocess.Process:
    """The program, begun; when this is cancelled it is stopped again. Raises NotRunError."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, start_new_session=True, **how)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            await _stop(await starting)
        raise
    except OSError as error:
        raise NotRunError(f"it can't be run: {error.strerror}") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End its whole group; what is left of the group of a program that has ended goes at once."""
    try:
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await process.wait()
    finally:
        _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all have ended; macOS says so of zombies by EPERM
        os.killpg(group, number)


class _Output(asyncio.Protocol):
    """One output of a program: the first or the last of it is kept."""

    def __init__(self, *, first: bool) -> None:
        self.kept = bytearray()
        self.total = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first = first
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reading begins."""
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        """More of it."""
        self.total += len(data)
        if self._first:
            self.kept += data[: KEPT - len(self.kept)]
        else:
            self.kept += data
            del self.kept[:-KEPT]
        if self.total > MOST and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the name is asyncio's
        """All who could write to it are gone."""
        if not self.ended.done():
            self.ended.set_result(None)


@asynccontextmanager
async def _pipe(*, first: bool) -> AsyncIterator[tuple[_Output, FileIO]]:
    """A pipe and what is kept of it; its writing end is to be closed as soon as the program has it."""
    output = _Output(first=first)
    reading, writing = os.pipe()
    with FileIO(writing, "wb") as writer:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: output, FileIO(reading, "rb"))
        try:
            yield output, writer
        finally:
            transport.close()


def plain(text: str, longest: int = 200) -> str:
    """Text of a program fit for one line of a terminal: without escape sequences and control characters."""
    shown = "".join(sign for sign in _ESCAPES.sub("", text) if sign.isprintable()).strip()
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def last_line(output: bytes) -> str:
    """The last line of an output that says something, as `plain`; empty when there is none."""
    lines = (plain(line) for line in reversed(output.decode(errors="replace").splitlines()))
    return next((line for line in lines if any(sign.isalnum() for sign in line)), "")
