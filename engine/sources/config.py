"""What a plan writes under a source's name. Values only; the sources themselves are imported when a release runs."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from engine.plan_fields import Duration, Url
from engine.plan_part import PlanPart, fault, raise_faults
from engine.units import show_duration

SHORTEST_INTERVAL_S = 1.0
LONGEST_INTERVAL_S = 60.0
LONGEST_DEFAULT_TIMEOUT_S = 2.0


def _default_timeout(source: dict[str, Any]) -> float:
    interval: float = source["interval"]
    return min(LONGEST_DEFAULT_TIMEOUT_S, interval / 2)


class ScrapeConfig(PlanPart):
    """Endpoints that serve their counters as Prometheus or OpenMetrics text."""

    urls: tuple[Url, ...] = Field(min_length=1, max_length=200, description="Endpoints that serve metrics as text.")
    interval: Duration = Field(default=5.0, description="Time between two scrapes, 1s to 60s.")
    timeout: Duration = Field(
        default_factory=_default_timeout,
        description="How long one answer may take, less than the interval; 2s by default, half the interval below 4s.",
    )

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        shortest, longest = show_duration(SHORTEST_INTERVAL_S), show_duration(LONGEST_INTERVAL_S)
        if not SHORTEST_INTERVAL_S <= self.interval <= LONGEST_INTERVAL_S:
            raise_faults([fault(("interval",), show_duration(self.interval), f"{shortest} to {longest}")])
        if not 0 < self.timeout < self.interval:
            allowed = f"more than 0s, less than the interval of {show_duration(self.interval)}"
            raise_faults([fault(("timeout",), show_duration(self.timeout), allowed)])
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen = self.urls
        raise_faults(
            fault(("urls", index), url, "each address once: its counters would count twice")
            for index, url in enumerate(seen)
            if url in seen[:index]
        )
        return self
