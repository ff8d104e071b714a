"""Many releases on one engine: how late its decisions are, what it takes of the machine, and how both grow.

    python -m bench.engine_load [RELEASES ...] [--seconds S] [--profile]

Each release has six metrics read every 5 s and stands in the bake of its first stage. The engine is a real process with
its real journal, HTTP interface and metrics; what is faked are the targets and the sources, which answer at once out of
memory (`bench.load_world`): their cost would be the network's. Quantiles are read from the histograms at /metrics, as
Prometheus reads them, over the measured seconds alone; a bucket's bound is as exact as that gets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.load_world import PLAN, offered
from engine.client import EngineClient, EngineRefused

USUAL = (50, 200, 1000)
WARMUP_S = 20.0
STARTS = 5
ASKED_S = 0.5  # between two looks at a release and two orders
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine has used and shown up to a time."""

    at: float
    cpu_s: float
    series: Series


@dataclass(frozen=True, slots=True)
class Engine:
    """A real one, in a process of its own."""

    client: EngineClient
    process: subprocess.Popen[bytes]
    probes: str

    def seen(self) -> Seen:
        """All that it shows now."""
        text = httpx.get(f"{self.probes}/metrics", timeout=30).text
        series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        used = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return Seen(time.monotonic(), (int(used[11]) + int(used[12])) / TICKS_PER_S, series)

    @property
    def resident_mb(self) -> float:
        """Its memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def running(profile: Path | None) -> Iterator[Engine]:
    """An engine on a new journal, for as long as the block lasts."""
    with TemporaryDirectory(prefix="ls-") as folder, offered() as environment:
        home = Path(folder) / "h"
        home.mkdir(mode=0o700)
        port = free_port()
        (home / "engine.yaml").write_text(f"probes: 127.0.0.1:{port}\n")
        profiled = ["-m", "cProfile", "-o", str(profile)] if profile else []
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *profiled, "-m", "cli.main", "serve"],
                env={**os.environ, **environment, "LANESHIFT_HOME": str(home)},
                stdout=log,
                stderr=log,
            )
        engine = Engine(EngineClient(folder=home, who="bench"), process, f"http://127.0.0.1:{port}")
        try:
            wait_for(engine.client.is_there, Path(folder) / "log")
            yield engine
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    """Of the loopback."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(holds: Any, log: Path, limit: float = 60.0) -> None:
    """Ask until it holds. Ends the bench when it never does."""
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {limit:g} s in vain:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def loaded(engine: Engine, releases: int) -> list[str]:
    """That many releases, each in the bake of its first stage."""
    begun = [_begun(engine, f"s{number}") for number in range(releases)]
    baking = ("laneshift_releases", frozenset({("phase", "stage")}))
    wait_for(lambda: engine.seen().series[baking] == releases, Path(os.devnull), 120 + releases)
    return begun


def _begun(engine: Engine, service: str) -> str:
    """Start a release; said and repeated when the engine could not."""
    for _ in range(STARTS):
        try:
            return engine.client.begin(PLAN.format(service=service), "bench.yaml", key=service)
        except EngineRefused as error:
            print(f"a start failed and is repeated: {error}", flush=True)
    raise SystemExit(f"{service} could not be started")


def quantile(before: Series, after: Series, name: str, share: float, **labels: str) -> float:
    """Seconds, as `histogram_quantile` has it, of what came between."""
    wanted = set(labels.items())
    counts = sorted(
        (float(dict(have)["le"]), value - before[metric, have])
        for (metric, have), value in after.items()
        if metric == f"{name}_bucket" and wanted <= have
    )
    below, reached = 0.0, 0.0
    for bound, count in counts:
        if count >= share * counts[-1][1] and count > reached:
            inside = (share * counts[-1][1] - reached) / (count - reached)
            return below + (bound - below) * inside if bound != float("inf") else below
        below, reached = bound, count
    return float("nan")


def asked(engine: Engine, releases: list[str], seconds: float) -> list[float]:
    """Give one order after the other for that long; seconds that each took, from a client on the same machine."""
    took, deadline, number = [], time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        begun = time.perf_counter()
        answer = engine.client.give(releases[number % len(releases)], "note", reason="a bench")
        took.append(time.perf_counter() - begun)
        if not answer.accepted:
            raise SystemExit(answer.why)
        number += 7
        time.sleep(ASKED_S)
    return took


def measured(releases: int, seconds: float, profile: Path | None) -> dict[str, float]:
    """One engine with that many releases."""
    with running(profile) as engine:
        began = time.monotonic()
        names = loaded(engine, releases)
        starting = time.monotonic() - began
        time.sleep(WARMUP_S)
        before = engine.seen()
        took = sorted(asked(engine, names, seconds))
        after = engine.seen()
        lag, age = "laneshift_decision_lag_seconds", "laneshift_sample_age_seconds"
        append, key = "laneshift_journal_append_seconds", (f"{lag}_count", frozenset({("input", "look")}))
        looks = (after.series[key] - before.series[key]) / (after.at - before.at)
        ms = 1000.0
        return {
            "started in s": starting,
            "looks/s": looks,
            "of those due %": 100 * looks / (releases / 5),
            "lag p50 ms": ms * quantile(before.series, after.series, lag, 0.5, input="look"),
            "lag p99 ms": ms * quantile(before.series, after.series, lag, 0.99, input="look"),
            "sample age p99 ms": ms * quantile(before.series, after.series, age, 0.99),
            "append p50 ms": ms * quantile(before.series, after.series, append, 0.5, outcome="stored"),
            "append p99 ms": ms * quantile(before.series, after.series, append, 0.99, outcome="stored"),
            "order p50 ms": ms * statistics.median(took),
            "order worst ms": ms * took[-1],
            "CPU % of a core": 100 * (after.cpu_s - before.cpu_s) / (after.at - before.at),
            "memory MB": engine.resident_mb,
        }


def shown(found: Mapping[int, Mapping[str, float]]) -> str:
    """A table, and what each release more costs."""
    rows = list(next(iter(found.values())))
    lines = [f"{'releases':<20}" + "".join(f"{count:>12}" for count in found)]
    lines += [f"{row:<20}" + "".join(f"{each[row]:>12.1f}" for each in found.values()) for row in rows]
    if len(found) > 1:
        (few, first), *_, (many, last) = found.items()
        for row in ("CPU % of a core", "memory MB"):
            lines.append(f"{row} for each release more: {(last[row] - first[row]) / (many - few):.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("releases", nargs="*", type=int, default=list(USUAL))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--profile", type=Path, help="a file for cProfile's numbers of the engine; it slows it down")
    given = parser.parse_args()
    found = {}
    for count in given.releases:
        found[count] = measured(count, given.seconds, given.profile)
        print(shown({count: found[count]}), "\n", flush=True)
    print(f"targets and sources are fakes in memory; all else is real. load {json.dumps(os.getloadavg())}")
    print(shown(found))


if __name__ == "__main__":
    main()
