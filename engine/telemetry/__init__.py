"""What an engine shows of itself: metrics for Prometheus, and whether it is healthy and ready, with the reason."""

from __future__ import annotations

from engine.telemetry.probes import healthy, ready
from engine.telemetry.vital import Shown, Vital
from engine.telemetry.watcher import UNWATCHED, Watcher

__all__ = ["UNWATCHED", "Shown", "Vital", "Watcher", "exposition", "healthy", "ready"]


def exposition(host: Shown) -> bytes:
    """All metrics of this engine, in Prometheus' text format (content type `text/plain; version=0.0.4`)."""
    from engine.telemetry.text import text_of  # prometheus_client, which the command line has no need of

    return text_of(host)
