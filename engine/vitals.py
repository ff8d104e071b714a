"""Metrics of every plan whose router sees the canary's pods: restarts, kills for memory, what is not ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.judge.metric import Counts, Metric, Sample, Threshold

RESTARTS_ALLOWED = 2

VITALS: Final[Mapping[str, Metric]] = {
    "restarts": Metric("canary_restarts", "gauge", (Threshold(RESTARTS_ALLOWED),)),
    "oom_kills": Metric("canary_oom_kills", "gauge", (Threshold(0),)),
    "unready": Metric("canary_unready", "gauge", (), weight="informational"),
}
OF_PODS: Final = frozenset(metric.name for metric in VITALS.values())
COUNTED: Final = frozenset({"restarts", "oom_kills"})  # counts of a pod's life: what was there before does not count


class Vitals:
    """Readings of the canary's pods as samples; counts begin where they stood when first read."""

    def __init__(self, metrics: tuple[Metric, ...], base: Mapping[str, float] | None = None) -> None:
        """`metrics` are the release's; `base` is an earlier `state()`."""
        watched = {metric.name for metric in metrics}
        self._names = [name for name, metric in VITALS.items() if metric.name in watched]
        self._base = dict(base or {})
        self._at: float | None = None

    def state(self) -> dict[str, float]:
        """Where the counts began, as JSON values."""
        return dict(self._base)

    def samples(self, at: float, readings: Mapping[str, float]) -> tuple[Sample, ...]:
        """One sample per metric that the release watches; a reading that is missing is a side that can't be read."""
        seconds = at - self._at if self._at is not None else 0.0
        self._at = at
        return tuple(Sample(VITALS[name].name, seconds, None, self._counts(name, readings)) for name in self._names)

    def _counts(self, name: str, readings: Mapping[str, float]) -> Counts | None:
        value = readings.get(name)
        if value is None:
            return None
        if name in COUNTED:
            self._base[name] = min(self._base.get(name, value), value)  # a pod that is gone takes its count along
            value -= self._base[name]
        past = any(value > line.limit for line in VITALS[name].thresholds)
        return Counts(1, float(past), float(past), value)
