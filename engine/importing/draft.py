"""A plan in the making: what was found or answered, and for people where it is from and what they must fill in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]


class ImportingError(Exception):
    """Nothing can be made of what is there; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class MetricDraft:
    """One metric: its keys as a plan writes them, and the lines of comment above it."""

    name: str
    keys: Mapping[str, Any]
    comment: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StageDraft:
    """A weight in percent; `bake_s` in seconds, None for the plan's default."""

    weight: int
    bake_s: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The router or the source: its kind and its keys."""

    kind: str
    keys: Mapping[str, Any]
    comment: Sequence[str] = ()


@dataclass(slots=True)
class Draft:
    """`origin` says in a few words where all of it is from; `notes` are what a person must still do, one line each.

    stages:  none for the defaults; metrics: none for a usual set that must be adapted
    queries: what was found and not understood, with its name, as comments under `metrics`
    files:   name -> text of the objects that are missing
    """

    service: str
    router: Part
    source: Part
    origin: str
    stages: Sequence[StageDraft] = ()
    stages_comment: str = ""
    metrics: Sequence[MetricDraft] = ()
    queries: Sequence[tuple[str, str]] = ()
    notes: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def service_name(name: str) -> str:
    """An object's name as a plan names a service: dots and what else it may have become hyphens."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:50].strip("-") or "service"


def metric_name(name: str) -> str:
    """Any name as that of a metric: `success-rate` becomes `success_rate`."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:60]
    return word if word[:1].isalpha() else f"metric_{word}".rstrip("_")


def rising(stages: Sequence[StageDraft], last_bake_s: float | None = None) -> list[StageDraft]:
    """Stages whose weights rise to 100, as a plan's must; those that do not rise are left out."""
    found: list[StageDraft] = []
    for stage in stages:
        if 1 <= stage.weight <= 100 and (not found or stage.weight > found[-1].weight):
            found.append(stage)
    if found and found[-1].weight < 100:
        found.append(StageDraft(100, last_bake_s))
    return found
