"""An Istio VirtualService as laneshift moves it: which route of `spec.http` sends to both sides, and what each gets.

Source: https://istio.io/latest/docs/reference/config/networking/virtual-service/ (HTTPRoute, HTTPRouteDestination) and
.../config/config-status/. Weights are proportional to their sum, 0 where none is written. Lists are atomic: a weight is
addressed by its place, and every patch tests the names there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.kube.marks import Operation, annotations_of, pointer
from engine.kube.place import Place
from engine.routers import RouterError

Object = Mapping[str, Any]
Destination = tuple[str, str]
"""The host as a Service of the VirtualService's namespace is called there, and the subset, "" for none."""


@dataclass(frozen=True, slots=True)
class Destinations(Place):
    """The index and name (if any) of the rule, the indices of its two destinations, and how they are written there."""

    rule: int
    rule_name: str
    stable: int
    canary: int
    written: Mapping[int, Mapping[str, str]]
    annotated: bool

    def tests(self) -> list[Operation]:
        """The rule's name, and both hosts and subsets."""
        named = [(pointer("spec", "http", self.rule, "name"), self.rule_name)] if self.rule_name else []
        named += [
            (self._route(side, "destination", key), value)
            for side in (self.stable, self.canary)
            for key, value in self.written[side].items()
        ]
        return [{"op": "test", "path": path, "value": value} for path, value in named]

    def weights(self, canary: int) -> list[Operation]:
        """Both weights, of a hundred."""
        written = ((self.stable, 100 - canary), (self.canary, canary))
        return [{"op": "add", "path": self._route(side, "weight"), "value": weight} for side, weight in written]

    def jq(self) -> list[str]:
        """All weights of the rule."""
        return [f".spec.http[{self.rule}].route[].weight"]

    def pointers(self) -> list[str]:
        """Both weights."""
        return [self._route(side, "weight") for side in sorted((self.stable, self.canary))]

    def _route(self, side: int, *field: str) -> str:
        return pointer("spec", "http", self.rule, "route", side, *field)


def destinations_of(item: Object, rule: str | None, stable: Destination, canary: Destination) -> Destinations:
    """Where both destinations stand. Raises RouterError that names what is there instead."""
    rules = item.get("spec", {}).get("http") or []
    named = {each.get("name"): number for number, each in enumerate(rules)}
    if rule is not None and rule not in named:
        known = ", ".join(str(name) for name in named if name) or "none that has a name"
        raise RouterError(f"spec.http of the VirtualService has no rule {rule}; it has {known}")
    asked = range(len(rules)) if rule is None else [named[rule]]
    namespace = str(item["metadata"].get("namespace", ""))
    places = {number: _places(rules[number], namespace) for number in asked}
    found = [number for number, there in places.items() if {stable, canary} <= there.keys()]
    if len(found) > 1:
        names = ", ".join(str(rules[number].get("name") or f"number {number + 1}") for number in found)
        raise RouterError(f"several rules have both {said(stable)} and {said(canary)}: {names}; say which with `rule`")
    if not found:
        raise RouterError(_lacking([stable, canary], {each for there in places.values() for each in there}))
    number = found[0]
    both = places[number][stable], places[number][canary]
    return Destinations(
        rule=number,
        rule_name=str(rules[number].get("name") or ""),
        stable=both[0],
        canary=both[1],
        written={side: _as_written(rules[number]["route"][side]) for side in both},
        annotated=bool(annotations_of(item)),
    )


def weight_of(item: Object, place: Destinations) -> float:
    """The canary's share of the rule in percent. Raises RouterError when others get traffic too, or nobody does."""
    routes, namespace = item["spec"]["http"][place.rule]["route"], str(item["metadata"].get("namespace", ""))
    weights = [int(each.get("weight", 0)) for each in routes]
    others = [
        f"{said(_destination(each, namespace))} ({weight})"
        for number, (each, weight) in enumerate(zip(routes, weights, strict=True))
        if weight > 0 and number not in (place.stable, place.canary)
    ]
    if others:
        raise RouterError(
            f"other destinations get traffic of this rule too: {', '.join(others)}; set their weight to 0"
        )
    both = weights[place.stable] + weights[place.canary]
    if both == 0:
        raise RouterError("both destinations of the rule have weight 0: give stable its weight")
    return round(100 * weights[place.canary] / both, 6)


def pending_of(item: Object) -> str:
    """Why this generation is not in effect, where Istio says anything of that (its status is off by default)."""
    status = item.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") != "Reconciled":
            continue
        seen = int(status.get("observedGeneration") or condition.get("observedGeneration") or 0)
        if 0 < seen < int(item["metadata"]["generation"]):
            return "Istio has not taken this change yet (its status is of an older generation)"
        if condition.get("status") != "True":
            why = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            return f"Istio has not brought it to all proxies yet ({why or 'Reconciled is not True'})"
    return ""


def tells(item: Object) -> bool:
    """Does Istio say when a change is in effect?"""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Reconciled" for each in conditions)


def complaints_of(item: Object) -> list[str]:
    """Errors that Istio's analysis found in it."""
    messages = (item.get("status") or {}).get("validationMessages") or ()
    found = [each.get("type") or {} for each in messages if str(each.get("level", "")).upper() == "ERROR"]
    return [" ".join(filter(None, (each.get("code"), each.get("name")))) or "an error" for each in found]


def retries_of(item: Object, place: Destinations) -> str:
    """How often a proxy tries a failed request of the rule again, in words; empty when the rule does not say so."""
    retries = item["spec"]["http"][place.rule].get("retries") or {}
    attempts = int(retries.get("attempts", 0))
    on = f" on {retries['retryOn']}" if retries.get("retryOn") else ""
    return f"the rule retries ({attempts} attempts{on}): requests that fail once look healthy" if attempts else ""


def subset_labels(rules: list[dict[str, Any]], host: str, subset: str, namespace: str) -> Mapping[str, str] | None:
    """The labels that a DestinationRule gives this subset; None when none has it: Istio would answer it with 503."""
    for rule in rules:
        spec = rule.get("spec", {})
        for each in spec.get("subsets") or ():
            if short(str(spec.get("host", "")), namespace) == host and each.get("name") == subset:
                labels: Mapping[str, str] = each.get("labels") or {}
                return labels
    return None


def short(host: str, namespace: str) -> str:
    """A Service of this namespace by its name alone, however it is written."""
    for tail in (f".{namespace}.svc.cluster.local", f".{namespace}.svc", f".{namespace}"):
        if host.endswith(tail):
            return host.removesuffix(tail)
    return host


def said(destination: Destination) -> str:
    """For a sentence."""
    host, subset = destination
    return f"{host} subset {subset}" if subset else host


def _places(rule: Object, namespace: str) -> dict[Destination, int]:
    return {_destination(each, namespace): number for number, each in enumerate(rule.get("route") or ())}


def _destination(route: Object, namespace: str) -> Destination:
    destination = route.get("destination") or {}
    return short(str(destination.get("host", "")), namespace), str(destination.get("subset", ""))


def _as_written(route: Object) -> dict[str, str]:
    destination = route["destination"]
    return {key: str(destination[key]) for key in ("host", "subset") if key in destination}


def _lacking(wanted: list[Destination], there: set[Destination]) -> str:
    missing = " and ".join(said(each) for each in wanted if each not in there)
    has = ", ".join(sorted(map(said, there))) or "none"
    what = missing or " beside ".join(map(said, wanted))
    return f"the VirtualService has no HTTP destination {what}; it has {has}: add it there with weight 0"
