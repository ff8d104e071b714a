"""Reads what /metrics answers, for tests."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def read_series(text: str) -> Series:
    """Every sample of a Prometheus text, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(url: str) -> Series:
    """The series at `url`/metrics."""
    return read_series(httpx.get(f"{url}/metrics", timeout=5).raise_for_status().text)


def total(series: Series, name: str, **labels: str) -> float:
    """The sum of the series called `name` that carry these labels."""
    return sum(value for (found, have), value in series.items() if found == name and have >= labels.items())
