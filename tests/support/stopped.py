"""Has a process really stopped? A signal is on its way for a moment, and threads run on for as long."""

from __future__ import annotations

import time
from pathlib import Path

LIMIT_S = 5.0


def wait_until_stopped(pid: int) -> None:
    """Returns when no thread of it runs any more."""
    deadline = time.monotonic() + LIMIT_S
    while not all(_state(stat) in "Tt" for stat in Path(f"/proc/{pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.005)


def _state(stat: Path) -> str:
    return stat.read_text().rpartition(")")[2].split()[0]
