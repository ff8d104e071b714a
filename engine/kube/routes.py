"""A Gateway API route as laneshift moves it: where its two backends stand, what they get, whether gateways took it.

Source: https://gateway-api.sigs.k8s.io/reference/spec/ (v1). Weights are proportional to their sum, 1 where none is
written; the lists of a route are atomic, so a weight is addressed by its place, and every patch tests the names there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.kube.marks import Operation, annotations_of, pointer
from engine.kube.place import Place
from engine.routers import RouterError

Object = Mapping[str, Any]
CONDITIONS: Final = ("Accepted", "ResolvedRefs")


@dataclass(frozen=True, slots=True)
class Layout(Place):
    """Where a route has the two sides: the index and name (if any) of the rule, the indices of its backends."""

    rule: int
    rule_name: str
    stable: int
    canary: int
    stable_name: str
    canary_name: str
    annotated: bool

    def tests(self) -> list[Operation]:
        """That the places are still those of these names; true before a roll back reads anything."""
        named = [(pointer("spec", "rules", self.rule, "name"), self.rule_name)] if self.rule_name else []
        named += [(self._backend(self.stable, "name"), self.stable_name)]
        named += [(self._backend(self.canary, "name"), self.canary_name)]
        return [{"op": "test", "path": path, "value": value} for path, value in named]

    def weights(self, canary: int) -> list[Operation]:
        """That the canary gets this many percent."""
        written = ((self.stable, 100 - canary), (self.canary, canary))
        return [{"op": "add", "path": self._backend(side, "weight"), "value": weight} for side, weight in written]

    def jq(self) -> list[str]:
        """The weights as a jq path."""
        return [f".spec.rules[{self.rule}].backendRefs[].weight"]

    def pointers(self) -> list[str]:
        """The weights as JSON Pointers."""
        return [self._backend(side, "weight") for side in sorted((self.stable, self.canary))]

    def _backend(self, side: int, field: str) -> str:
        return pointer("spec", "rules", self.rule, "backendRefs", side, field)


def layout_of(route: Object, rule: str | None, stable: str, canary: str) -> Layout:
    """Where both Services stand. Raises RouterError that names what is there instead."""
    rules = route.get("spec", {}).get("rules") or []
    named = {each.get("name"): number for number, each in enumerate(rules)}
    if rule is not None and rule not in named:
        known = ", ".join(str(name) for name in named if name) or "none that has a name"
        raise RouterError(f"the route has no rule {rule}; it has {known}")
    asked = range(len(rules)) if rule is None else [named[rule]]
    found = [number for number in asked if {stable, canary} <= _services(rules[number]).keys()]
    if len(found) > 1:
        names = ", ".join(str(rules[number].get("name") or f"number {number + 1}") for number in found)
        raise RouterError(f"several rules have both {stable} and {canary}: {names}; say which with `rule`")
    if not found:
        there = sorted({name for number in asked for name in _services(rules[number])})
        missing = " and ".join(name for name in (stable, canary) if name not in there) or f"{stable} beside {canary}"
        has = ", ".join(there) or "none"
        raise RouterError(f"the route has no backend {missing}; it has {has}: add it there with weight 0")
    number = found[0]
    places = _services(rules[number])
    return Layout(
        rule=number,
        rule_name=str(rules[number].get("name") or ""),
        stable=places[stable],
        canary=places[canary],
        stable_name=stable,
        canary_name=canary,
        annotated=bool(annotations_of(route)),
    )


def weight_of(route: Object, layout: Layout) -> float:
    """The canary's share of the rule in percent. Raises RouterError when others get traffic too, or nobody does."""
    backends = route["spec"]["rules"][layout.rule]["backendRefs"]
    weights = [int(each.get("weight", 1)) for each in backends]
    others = [
        f"{each.get('name')} ({weight})"
        for number, (each, weight) in enumerate(zip(backends, weights, strict=True))
        if weight > 0 and number not in (layout.stable, layout.canary)
    ]
    if others:
        raise RouterError(f"other backends get traffic of this rule too: {', '.join(others)}; set their weight to 0")
    both = weights[layout.stable] + weights[layout.canary]
    if both == 0:
        raise RouterError("every backend of the rule has weight 0: nobody is served; give stable its weight")
    share = 100 * weights[layout.canary] / both
    return round(share, 6)


def pending_of(route: Object) -> str:
    """Why this generation of the route is not in effect on every gateway it names; empty when it is."""
    wanted = [_parent(each, route) for each in route["spec"].get("parentRefs") or ()]
    if not wanted:
        return "the route names no gateway (spec.parentRefs is empty)"
    said: dict[tuple[str, ...], list[Object]] = {}
    for status in route.get("status", {}).get("parents") or ():
        said.setdefault(_parent(status.get("parentRef") or {}, route), []).append(status)
    reasons = [
        reason
        for parent in wanted
        for reason in ([f"gateway {parent[3]} has said nothing of the route"] if parent not in said else [])
        + [why for status in said.get(parent, ()) for why in _doubts(status, parent[3], route)]
    ]
    return "; ".join(dict.fromkeys(reasons))


def retries_of(route: Object, layout: Layout) -> str:
    """Where the rule lets the gateway try another backend when one fails, in words; empty when it does not."""
    retry = route["spec"]["rules"][layout.rule].get("retry")
    if not retry:
        return ""
    attempts, codes = retry.get("attempts"), retry.get("codes") or ()
    limits = f"{attempts or 'several'} attempts" + (f" on {', '.join(map(str, codes))}" if codes else "")
    return f"the rule retries ({limits}): a failing canary's requests may be answered by stable, and look healthy"


def _services(rule: Object) -> dict[str, int]:
    """The Services of the route's own namespace that a rule sends to, with their places."""
    return {
        str(each.get("name")): number
        for number, each in enumerate(rule.get("backendRefs") or ())
        if each.get("kind", "Service") == "Service" and not each.get("group") and not each.get("namespace")
    }


def _parent(reference: Object, route: Object) -> tuple[str, ...]:
    """With the defaults that the specification gives, so that a status can be matched with what was asked."""
    fields = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "namespace": route["metadata"].get("namespace", ""),
        "name": "",
        "sectionName": "",
        "port": "",
    }
    return tuple(str(reference.get(key) or default) for key, default in fields.items())


def _doubts(status: Object, gateway: str, route: Object) -> Iterator[str]:
    generation = route["metadata"].get("generation")
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    for name in CONDITIONS:
        condition = conditions.get(name)
        if condition is None or condition.get("observedGeneration") != generation:
            yield f"gateway {gateway} has not taken this change yet ({name})"
        elif condition.get("status") != "True":
            why = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
            yield f"gateway {gateway}: {name} is {condition.get('status')} ({why})"
