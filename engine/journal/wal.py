"""Does SQLite's write-ahead log hold transactions that SQLite will not read?

SQLite reads the log up to the first frame that is broken and forgets the rest, for that is what a crash in the
middle of a transaction leaves. But a crash leaves one transaction behind the break at most; two or more that say
they are whole were acknowledged, and the log was damaged. Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_HEADER = 32
_FRAME_HEADER = 24
_MAGIC = 0x377F0682  # its lowest bit says that checksums are over big-endian words


def lost(path: Path) -> str:
    """What the log of the journal at `path` lost, in words; nothing when there is no log or it is sound."""
    wal = path.with_name(path.name + "-wal")
    log = wal.read_bytes() if wal.exists() else b""
    if len(log) < _HEADER + _FRAME_HEADER:
        return ""
    intact = _intact_frames(log)
    salts = log[16:24] if intact is not None else log[_HEADER + 8 : _HEADER + 16]
    behind = islice(_frames(log), intact or 0, None)
    commits = sum(1 for frame in behind if frame[8:16] == salts and frame[4:8] != bytes(4))
    if commits < 2:
        return ""
    return f"the write-ahead log is broken at frame {(intact or 0) + 1}, with {commits} transactions behind it"


def _intact_frames(log: bytes) -> int | None:
    """How many frames SQLite will take; None when it will not take the log's header."""
    words = ">" if log[3] & 1 else "<"
    magic, _, size = struct.unpack(">3I", log[:12])
    checksum = _checksum(words, log[:24], (0, 0))
    if magic | 1 != _MAGIC | 1 or checksum != struct.unpack(">2I", log[24:32]) or size != _page_size(log):
        return None
    count = 0
    for frame in _frames(log):
        checksum = _checksum(words, frame[:8] + frame[_FRAME_HEADER:], checksum)
        if frame[8:16] != log[16:24] or checksum != struct.unpack(">2I", frame[16:24]):
            break
        count += 1
    return count


def _frames(log: bytes) -> Iterator[bytes]:
    size = _FRAME_HEADER + _page_size(log)
    for start in range(_HEADER, len(log) - size + 1, size):
        yield log[start : start + size]


def _page_size(log: bytes) -> int:
    """The page size the log states, or SQLite's usual one when that can't be: the header may be what is broken."""
    size = int.from_bytes(log[8:12], "big")
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 4096


def _checksum(words: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    first, second = start
    for one, other in struct.iter_unpack(f"{words}2I", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
