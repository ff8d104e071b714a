"""A host to be shown: what it says is set by a test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from engine import telemetry
from engine.state import State, fold
from engine.telemetry import Vital
from engine.telemetry.meters import Meters
from tests.support.engine_bench import creation, rules

NOW = 1_000_000.0


def state(**changes: Any) -> State:
    """A release that began at NOW, as it is after these changes."""
    begun = fold([creation(rules(rehearse_s=60.0), NOW)])
    assert begun is not None
    return replace(begun, **changes)


@dataclass
class ShownHost:
    """`vital_now` is what it says."""

    vital_now: Vital = field(default_factory=lambda: Vital(states=[]))
    watcher: Meters = field(default_factory=lambda: Meters(NOW - 100))

    def now(self) -> float:
        return NOW + 30

    def vital(self) -> Vital:
        return self.vital_now


def series_of(host: ShownHost) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, sorted labels) -> value, as Prometheus reads the text."""
    text = telemetry.exposition(host).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
