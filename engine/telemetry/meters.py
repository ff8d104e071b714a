"""What an engine's parts told, as Prometheus' counters and histograms: each engine has a registry of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from engine import events as ev
from engine.events import Event
from engine.journal.records import JournalFenced, JournalUnavailable
from engine.registry import SOURCES
from engine.release import VERBS
from engine.sources import Source
from engine.state import State
from engine.telemetry.watcher import Watcher

QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
AGES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WAY_BACK: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
OUTCOMES: Final = ("stored", "unavailable", "fenced", "refused")


class Meters(Watcher):
    """Counts since this engine began. `registry` holds them; series of every fixed label value are there from the
    beginning, so that a first increase is seen as one."""

    def __init__(self, started_at: float) -> None:
        """`started_at` is when the engine began, in seconds since the epoch."""
        self.started_at = started_at
        self.registry = CollectorRegistry()
        self._lag = Histogram(
            "laneshift_decision_lag_seconds",
            "From a decision until it is recorded and acted upon.",
            ["input"],
            buckets=QUICK,
            registry=self.registry,
        )
        self._age = Histogram(
            "laneshift_sample_age_seconds",
            "From the time of a reading until its verdicts were decided on.",
            buckets=AGES,
            registry=self.registry,
        )
        self._way_back = Histogram(
            "laneshift_rollback_seconds",
            "From a roll back being asked for until all traffic was observed on stable.",
            buckets=WAY_BACK,
            registry=self.registry,
        )
        self._append = Histogram(
            "laneshift_journal_append_seconds",
            "What one append to the journal took.",
            ["outcome"],
            buckets=QUICK,
            registry=self.registry,
        )
        self._sources = self._counter("laneshift_source_errors", "Readings that failed, by kind of source.", "source")
        self._router = self._counter("laneshift_router_errors", "Observations and writes that the router failed.")
        self._orders = self._counter("laneshift_orders", "Orders of people, by what became of them.", "verb", "outcome")
        self._glass = self._counter("laneshift_break_glass", "Roll backs by people who may not order one.")
        self._fenced = self._counter("laneshift_fenced", "Releases that another engine took from this one.")
        self._begin()

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(name, said, labels, registry=self.registry)

    def _begin(self) -> None:
        for given in ("look", "order"):
            self._lag.labels(given)
        for outcome in OUTCOMES:
            self._append.labels(outcome)
        for kind in (*SOURCES, "other"):
            self._sources.labels(kind)
        for verb in VERBS:
            for outcome in ("accepted", "refused"):
                self._orders.labels(verb, outcome)

    def recorded(self, events: Sequence[Event], state: State, waited_s: float, now: float) -> None:
        """Orders, looks, and roll backs that were seen through."""
        for event in events:
            match event:
                case ev.Ticked():
                    self._lag.labels("look").observe(waited_s)
                    self._age.observe(max(0.0, now - waited_s - event.at))
                case ev.OrderAccepted() | ev.OrderRefused():
                    outcome = "accepted" if isinstance(event, ev.OrderAccepted) else "refused"
                    self._lag.labels("order").observe(waited_s)
                    self._orders.labels(event.verb if event.verb in VERBS else "other", outcome).inc()
                case ev.GlassBroken():
                    self._glass.inc()
                case ev.ShiftAnswered(ok=False):
                    self._router.inc()
                case ev.RolledBack() if state.rollback is not None:
                    ended = state.rollback.observed or event.at
                    self._way_back.observe(max(0.0, ended - state.rollback.asked))

    def read(self, source: Source, problem: str) -> None:
        """Only failures are counted: what was read shows in the looks."""
        if problem:
            self._sources.labels(_kind_of(type(source))).inc()

    def observed(self, problem: str) -> None:
        """Only failures are counted."""
        if problem:
            self._router.inc()

    def appended(self, seconds: float, error: Exception | None) -> None:
        """In the journal's thread."""
        self._append.labels(_outcome(error)).observe(seconds)

    def fenced(self) -> None:
        """One more."""
        self._fenced.inc()


def _outcome(error: Exception | None) -> str:
    match error:
        case None:
            return "stored"
        case JournalUnavailable():
            return "unavailable"
        case JournalFenced():
            return "fenced"
        case _:
            return "refused"


@cache
def _kind_of(source: type[Source]) -> str:
    """The name that a plan gives this kind; what another package brings, and several at once, is `other`."""
    name = f"{source.__module__}:{source.__name__}"
    return next((kind for kind, built_in in SOURCES.items() if built_in.plugin == name), "other")
