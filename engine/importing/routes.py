"""An HTTPRoute, or a Deployment behind a Service, as a draft for the router gateway_api; what is missing too. Pure.

Source: https://gateway-api.sigs.k8s.io/reference/spec/ (v1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.importing.argo import PROMETHEUS
from engine.importing.draft import Draft, ImportingError, Object, Part, service_name
from engine.importing.manifests import as_yaml, canary_deployment, canary_service, of_both, with_both
from engine.kube.owners import mover


@dataclass(frozen=True, slots=True)
class Shop:
    """What a namespace has: its routes, Services, Deployments and Gateways."""

    routes: Sequence[Object]
    services: Sequence[Object]
    deployments: Sequence[Object]
    gateways: Sequence[Object]

    def deployment(self, name: str) -> Object | None:
        """The Deployment of this name, if it is there."""
        return _named(self.deployments, name)

    def service(self, name: str) -> Object | None:
        """The Service of this name, if it is there."""
        return _named(self.services, name)

    def behind(self, service: Object) -> Object | None:
        """The Deployment whose pods a Service selects, if it is one."""
        selector = service["spec"].get("selector") or {}
        found = [one for one in self.deployments if selector and selector.items() <= _pod_labels(one).items()]
        return found[0] if len(found) == 1 else None

    def before(self, deployment: Object) -> list[Object]:
        """The Services that select a Deployment's pods."""
        labels = _pod_labels(deployment).items()
        return [
            one for one in self.services if one["spec"].get("selector") and one["spec"]["selector"].items() <= labels
        ]


def draft_of_route(route: Object, shop: Shop, keys: Mapping[str, Any]) -> Draft:
    """The first rule with two backends, else the first with one. Raises ImportingError."""
    name = route["metadata"]["name"]
    owner = mover(route)
    if owner:
        raise ImportingError(f"HTTPRoute {name} is moved by {owner}: import that, by --from rollout/... or canary/...")
    rule, backends = _rule(route)
    stable = max(backends, key=lambda one: int(one.get("weight", 1)))
    others = [one["name"] for one in backends if one is not stable]
    draft = _draft(name, f"HTTPRoute {name}", stable["name"], others[0] if others else f"{stable['name']}-canary", keys)
    rules = [_rule_names(one) for one in route["spec"]["rules"]]
    several = rules.count(_rule_names(rule)) > 1
    if rule.get("name"):
        draft.router = Part(draft.router.kind, {**draft.router.keys, "rule": rule["name"]})
    elif several:
        draft.notes.append("router: several rules have these backends; name the rule in the route, then here as `rule`")
    if not others:
        whole = with_both(route, rule, draft.router.keys["canary"])
        draft.files["httproute.yaml"] = as_yaml(
            whole, "the route with the canary's Service beside stable's, at weight 0"
        )
    _missing(draft, shop)
    return draft


def draft_of_deployment(deployment: Object, shop: Shop, keys: Mapping[str, Any]) -> Draft:
    """By the route over its Service, else with a route of its own as a file. Raises ImportingError."""
    name = deployment["metadata"]["name"]
    services = [one["metadata"]["name"] for one in shop.before(deployment)]
    if not services:
        raise ImportingError(f"no Service selects the pods of Deployment {name}, and traffic moves between Services")
    for route in shop.routes:
        if any(one["name"] in services for rule in route["spec"].get("rules") or () for one in _services(rule)):
            draft = draft_of_route(route, shop, keys)
            draft.origin = f"Deployment {name} and {draft.origin}"
            return draft
    draft = _draft(services[0], f"Deployment {name}", services[0], f"{services[0]}-canary", keys)
    service = shop.service(services[0])
    assert service is not None
    gateways = [one["metadata"]["name"] for one in shop.gateways]
    text = as_yaml(of_both(service, draft.router.keys["canary"], gateways[:1]), "the route that laneshift moves")
    draft.files["httproute.yaml"] = text
    if len(gateways) != 1:
        found = ", ".join(gateways) or "none in this namespace"
        draft.notes.append(f"k8s/httproute.yaml: name your Gateway in parentRefs (found: {found})")
    _missing(draft, shop)
    return draft


def _draft(route: str, origin: str, stable: str, canary: str, keys: Mapping[str, Any]) -> Draft:
    router = Part("gateway_api", {**keys, "route": route, "stable": stable, "canary": canary})
    return Draft(service_name(stable.removesuffix("-stable")), router, Part("prometheus", {"url": PROMETHEUS}), origin)


def _missing(draft: Draft, shop: Shop) -> None:
    """The canary's Deployment and Service, copied from stable's, where they are not there."""
    stable, canary = shop.service(draft.router.keys["stable"]), draft.router.keys["canary"]
    if stable is None:
        draft.notes.append(f"Service {draft.router.keys['stable']} is not there: nothing could be copied from it")
        return
    if shop.service(canary) is not None:
        return
    workload = shop.behind(stable)
    if workload is None:
        draft.notes.append("stable's Service selects the pods of no single Deployment: write the canary's yourself")
        return
    draft.files["canary-service.yaml"] = as_yaml(canary_service(stable, workload, canary), "the canary's Service")
    if shop.deployment(canary) is None:
        made = canary_deployment(stable, workload, canary)
        draft.files["canary-deployment.yaml"] = as_yaml(made, "a copy of stable; give it the new version")


def _rule(route: Object) -> tuple[Object, list[Object]]:
    rules = [(rule, _services(rule)) for rule in route["spec"].get("rules") or ()]
    for wanted in (2, 1):
        for rule, backends in rules:
            if len(backends) == wanted:
                return rule, backends
    raise ImportingError(f"HTTPRoute {route['metadata']['name']} has no rule with one or two Services")


def _services(rule: Object) -> list[Object]:
    return [one for one in rule.get("backendRefs") or () if one.get("kind", "Service") == "Service"]


def _rule_names(rule: Object) -> frozenset[str]:
    return frozenset(one["name"] for one in _services(rule))


def _pod_labels(deployment: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = deployment["spec"]["template"]["metadata"].get("labels") or {}
    return labels


def _named(items: Sequence[Object], name: str) -> Object | None:
    return next((one for one in items if one["metadata"]["name"] == name), None)
