"""What does it cost to make a tick durable? `python bench/journal.py [TICKS]`

Appends ticks of six metrics, with the counters and judge state kept beside them, and in turn writes as many bytes to a
bare file and syncs it. The disk decides both, so what counts is the ratio.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.journal.records import TICK, Record, encode
from engine.journal.store import Journal

METRICS = ("error_rate", "latency_p50", "latency_p95", "latency_p99", "checkout_success", "db_pool_used")
RELEASE = "bench-1"
KEEP = {
    "counters": {
        f"http_requests_total{{code={code},version=v{number}}}": 12345.0 for code in range(20) for number in (1, 2)
    },
    "judge": {metric: {"canary": [1000.0, 3.0], "stable": [19000.0, 20.0]} for metric in METRICS},
}


def tick(seq: int) -> Record:
    counts = {"total": 1500.0 + seq, "bad": 2.0, "bad_low": 3.0, "value": 0.0013}
    samples = [
        {"metric": metric, "seconds": 5.0, "stable": counts, "canary": counts, "problem": ""} for metric in METRICS
    ]
    return Record(seq, 1.7e9 + 5.0 * seq, TICK, {"samples": samples})


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000.0


def write_and_sync(file: int, content: bytes) -> None:
    os.write(file, content)
    os.fsync(file)


def report(name: str, milliseconds: list[float]) -> None:
    p50, p99 = statistics.median(milliseconds), statistics.quantiles(milliseconds, n=100)[98]
    rate = 1000.0 / statistics.fmean(milliseconds)
    print(f"{name:22} {rate:7.0f}/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")


def main(ticks: int) -> None:
    content = (encode(tick(1).data) + encode(KEEP)).encode()
    appends, bare = [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        file = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with Journal.open(Path(folder) / "journal.db") as journal:
            journal.create_release(RELEASE, "sandbox/bench", "bench", 1.7e9)
            for seq in range(1, ticks + 1):
                appends.append(timed(partial(journal.append, RELEASE, [tick(seq)], keep=KEEP)))
                bare.append(timed(partial(write_and_sync, file, content)))
        os.close(file)
        opening = timed(lambda: Journal.open(Path(folder) / "journal.db").close())
    print(f"{ticks} ticks of {len(content)} bytes")
    report("journal.append", appends)
    report("bare write and fsync", bare)
    print(f"ratio of the medians    {statistics.median(appends) / statistics.median(bare):6.1f}")
    print(f"opening with every check {opening:6.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
