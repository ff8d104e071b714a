"""The text of a plan out of a draft: with comments that say where each value is from and what to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.importing.draft import Draft, MetricDraft, Part, StageDraft
from engine.importing.offered import finish_of, strategy_of, usual_metrics
from engine.plan.problem import printable
from engine.plan.units import show_duration

LONGEST_COMMENT = 400
_PLAIN = re.compile(
    r"[A-Za-z/][A-Za-z0-9_./-]*(?:\{[^{}#]*\})?"  # a word, a path, a selector
    r"|https?://[A-Za-z0-9_./:-]+"
    r"|\d+(?:\.\d+)?(?:%|ms|s|m|h)"
)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def plan_text(draft: Draft) -> str:
    """The whole file. `laneshift lint` accepts it."""
    return "\n".join(_lines(draft)) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    yield f"# Written by laneshift init from {_comment(draft.origin)}. laneshift lint says whether it is wise,"
    yield "# laneshift doctor whether a release has all that it needs; docs/plan.md has every key."
    yield from _still_to_do(draft)
    yield from ("", f"service: {scalar(draft.service)}")
    yield "# version: {canary: v1.2.3}  # or at the start: laneshift start PLAN --canary v1.2.3"
    yield from ("change:", "  summary: FILL IN what this release changes, in one line", "  kinds: [backend]", "")
    yield f"strategy: {strategy_of(draft.router.kind)}"
    yield from _part("router", draft.router)
    yield from _part("source", draft.source)
    yield from ("", *_stages(draft), "advance: manual  # auto: the engine goes on when a stage is ready")
    yield from _end(draft.router.kind)
    yield from ("", *_metrics(draft), "")
    yield "on_fail: rollback"
    yield "rollback: {budget: 2m, hard_limit: 5m}"
    yield "# checks:"
    yield "#   stage: [{http: {path: /healthz}}]  # asked of the canary itself, which answers with its X-Version"
    yield "# links: {dashboard: https://grafana.example.com/d/FILL-IN}"


def _still_to_do(draft: Draft) -> Iterator[str]:
    if draft.notes:
        yield from ("#", "# Still to do:")
        yield from (f"# - {_comment(note)}" for note in draft.notes)


def _part(name: str, part: Part) -> Iterator[str]:
    yield from (f"# {_comment(line)}" for line in part.comment)
    yield f"{name}:"
    yield f"  {part.kind}:" if part.keys else f"  {part.kind}: {{}}"
    yield from (f"    {key}: {scalar(value)}" for key, value in part.keys.items())


def _stages(draft: Draft) -> Iterator[str]:
    if strategy_of(draft.router.kind) != "canary":
        yield "# stages: those of this strategy are its default"
        return
    if draft.stages_comment:
        yield f"# {_comment(draft.stages_comment)}; a stage without a bake has the default, 15m"
    yield "stages:"
    yield from (f"  - {_stage(stage)}" for stage in draft.stages or USUAL_STAGES)
    yield "until: both  # a stage holds for its bake and its min_requests"


USUAL_STAGES = (StageDraft(5, 900), StageDraft(25, 900), StageDraft(50, 900), StageDraft(100, 3600))


def _stage(stage: StageDraft) -> str:
    bake = f", bake: {show_duration(stage.bake_s)}" if stage.bake_s else ""
    requests = ", min_requests: 1000" if stage.weight < 100 else ""
    return f"{{weight: {stage.weight}{bake}{requests}}}"


def _end(kind: str) -> Iterator[str]:
    finish = finish_of(kind)
    means = {
        "swap": "the two sides change roles, so the next plan names them the other way round",
        "copy": "stable gets the new version and takes the traffic back",
        "handover": "the traffic's owner finishes",
    }
    yield f"finish: {finish}  # {means[finish]}"
    yield "keep_old: 1h  # for so long a roll back of the finished release is at once"


def _metrics(draft: Draft) -> Iterator[str]:
    metrics = draft.metrics or usual_metrics(draft.source.kind)
    yield "# $version, $build and $workload stand for the version, the pods' hash and the workload of each side."
    if not draft.metrics:
        yield "# FILL IN: these are usual names; put those of your service in their place."
    yield "metrics:"
    for metric in metrics:
        yield from _metric(metric)
    for name, query in draft.queries:
        yield f"  # {_comment(name)} is not understood: name its raw counters as total and bad or good, or a histogram"
        yield from (f"  #   {_comment(line)}" for line in query.splitlines() if line.strip())


def _metric(metric: MetricDraft) -> Iterator[str]:
    yield from (f"  # {_comment(line)}" for line in metric.comment)
    yield f"  {metric.name}:"
    yield from (f"    {key}: {scalar(value)}" for key, value in metric.keys.items())


def scalar(value: Any) -> str:
    """A value on one line, quoted only where YAML needs it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inside(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inside, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _inside(value: Any) -> str:
    """In a flow mapping or list, where commas, colons and braces have a meaning."""
    written = scalar(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and set(written) & set("{}[],:") else written


def _comment(text: str) -> str:
    return printable(text.strip(), LONGEST_COMMENT)
