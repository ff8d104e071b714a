"""Two Ingresses of ingress-nginx that share their rules: the annotations of the second one say what share it gets.

Source: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary . Values are
strings; the weight is of `canary-weight-total` (100 by default). A header and a cookie go before the weight; there can
be one canary for a host and path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.kube.marks import Operation, annotations_of, marks_of, pointer
from engine.kube.place import Place
from engine.routers import RouterError

Object = Mapping[str, Any]
PREFIX: Final = "nginx.ingress.kubernetes.io/"
CANARY: Final = f"{PREFIX}canary"
WEIGHT: Final = f"{PREFIX}canary-weight"
TOTAL: Final = f"{PREFIX}canary-weight-total"
BY_HEADER: Final = f"{PREFIX}canary-by-header"
BY_COOKIE: Final = f"{PREFIX}canary-by-cookie"
AFFINITY: Final = f"{PREFIX}affinity"
AFFINITY_OF_CANARY: Final = f"{PREFIX}affinity-canary-behavior"


@dataclass(frozen=True, slots=True)
class CanaryIngress(Place):
    """The Ingress that is marked as a canary: the Service it sends to with the places where it is named, and its total.

    has_canary: that is the release's canary; after a swap it is stable's Service, and its weight is what stable gets
    """

    service: str
    places: tuple[tuple[int, int], ...]
    total: int
    has_canary: bool
    annotated: bool

    def tests(self) -> list[Operation]:
        """That it is a canary still, of this Service."""
        named = [
            {"op": "test", "path": pointer("spec", "rules", rule, "http", "paths", path, "backend", "service", "name")}
            for rule, path in self.places
        ]
        marked = {"op": "test", "path": pointer("metadata", "annotations", CANARY), "value": "true"}
        return [marked, *({**each, "value": self.service} for each in named)]

    def weights(self, canary: int) -> list[Operation]:
        """Raises RouterError for a weight that is no whole part of the total."""
        share = canary if self.has_canary else 100 - canary
        if share * self.total % 100:
            raise RouterError(f"{share}% is no whole part of {self.total}, the {TOTAL} of the Ingress")
        return [{"op": "add", "path": self._annotation(WEIGHT), "value": str(share * self.total // 100)}]

    def unmoved(self, compared: str) -> list[Operation]:
        """The spec, the weight, which no generation counts, and the number of the last write."""
        state, _, intent = compared.partition(" ")
        generation, _, weight = state.partition("/")
        return [
            {"op": "test", "path": "/metadata/generation", "value": int(generation)},
            {"op": "test", "path": self._annotation(WEIGHT), "value": weight or None},
            self.unwritten(intent),
        ]

    def jq(self) -> list[str]:
        """The annotation."""
        return [f'.metadata.annotations.\\"{WEIGHT}\\"']

    def pointers(self) -> list[str]:
        """The annotation."""
        return [self._annotation(WEIGHT)]

    def _annotation(self, name: str) -> str:
        return pointer("metadata", "annotations", name)


def canary_of(item: Object, stable: str, canary: str) -> CanaryIngress:
    """The canary Ingress. Raises RouterError for one that is none, or that sends elsewhere, with where it does."""
    notes = annotations_of(item)
    if notes.get(CANARY) != "true":
        raise RouterError(f'Ingress {item["metadata"]["name"]} is no canary: annotate it with {CANARY}="true"')
    found = dict(_backends(item))
    services = sorted(set(found.values()))
    if len(services) != 1 or services[0] not in (stable, canary):
        has = ", ".join(services) or "none"
        raise RouterError(f"the canary Ingress must send to {canary} (or {stable}) alone; it sends to {has}")
    total = notes.get(TOTAL, "100")
    if not total.isdigit() or not int(total):
        raise RouterError(f"{TOTAL} is {total!r}: it must be a number above 0")
    return CanaryIngress(services[0], tuple(found), int(total), services[0] == canary, annotated=True)


def weight_of(item: Object, place: CanaryIngress) -> float:
    """The canary's share in percent. Raises RouterError for an annotation that is no number."""
    written = annotations_of(item).get(WEIGHT, "0")
    if not written.isdigit() or int(written) > place.total:
        raise RouterError(f"{WEIGHT} is {written!r}: it must be a number from 0 to {place.total}")
    share = round(100 * int(written) / place.total, 6)
    return share if place.has_canary else 100 - share


def compared_with(item: Object) -> str:
    """What a raise is compared with; a roll back changes the number."""
    weight = annotations_of(item).get(WEIGHT, "")
    return f"{item['metadata']['generation']}/{weight} {marks_of(item).intent}".rstrip()


def detours_of(item: Object) -> list[str]:
    """What goes before the weight, in words."""
    notes = annotations_of(item)
    named = (("header", notes.get(BY_HEADER)), ("cookie", notes.get(BY_COOKIE)))
    return [f"requests with the {kind} {name} go by it, whatever the weight" for kind, name in named if name]


def stays_of(main: Object) -> str:
    """Whether users stay on the side that they had, in words; empty when they do not."""
    notes = annotations_of(main)
    if not notes.get(AFFINITY) or notes.get(AFFINITY_OF_CANARY) == "legacy":
        return ""
    return f"{AFFINITY} keeps users on the side they had: those of the canary stay there when the weight goes down"


def routes_of(item: Object) -> set[tuple[str, str]]:
    """Host and path of each rule."""
    return {
        (str(rule.get("host", "")), str(path.get("path", "/")))
        for rule in item.get("spec", {}).get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
    }


def services_of(item: Object) -> set[str]:
    """All Services that an Ingress sends to."""
    return {name for _, name in _backends(item)}


def _backends(item: Object) -> Iterator[tuple[tuple[int, int], str]]:
    for number, rule in enumerate(item.get("spec", {}).get("rules") or ()):
        for place, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            yield (number, place), str((path["backend"].get("service") or {}).get("name", ""))
