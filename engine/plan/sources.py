"""Which source each metric of a plan is read from, and whether that source understands it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import InitErrorDetails

from engine.plan.choice import SourceChoice
from engine.plan.metrics import AnyMetric, Gauge
from engine.plan.part import fault
from engine.plan.problem import nearest
from engine.plan.questions import LANGUAGES, Question
from engine.plan.selector import Selector
from engine.plan.units import show_duration


def language_of(source: SourceChoice) -> type[Question]:
    """What this kind of source is asked in, as its configuration says: series unless it says otherwise."""
    language: type[Question] = getattr(source.config, "asked_in", Selector)
    return language


def source_faults(
    metrics: Mapping[str, AnyMetric], source: SourceChoice, sources: Mapping[str, SourceChoice]
) -> Iterator[InitErrorDetails]:
    """Metrics of a source that the plan does not have, or that does not understand or can't pace them."""
    for name, metric in metrics.items():
        read_from = sources.get(metric.source) if metric.source else source
        if read_from is None:
            allowed = ", ".join(sources) or "no name, as the plan has no `sources`"
            yield fault(("metrics", name, "source"), metric.source, allowed, nearest(str(metric.source), sources))
            continue
        yield from _language_faults(name, metric, read_from)
        if isinstance(metric, Gauge):
            yield from _pace_faults(name, source, read_from)


def _language_faults(name: str, metric: AnyMetric, source: SourceChoice) -> Iterator[InitErrorDetails]:
    language = language_of(source)
    for key, question in metric.questions.items():
        if not isinstance(question, language):
            yield fault(("metrics", name, key), str(question), LANGUAGES[language], _hint(key, source))


def _hint(key: str, source: SourceChoice) -> str:
    if key == "histogram":
        return f"a {source.kind} source reads no histograms: count the slow requests, as total and bad"
    return f"a {source.kind} source reads nothing else"


def _pace_faults(name: str, source: SourceChoice, read_from: SourceChoice) -> Iterator[InitErrorDetails]:
    """Between two readings of a slow source its counters stand still, which is true; a gauge would be made up."""
    looks, reads = (getattr(one.config, "interval", None) for one in (source, read_from))
    if looks is not None and reads is not None and reads > looks:
        allowed = f"a source that is read every {show_duration(looks)}, as often as the plan looks"
        yield fault(("metrics", name, "source"), f"every {show_duration(reads)}", allowed, "for a gauge")
