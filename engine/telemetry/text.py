"""The metrics of one engine as text: what its parts told, and what its releases show at this moment.

Series that name a release are there while it lives and gone once it has ended, so their number is bounded.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.state import FINAL, GOING_BACK, MISPLACED, Phase, State
from engine.telemetry.probes import ready
from engine.telemetry.vital import Shown, Vital

LONGEST = 120  # characters of a label that comes from outside


def text_of(host: Shown) -> bytes:
    """Everything, in Prometheus' text format."""
    now = _Now(host.vital(), host.now(), host.watcher.started_at, is_ready=ready(host)[0])
    return bytes(generate_latest(host.watcher.registry)) + bytes(generate_latest(now.registry()))


class _Now(Collector):
    """What is so at the moment of the scrape."""

    def __init__(self, vital: Vital, now: float, started_at: float, *, is_ready: bool) -> None:
        self._vital, self._now, self._started_at, self._ready = vital, now, started_at, is_ready
        self._live = [state for state in vital.states if is_live(state)]

    def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield from self._engine()
        yield from self._counts()
        yield from self._each()

    def _engine(self) -> Iterator[Metric]:
        vital = self._vital
        build = GaugeMetricFamily("laneshift_build_info", "What runs.", labels=["version", "python"])
        build.add_metric([_version(), platform.python_version()], 1)
        yield build
        yield _gauge("laneshift_engine_start_time_seconds", "When this engine began.", self._started_at)
        yield _gauge("laneshift_engine_ready", "Whether the engine is ready.", float(self._ready))
        yield _gauge("laneshift_journal_behind_seconds", "How long the oldest record has waited.", vital.behind_s)
        yield _gauge(
            "laneshift_journal_silent_seconds", "How long the journal has not answered.", vital.journal_silent_s
        )
        yield _gauge("laneshift_spooled_records", "Records kept beside the journal.", vital.waiting)
        yield _gauge("laneshift_store_up", "Whether the store answers.", float(not vital.store_away))
        yield _gauge("laneshift_attached_clients", "Clients that follow a release.", vital.attached)
        if vital.lease_left_s is not None:
            yield _gauge("laneshift_lease_left_seconds", "Of the lease that ends first.", vital.lease_left_s)

    def _counts(self) -> Iterator[Metric]:
        phases = Counter(state.phase for state in self._vital.states)
        releases = GaugeMetricFamily("laneshift_releases", "Releases in this engine's hands.", labels=["phase"])
        for phase in Phase:
            releases.add_metric([phase.value], phases[phase])
        yield releases
        live = self._live
        yield _gauge("laneshift_releases_held", "Releases that wait for a person.", sum(bool(s.holds) for s in live))
        yield _gauge(
            "laneshift_releases_stuck", "Releases whose weight is not where it should be.", sum(map(is_stuck, live))
        )
        yield _gauge("laneshift_releases_blind", "Releases of which nothing can be read.", sum(map(is_blind, live)))
        failed = sum(state.phase is Phase.ROLLBACK_FAILED for state in live)
        yield _gauge("laneshift_rollback_failed", "Roll backs past their hard limit, still tried.", failed)
        running = [self._now - s.rollback.asked for s in live if s.phase in GOING_BACK and s.rollback is not None]
        yield _gauge(
            "laneshift_rollback_running_seconds", "The longest roll back under way.", max(running, default=0.0)
        )

    def _each(self) -> Iterator[Metric]:
        labels = ["release", "service", "phase", "stable", "canary"]
        info = GaugeMetricFamily("laneshift_release_info", "Releases that live.", labels=labels)
        weight = GaugeMetricFamily("laneshift_release_weight_ratio", "On the canary.", labels=["release", "weight"])
        age = GaugeMetricFamily(
            "laneshift_way_back_check_age_seconds", "Since the way back was tried.", labels=["release"]
        )
        for state in self._live:
            info.add_metric(
                [*map(_bounded, (state.release, state.service, state.phase.value, state.stable, state.canary))], 1
            )
            weight.add_metric([state.release, "desired"], state.desired / 100)
            if state.observed is not None:
                weight.add_metric([state.release, "observed"], state.observed / 100)
            if state.rules.rehearse_s:
                age.add_metric([state.release], max(0.0, self._now - (state.way_back_at or state.created_at)))
        yield from (info, weight, age)


def is_live(state: State) -> bool:
    """Can it still be rolled back, or is it on its way?"""
    return state.phase not in FINAL or (state.phase is Phase.PROMOTED and state.keep_until is not None)


def is_stuck(state: State) -> bool:
    """Held because the weight is not where the stage wants it."""
    return any(cause.split(" ")[0] in MISPLACED for cause in state.holds)


def is_blind(state: State) -> bool:
    """Nothing can be read that guards the canary."""
    return state.blind_since is not None


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _bounded(label: str) -> str:
    return label[:LONGEST]


@cache
def _version() -> str:
    try:
        return version("laneshift")
    except PackageNotFoundError:  # run from its folder
        return "unknown"
