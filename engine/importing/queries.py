"""Queries of other tools as metrics of a plan.

A ratio of two rates becomes raw counters, `histogram_quantile` a histogram: laneshift takes the differences itself, of
canary and stable at the same time. What has another shape is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.importing.draft import MetricDraft, metric_name
from engine.importing.promql import Binary, Call, Node, NotReadError, Number, Series, parse
from engine.plan.selector import PLACEHOLDERS, Matcher, Selector
from engine.plan.units import NotUnderstoodError, show_duration, show_percent

RATES = frozenset({"rate", "irate", "increase"})
ADDED = 'version="$version" was added: laneshift reads both sides at once, so the series must tell them apart'
_BOUND = re.compile(r"(?:result(?:\[0\])?|#)\s*(>=|<=|>|<)\s*(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a value must not fall below and not rise above, in the query's own unit."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """`scale * part / total`, or with `rest` `scale - scale * part / total`."""

    total: str
    part: str
    scale: float = 1.0
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a histogram's series (`..._bucket`), times `scale`."""

    series: str
    quantile: float
    scale: float = 1.0


def bounds_in(success: str, failure: str) -> Bounds:
    """The bounds in Argo Rollouts' conditions, such as `result[0] >= 0.95`; none where they say anything else."""
    found = _BOUND.findall(success)
    if not found:
        inverse = {">=": "<=", ">": "<=", "<=": ">=", "<": ">="}
        found = [(inverse[sign], number) for sign, number in _BOUND.findall(failure)]
    least = [float(number) for sign, number in found if sign.startswith(">")]
    most = [float(number) for sign, number in found if sign.startswith("<")]
    return Bounds(max(least, default=None), min(most, default=None))


def metric_of(
    name: str, query: str, bounds: Bounds, sides: Mapping[str, str], unit_s: float = 1.0
) -> MetricDraft | None:
    """The metric that this query reads; None for a shape or bounds that are not understood.

    `sides`: values of labels that name the canary -> the placeholder that names either side. `unit_s`: seconds of the
    bounds' unit, for a latency.
    """
    try:
        shape = _shape(parse(query))
    except NotReadError:
        return None
    try:
        if isinstance(shape, Ratio):
            return _share(name, shape, bounds, sides)
        if isinstance(shape, Quantile):
            return _latency(name, shape, bounds, sides, unit_s)
    except NotUnderstoodError:
        return None
    return None


# --- shapes


def _shape(node: Node) -> Ratio | Quantile | None:
    match node:
        case Binary("*", inside, Number(scale)) | Binary("*", Number(scale), inside):
            shape = _shape(inside)
            return None if shape is None else replace(shape, scale=shape.scale * scale)
        case Binary("-", Number(whole), inside):
            shape = _shape(inside)
            same = isinstance(shape, Ratio) and shape.scale == whole and not shape.rest
            return replace(shape, rest=True) if isinstance(shape, Ratio) and same else None
        case Binary("or", inside, Call("vector")) | Call("scalar" | "sum" | "avg" | "max", (inside,)):
            return _shape(inside)
        case Binary("/", top, bottom):
            return _ratio(top, bottom)
        case Call("histogram_quantile", (Number(quantile), inside)):
            series = _counted(inside)
            return Quantile(series, quantile) if series else None
    return None


def _ratio(top: Node, bottom: Node) -> Ratio | None:
    total = _counted(bottom)
    match top:
        case Binary("*", inside, Number(scale)) | Binary("*", Number(scale), inside):
            part, rest = _counted(inside), False
        case Binary("-", whole, inside) if total and _counted(whole) == total:
            part, rest, scale = _counted(inside), True, 1.0
        case _:
            part, rest, scale = _counted(top), False, 1.0
    return Ratio(total, part, scale, rest) if total and part else None


def _counted(node: Node) -> str:
    """The selector of a counter whose rate this is, summed up or not; empty for anything else."""
    match node:
        case Call("sum", (inside,)) | Binary("or", inside, Call("vector")):
            return _counted(inside)
        case Call(name, (Series(selector, over=True),)) if name in RATES:
            return selector
    return ""


# --- metrics


def _share(name: str, shape: Ratio, bounds: Bounds, sides: Mapping[str, str]) -> MetricDraft | None:
    if (bounds.least is None) == (bounds.most is None):
        return None
    bound = (bounds.least if bounds.least is not None else bounds.most or 0.0) / shape.scale
    good = (bounds.least is not None) != shape.rest
    line = 1 - bound if shape.rest else bound
    if not 0 <= line <= 1:
        return None
    comments: list[str] = []
    keys: dict[str, Any] = {
        "total": _selector(shape.total, sides, comments),
        "good" if good else "bad": _selector(shape.part, sides, comments),
        "alert": f"{'<' if good else '>'} {show_percent(round(line, 6))}",
    }
    return MetricDraft(metric_name(name), keys, tuple(dict.fromkeys(comments)))


def _latency(name: str, shape: Quantile, bounds: Bounds, sides: Mapping[str, str], unit_s: float) -> MetricDraft | None:
    if bounds.most is None or not 0 < shape.quantile < 1:
        return None
    comments: list[str] = []
    selector = _selector(shape.series, sides, comments)
    family, _, rest = selector.partition("{")
    if not family.endswith("_bucket") or "millisecond" in family:
        return None
    keys = {
        "histogram": f"{family.removesuffix('_bucket')}{{{rest}",
        "quantile": shape.quantile,
        "alert": f"> {show_duration(bounds.most * unit_s / shape.scale)}",
    }
    return MetricDraft(metric_name(name), keys, tuple(dict.fromkeys(comments)))


def _selector(written: str, sides: Mapping[str, str], comments: list[str]) -> str:
    """The selector with a placeholder where it names the canary. Raises NotUnderstoodError."""
    read = Selector.parse(written if "{" in written else f"{written}{{}}")
    matchers = [_named(one, sides) for one in read.matchers if one.label != "le"]
    if not any(word in one.value for one in matchers for word in PLACEHOLDERS):
        matchers.append(Matcher("version", "=", "$version"))
        comments.append(ADDED)
    return str(Selector(read.name, tuple(matchers)))


def _named(one: Matcher, sides: Mapping[str, str]) -> Matcher:
    return replace(one, value=sides[one.value]) if one.operator in ("=", "=~") and one.value in sides else one
