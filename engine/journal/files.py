"""Files of the journal that are not the database: the lock that keeps a second engine off, and durable names."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from engine.journal.records import JournalLocked


def take_lock(path: Path) -> int:
    """Hold `path`.lock for this process until the returned file descriptor is closed; the pid stands in it.

    JournalLocked when another process has it. The file stays, for a lock on a deleted file would hold nobody off.
    """
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).strip()
        os.close(descriptor)
        raise JournalLocked(path, int(holder) if holder.isdigit() else None) from None
    with suppress(OSError):  # on a full disk the lock holds all the same, only without saying whose it is
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def sync_folder(path: Path) -> None:
    """Make the folder's names durable: a created or renamed file is not, before that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
