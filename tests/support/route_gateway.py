"""A small gateway: it copies the weights of a namespace's routes into Envoy and says in their status that it did.

It works in a thread of its own, so that a test's event loop goes on. It can be told to refuse, to be slow, to lie, or
to stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from tests.support.envoy_process import EnvoyProcess
from tests.support.kube_api import KubeApi, Object, Watch
from tests.support.kube_world import Namespace

CONTROLLER = "kube-tests.example/gateway"
_PATIENCE = 5.0


@dataclass(frozen=True)
class Manners:
    """How the gateway takes routes: `refused` and `unresolved` are reasons, for Accepted and ResolvedRefs not True, and
    move nothing; `delay` is in seconds, before anything; a `deaf` one says yes and moves nothing."""

    refused: str = ""
    unresolved: str = ""
    delay: float = 0.0
    deaf: bool = False


class RouteGateway:
    """`clusters`: Envoy's, by Service. `moved`: (seconds since 1970, weights by cluster) at each move."""

    def __init__(
        self, api: KubeApi, envoy: EnvoyProcess | None, clusters: Mapping[str, str], kind: str = "HTTPRoute"
    ) -> None:
        self.moved: list[tuple[float, dict[str, int]]] = []
        self._api, self._envoy, self._clusters, self._kind = api, envoy, clusters, kind
        self._manners = Manners()
        self._watch: Watch | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="route-gateway", daemon=True)

    def start(self) -> None:
        """Begin; routes that are there already are taken as well."""
        self._thread.start()

    def stop(self) -> None:
        """End; what Envoy was told last stays in effect. Harmless when it has ended."""
        self._ended.set()
        self._wake()
        self._thread.join(3 * _PATIENCE)
        assert not self._thread.is_alive(), "the gateway does not end"

    def behave(self, **manners: str | float | bool) -> None:
        """From now on like this, also towards the routes that are there: what isn't named is as it should be."""
        self._manners = replace(Manners(), **manners)  # type: ignore[arg-type]  # the fields' own types are checked there
        self._wake()

    def _wake(self) -> None:
        if self._watch is not None:
            self._watch.hang_up()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except httpx.HTTPError:
                self._ended.wait(0.05)
        self._api.close()

    def _follow(self) -> None:
        found = self._api.ask("GET", self._api.path(self._kind))
        for route in found["items"]:
            self._take({**route, "kind": self._kind})
        with self._api.watch(self._kind, found["metadata"]["resourceVersion"]) as self._watch:
            for event in self._watch:
                if event["type"] == "ERROR" or self._ended.is_set():
                    return
                if event["type"] != "DELETED":
                    self._take(event["object"])

    def _take(self, route: Object) -> None:
        manners = self._manners
        self._ended.wait(manners.delay)
        if not (manners.refused or manners.unresolved or manners.deaf):
            self._move(route)
        self._say(route, manners)

    def _move(self, route: Object) -> None:
        wanted = self._weights(route)
        if wanted and (not self.moved or self.moved[-1][1] != wanted):
            if self._envoy is not None:
                self._envoy.set_weights(wanted)
            self.moved.append((time.time(), wanted))

    def _weights(self, route: Object) -> dict[str, int]:
        """Of the first rule that has one of the Services."""
        for rule in route["spec"].get("rules", []):
            backends = {one["name"]: one.get("weight", 1) for one in rule.get("backendRefs", [])}
            if not self._clusters.keys().isdisjoint(backends):
                return {cluster: backends.get(service, 0) for service, cluster in self._clusters.items()}
        return {}

    def _say(self, route: Object, manners: Manners) -> None:
        said = [
            _condition(route, "Accepted", manners.refused, "Accepted"),
            _condition(route, "ResolvedRefs", manners.unresolved, "ResolvedRefs"),
        ]
        known = route.get("status", {}).get("parents", [])
        if [_essence(one) for parent in known for one in parent["conditions"]] == [
            _essence(one) for _ in route["spec"].get("parentRefs", []) for one in said
        ]:
            return
        parents = [
            {"parentRef": parent, "controllerName": CONTROLLER, "conditions": said}
            for parent in route["spec"].get("parentRefs", [])
        ]
        name, status = route["metadata"]["name"], {"status": {"parents": parents}}
        try:
            self._api.patch(self._kind, name, status, subresource="status", manager="test-gateway")
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:  # deleted meanwhile
                raise


@contextmanager
def running_gateway(
    kube: Namespace, envoy: EnvoyProcess | None, clusters: Mapping[str, str], kind: str = "HTTPRoute"
) -> Iterator[RouteGateway]:
    """A gateway over a namespace's routes for as long as the block lasts; without Envoy it sets conditions only."""
    gateway = RouteGateway(kube.world.connect(timeout=_PATIENCE).within(kube.name), envoy, clusters, kind)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def _condition(route: Object, kind: str, fault: str, reason: str) -> Object:
    return {
        "type": kind,
        "status": "False" if fault else "True",
        "reason": fault or reason,
        "message": "",
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _essence(condition: Object) -> tuple[str, ...]:
    return tuple(str(condition.get(key)) for key in ("type", "status", "reason", "observedGeneration"))
