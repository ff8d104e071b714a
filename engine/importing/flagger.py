"""A Canary of Flagger and the MetricTemplates it names, as a draft. Pure.

Source: https://docs.flagger.app/usage/how-it-works and .../usage/metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.importing.argo import PROMETHEUS
from engine.importing.draft import Draft, MetricDraft, Object, Part, StageDraft, rising, service_name
from engine.importing.offered import GATES
from engine.importing.queries import Bounds, metric_of
from engine.plan.units import NotUnderstoodError, parse_duration, show_duration, show_percent

CANARY = "laneshift-canary-workload"  # stands for Flagger's {{ target }} until selectors are read
_ISTIO = """sum(rate(istio_requests_total{reporter="destination",
    destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}"%s}[1m]))"""
OWN_QUERIES = {"request-success-rate": "{} / {} * 100".format(_ISTIO % ',response_code!~"5.*"', _ISTIO % "")}
"""Flagger's own for Istio (pkg/metrics/observers/istio.go); its latency is in milliseconds there."""

_VARIABLE = re.compile(r"\{\{-?\s*(?:variables\.)?(\w+)\s*-?\}\}")


def templates_of(canary: Object) -> list[tuple[str, str]]:
    """The (namespace, name) of each MetricTemplate; an empty namespace is the Canary's own."""
    named = [one["templateRef"] for one in _metrics(canary) if one.get("templateRef")]
    return sorted({(str(one.get("namespace") or ""), str(one["name"])) for one in named})


def draft_of_canary(canary: Object, templates: Mapping[str, Object], keys: Mapping[str, Any]) -> Draft:
    """`templates`: MetricTemplates by name; `keys` say how the cluster is reached."""
    name, analysis = canary["metadata"]["name"], _analysis(canary)
    interval = _seconds(analysis.get("interval"), 60.0)
    stages = rising([StageDraft(weight, interval) for weight in _weights(analysis)])
    read = [_metric(canary, one, templates) for one in _metrics(canary)]
    addresses = [address for one in templates.values() if (address := _address(one))]
    draft = Draft(
        service=service_name(name),
        router=Part("flagger", {**keys, "canary": name, "gates": GATES}),
        source=Part("prometheus", {"url": addresses[0] if addresses else PROMETHEUS}),
        origin=f"Canary {name}",
        stages=stages,
        stages_comment=f"the Canary's weights, each for its interval of {show_duration(interval)}",
        metrics=[metric for _, metric, _ in read if metric],
        queries=[(title, query) for title, metric, query in read if not metric],
    )
    draft.notes += _notes(addresses)
    return draft


def _notes(addresses: Sequence[str]) -> Iterator[str]:
    if not addresses:
        yield "source: no MetricTemplate named a Prometheus; Flagger's own metrics come from its -metrics-server"
    yield "stages: Flagger goes on at its interval; a bake here is the least time that laneshift keeps a weight"
    yield "the Canary: it must ask laneshift at its gates; laneshift doctor prints the webhooks"
    yield "gates: put 16 letters or digits or more into the file secrets/flagger-gates of the engine's state folder"


def _analysis(canary: Object) -> Object:
    spec = canary.get("spec", {})
    found: Object = spec.get("analysis") or spec.get("canaryAnalysis") or {}
    return found


def _weights(analysis: Object) -> list[int]:
    if analysis.get("stepWeights"):
        return [int(weight) for weight in analysis["stepWeights"]]
    step, most = int(analysis.get("stepWeight") or 0), int(analysis.get("maxWeight") or 100)
    return list(range(step, most + 1, step)) if step > 0 else []


def _metrics(canary: Object) -> list[Object]:
    return list(_analysis(canary).get("metrics") or ())


def _metric(canary: Object, metric: Object, templates: Mapping[str, Object]) -> tuple[str, MetricDraft | None, str]:
    """Its name, the metric if its query is understood, and the query."""
    name = str(metric["name"])
    bounds = _bounds(metric)
    template = templates.get(str((metric.get("templateRef") or {}).get("name", "")))
    written = (template or {}).get("spec", {}).get("query") or metric.get("query") or _own(canary, name)
    if not written:
        return name, _without_names(name, bounds), "Flagger's own metric"
    query = _filled(str(written), canary, metric)
    found = metric_of(name, query, bounds, {CANARY: "$workload"})
    return name, found or _without_names(name, bounds), query.replace(CANARY, "{{ target }}")


def _own(canary: Object, name: str) -> str:
    provider = str(canary.get("spec", {}).get("provider") or "")
    return OWN_QUERIES.get(name, "") if provider.startswith("istio") else ""


def _without_names(name: str, bounds: Bounds) -> MetricDraft | None:
    """Flagger's own metrics have lines that are known and series that depend on its mesh."""
    if name == "request-success-rate" and bounds.least is not None:
        keys: dict[str, Any] = {
            "total": 'http_requests_total{version="$version"}',
            "bad": 'http_requests_total{version="$version",code=~"5.."}',
            "alert": f"> {show_percent(round(1 - bounds.least / 100, 6))}",
        }
    elif name == "request-duration" and bounds.most is not None:
        keys = {
            "histogram": "http_request_duration_seconds",
            "quantile": 0.99,
            "alert": f"> {show_duration(bounds.most / 1000)}",
        }
    else:
        return None
    comment = f"the line is that of Flagger's {name}; fill in the series, whose names depend on your mesh"
    return MetricDraft(name.replace("-", "_"), keys, (comment,))


def _bounds(metric: Object) -> Bounds:
    range_ = metric.get("thresholdRange") or {}
    least = range_.get("min")
    if least is None and not range_:
        least = metric.get("threshold") if metric["name"] == "request-success-rate" else None
    most = range_.get("max")
    return Bounds(None if least is None else float(least), None if most is None else float(most))


def _filled(query: str, canary: Object, metric: Object) -> str:
    spec = canary.get("spec", {})
    target = spec.get("targetRef", {}).get("name", "")
    values = {
        "name": canary["metadata"]["name"],
        "namespace": canary["metadata"].get("namespace", "default"),
        "target": CANARY,
        "service": (spec.get("service") or {}).get("name") or target,
        "ingress": (spec.get("ingressRef") or {}).get("name", ""),
        "route": (spec.get("routeRef") or {}).get("name", ""),
        "interval": str(metric.get("interval") or "1m"),
        **{str(key): str(value) for key, value in (metric.get("templateVariables") or {}).items()},
    }
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), query)


def _address(template: Object) -> str:
    provider = template.get("spec", {}).get("provider") or {}
    return str(provider.get("address") or "") if provider.get("type") == "prometheus" else ""


def _seconds(duration: object, default: float) -> float:
    try:
        return parse_duration(duration) or default
    except NotUnderstoodError:
        return default
