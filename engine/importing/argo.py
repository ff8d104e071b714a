"""A Rollout of Argo Rollouts and the AnalysisTemplates it names, as a draft. Pure.

Source: https://argoproj.github.io/argo-rollouts/features/specification/ and .../analysis/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.importing.draft import Draft, ImportingError, MetricDraft, Object, Part, StageDraft, rising, service_name
from engine.importing.queries import bounds_in, metric_of
from engine.plan.units import NotUnderstoodError, parse_duration

PROMETHEUS = "http://prometheus:9090"
_ARGUMENT = re.compile(r"\{\{\s*args\.([\w.-]+)\s*\}\}")
_PODS = {"Latest": "$build"}  # the canary's pods; stable's hash belongs to a comparison of two queries


def templates_of(rollout: Object) -> list[tuple[str, bool]]:
    """The (name, is it a ClusterAnalysisTemplate) of each template that the Rollout names, once."""
    found = {(str(one["templateName"]), bool(one.get("clusterScope"))) for one in _references(rollout)}
    return sorted(found)


def draft_of_rollout(rollout: Object, templates: Sequence[Object], keys: Mapping[str, Any]) -> Draft:
    """`templates` are those of `templates_of` that are there; `keys` say how the cluster is reached.

    Raises ImportingError for a Rollout that is no canary.
    """
    name, canary = rollout["metadata"]["name"], _canary(rollout)
    values = _values(rollout)
    metrics = [one for template in templates for one in template.get("spec", {}).get("metrics") or ()]
    read = [(str(metric["name"]), *_metric(metric, values)) for metric in metrics]
    addresses = [address for metric in metrics if (address := _prometheus(metric).get("address"))]
    draft = Draft(
        service=service_name(name),
        router=Part("argo_rollouts", {**keys, "rollout": name}),
        source=Part("prometheus", {"url": _filled(addresses[0], values) if addresses else PROMETHEUS}),
        origin=f"Rollout {name}",
        stages=rising(list(_stages(canary.get("steps") or ()))),
        stages_comment="the Rollout's steps: a bake is what its pauses of this weight add up to",
        metrics=[metric for _, metric, _ in read if metric],
        queries=[(title, query) for title, metric, query in read if not metric],
    )
    draft.notes += _notes(addresses, canary)
    return draft


def _canary(rollout: Object) -> Object:
    canary: Object | None = (rollout.get("spec", {}).get("strategy") or {}).get("canary")
    if canary is None:
        raise ImportingError("this Rollout is no canary: laneshift orders Argo Rollouts' canary strategy only")
    return canary


def _notes(addresses: Sequence[str], canary: Object) -> Iterator[str]:
    if not addresses:
        yield "source: no AnalysisTemplate named a Prometheus"
    if len(set(addresses)) > 1:
        yield f"source: the templates name several addresses: {', '.join(sorted(set(addresses)))}"
    yield "the Rollout: each of its weights needs an indefinite pause; laneshift doctor prints the steps"
    if any("analysis" in step for step in canary.get("steps") or ()) or canary.get("analysis"):
        yield "the Rollout: take its analysis out once the metrics are in this plan; two judges would disagree"


# --- steps


def _stages(steps: Sequence[Object]) -> Iterator[StageDraft]:
    weight: int | None = None
    bake: float | None = None
    for step in steps:
        if "setWeight" in step:
            if weight is not None:
                yield StageDraft(weight, bake)
            weight, bake = int(step["setWeight"]), None
        elif "pause" in step:
            lasts = _seconds((step["pause"] or {}).get("duration"))
            bake = (bake or 0.0) + lasts if lasts else bake
    if weight is not None:
        yield StageDraft(weight, bake)


def _seconds(duration: object) -> float | None:
    """Argo's duration: seconds, or such as `10m`; None for an indefinite pause."""
    text = str(duration or "")
    try:
        return float(text) if text.isdecimal() else parse_duration(text)
    except NotUnderstoodError:
        return None


# --- analysis


def _references(rollout: Object) -> Iterator[Object]:
    canary = _canary(rollout)
    analyses = [canary.get("analysis"), *(step.get("analysis") for step in canary.get("steps") or ())]
    for analysis in analyses:
        for one in (analysis or {}).get("templates") or ():
            if one.get("templateName"):
                yield one


def _values(rollout: Object) -> dict[str, str]:
    """The analysis' arguments by name; what can't be known here is left out."""
    canary = _canary(rollout)
    given = [(canary.get("analysis") or {}), *((step.get("analysis") or {}) for step in canary.get("steps") or ())]
    arguments = [argument for one in given for argument in one.get("args") or ()]
    return {str(one["name"]): value for one in arguments if (value := _value(one, rollout))}


def _value(argument: Object, rollout: Object) -> str:
    source = argument.get("valueFrom") or {}
    path = str((source.get("fieldRef") or {}).get("fieldPath", ""))
    if path:
        return _field(rollout, path)
    return str(argument.get("value") or _PODS.get(source.get("podTemplateHashValue", ""), ""))


def _field(item: Any, path: str) -> str:
    """`metadata.labels['app']` and the like."""
    for key in re.findall(r"\['([^']+)'\]|([^.\[\]]+)", path):
        item = item.get(key[0] or key[1], "") if isinstance(item, Mapping) else ""
    return item if isinstance(item, str) else ""


def _metric(metric: Object, values: Mapping[str, str]) -> tuple[MetricDraft | None, str]:
    """The metric if its query is understood, and the query with its arguments filled in."""
    query = _filled(str(_prometheus(metric).get("query", "")), values)
    if not query:
        return None, f"provider {next(iter(metric.get('provider') or {}), 'none')}"
    bounds = bounds_in(str(metric.get("successCondition", "")), str(metric.get("failureCondition", "")))
    return metric_of(str(metric["name"]), query, bounds, {}), query


def _prometheus(metric: Object) -> Object:
    found: Object = (metric.get("provider") or {}).get("prometheus") or {}
    return found


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _ARGUMENT.sub(lambda found: values.get(found[1], found[0]), text)
