"""Routers and sources for benches of the engine: they answer at once and do no I/O, so what is measured is the engine.

The engine finds them as it finds those of any other package, by their entry points.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.inputs import Observation
from engine.plan.fields import Duration, Name
from engine.plan.part import PlanPart
from engine.plan.selector import Subject
from engine.routers import Router, Write
from engine.routers.config import RouterConfig
from engine.sources import Source
from engine.sources.reading import Query, Reading, Side

REQUESTS_PER_S = 200.0
SIDES: tuple[Side, Side] = ("stable", "canary")
BUCKETS = {"0.05": 0.5, "0.1": 0.9, "0.25": 0.97, "0.5": 0.995, "0.75": 0.999, "1.0": 1.0, "+Inf": 1.0}
ROOT = Path(__file__).parents[1]
PLAN = """
service: {service}
version: {{canary: v2}}
router: {{bench: {{name: {service}}}}}
source: {{bench: {{interval: 5s}}}}
stages: [{{weight: 5, warmup: 0s, bake: 4h, min_requests: 1000000000}}, {{weight: 100, bake: 1h}}]
advance: auto
checklist: {{drop: [regression, smoke, performance, security, rollback-tested]}}
metrics:
  error_rate:
    total: 'requests{{version="$version"}}'
    bad: 'bad{{version="$version"}}'
    baseline: 0.1%
    alert: ["> 0.5%", "> 2x baseline"]
  latency_p95:
    histogram: 'seconds{{version="$version"}}'
    quantile: 0.95
    baseline: 150ms
    alert: ["> 250ms", "> 1.5x baseline"]
  latency_p99: {{histogram: 'seconds{{version="$version"}}', quantile: 0.99, baseline: 500ms, alert: "> 750ms"}}
  success:
    total: 'orders{{version="$version"}}'
    good: 'paid{{version="$version"}}'
    baseline: 98%
    alert: "< 96%"
  pool: {{gauge: 'pool{{version="$version"}}', limit: 100, baseline: 50, alert: "> 80"}}
  cpu: {{gauge: 'cpu{{version="$version"}}', limit: 100, baseline: 50, alert: "> 90"}}
"""


class BenchRouterConfig(RouterConfig):
    """A target in memory."""

    name: Name


class BenchRouter(Router):
    """Takes every weight at once."""

    Config = BenchRouterConfig

    def __init__(self, config: BenchRouterConfig) -> None:
        self.target = f"bench {config.name}"
        self._weight, self._generation, self._mark, self._release = 0, 0, "", ""

    async def observe(self) -> Observation:
        return Observation(
            weight=float(self._weight),
            canary="v2",
            stable="v1",
            canary_ready=1,
            stable_ready=1,
            generation=str(self._generation),
            mark=self._mark,
            by="laneshift" if self._mark else "",
            marked_release=self._release,
        )

    async def shift(self, write: Write) -> str:
        self._weight, self._mark, self._release = write.weight, write.number, write.release
        self._generation += 1
        return "written"

    def manual_rollback(self, release: str) -> str:
        return f"none for {release}"

    def rollback_script(self, release: str) -> str:
        return f"ok=1  # {release}"

    async def close(self) -> None:
        """Nothing is open."""


class BenchSourceConfig(PlanPart):
    """Counters in memory."""

    interval: Duration = 5.0


class BenchSource(Source):
    """Steady traffic on both sides, as it would have been counted since the epoch."""

    Config = BenchSourceConfig

    def __init__(self, config: BenchSourceConfig) -> None:
        self._interval = config.interval
        self._begun = time.time()

    async def read(self, queries: tuple[Query, ...], **_sides: Subject) -> Reading:
        at = time.time()
        events = (at - self._begun) * REQUESTS_PER_S
        values: dict[tuple[str, Side, str], Mapping[str, float]] = {}
        for query in queries:
            for side, share in zip(SIDES, (0.95, 0.05), strict=True):
                for role, value in _counted(query, events * share).items():
                    values[query.metric.name, side, role] = {"bench:1 series": value}
        return Reading(at, values)

    async def close(self) -> None:
        """Nothing is open."""


def _counted(query: Query, events: float) -> dict[str, float]:
    if query.gauge is not None:
        return {"gauge": 50.0}
    total = float(round(events))
    if query.histogram is not None:
        return {f"le:{bound}": float(round(events * share)) for bound, share in BUCKETS.items()}
    return {"total": total, "part": float(round(events * (0.98 if query.metric.kind == "good" else 0.001)))}


@contextmanager
def offered() -> Iterator[dict[str, str]]:
    """The environment of an engine that finds them."""
    with TemporaryDirectory(prefix="ls-") as folder:
        package = Path(folder) / "laneshift_bench-0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: laneshift-bench\nVersion: 0\n")
        (package / "entry_points.txt").write_text(
            "[laneshift.routers]\nbench = bench.load_world:BenchRouter\n"
            "[laneshift.sources]\nbench = bench.load_world:BenchSource\n"
        )
        yield {"PYTHONPATH": f"{folder}:{ROOT}"}
