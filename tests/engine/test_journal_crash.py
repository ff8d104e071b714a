"""Nothing acknowledged is lost: a writing process is killed at any moment, or its disk is full."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.journal.store import Journal
from tests.engine.journal_builders import RELEASE, tick

WRITES = """
import sys
from pathlib import Path
from tests.engine.journal_builders import RELEASE, started, tick
from engine.journal.store import Journal

path = Path(sys.argv[1])
journal = Journal.open(path) if path.exists() else started(path)
seq = journal.last_seq(RELEASE)
while True:
    seq += 1
    journal.append(RELEASE, [tick(seq)], keep={"counters": seq})
    print(seq, flush=True)
"""

FILLS_DISK = """
import asyncio, resource, sys
from pathlib import Path
from engine.journal.records import JournalUnavailable
from engine.journal.writer import JournalWriter
from tests.engine.journal_builders import RELEASE, started, tick

async def main() -> None:
    journal = started(Path(sys.argv[1]))
    writer = JournalWriter(journal, retry_s=0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    seq = 0
    try:
        while True:
            await writer.append(RELEASE, [tick(seq + 1)])
            seq += 1
    except JournalUnavailable as error:
        print(error)
    assert await writer.append_or_spool(RELEASE, [tick(seq + 1)]) is False
    print(writer.backlog.spooled + writer.backlog.in_memory)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    while writer.backlog.reason:
        await asyncio.sleep(0.005)
    await writer.append(RELEASE, [tick(seq + 2)])
    print(seq + 2)
    assert writer.close()
    journal.close()

asyncio.run(main())
"""


def kill_while_writing(path: Path, after: float) -> int:
    """The last seq that the process had acknowledged when it was killed, `after` seconds from its first."""
    command = [sys.executable, "-c", WRITES, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout is not None
        first = writing.stdout.readline()
        time.sleep(after)
        writing.kill()
        return int((first + writing.stdout.read()).split()[-1])


@pytest.mark.real
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path, chance = tmp_path / "journal.db", random.Random(7)
    for _ in range(8):
        acknowledged = kill_while_writing(path, chance.uniform(0.0, 0.2))
        with Journal.open(path) as journal:
            assert journal.recovered is None
            last = journal.last_seq(RELEASE)
            assert last in (acknowledged, acknowledged + 1)
            assert journal.read(RELEASE) == [tick(seq) for seq in range(1, last + 1)]
            assert journal.kept(RELEASE) == {"counters": last}
            totals = [minute.total for minute in journal.minutes(RELEASE) if minute.side == "stable"]
            assert sum(totals) == 900.0 * 6 * last


@pytest.mark.real
def test_a_full_disk_stops_nobody_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    done = subprocess.run(
        [sys.executable, "-c", FILLS_DISK, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    reason, aside, last = done.stdout.splitlines()
    assert "does not answer" in reason
    assert aside == "1"
    with Journal.open(path) as journal:
        assert journal.recovered is None
        assert journal.read(RELEASE) == [tick(seq) for seq in range(1, int(last) + 1)]
