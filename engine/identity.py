"""The name that an engine's journal has in the marks it leaves on routes, services and workloads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.journal.store import Journal

FILE = "engine.id"


def identity(home: Path) -> str:
    """Made once for a state folder, and kept: an engine restarted on it finds its own marks again. Raises OSError."""
    path = home / FILE
    try:
        return path.read_text().strip() or _made(path)
    except FileNotFoundError:
        return _made(path)


def family(journal: Journal) -> str:
    """The name that all engines on one store share: each finds the marks of the others, and takes them for its own.
    Raises the journal's errors."""
    return f"laneshift-{journal.family():08x}"


def _made(path: Path) -> str:
    name = f"laneshift-{secrets.token_hex(4)}"
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return name
