"""Asks an engine's probes port."""

from __future__ import annotations

import subprocess
import time

import httpx

LIMIT_S = 30.0


def answers(port: int, path: str) -> tuple[int, str]:
    """The status and the body."""
    found = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
    return found.status_code, found.text


def until_it_answers(process: subprocess.Popen[str], port: int) -> None:
    """Wait until it is ready; fails with what it said when it ends."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if answers(port, "/readyz")[0] == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[0])
