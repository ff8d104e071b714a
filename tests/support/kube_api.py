"""A plain client of the API server: what tests arrange and look at with. The engine's own is what they test."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

Object = dict[str, Any]
T = TypeVar("T")

WAIT_SECONDS = 60.0
VERSIONS: Mapping[str, str] = {
    **dict.fromkeys(("ConfigMap", "Event", "Namespace", "Node", "Pod", "Secret", "Service", "ServiceAccount"), "v1"),
    **dict.fromkeys(("ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), "apps/v1"),
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "IngressClass": "networking.k8s.io/v1",
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"), "rbac.authorization.k8s.io/v1"),
    **dict.fromkeys(("FlowSchema", "PriorityLevelConfiguration"), "flowcontrol.apiserver.k8s.io/v1"),
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    **dict.fromkeys(("Gateway", "GatewayClass", "GRPCRoute", "HTTPRoute"), "gateway.networking.k8s.io/v1"),
    **dict.fromkeys(("DestinationRule", "VirtualService"), "networking.istio.io/v1"),
    **dict.fromkeys(("AnalysisRun", "AnalysisTemplate", "Experiment", "Rollout"), "argoproj.io/v1alpha1"),
    **dict.fromkeys(("AlertProvider", "Canary", "MetricTemplate"), "flagger.app/v1beta1"),
}
"""The version that a kind is asked in when only its name is given."""
PATCHES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Watch:
    """What happens to the objects of a kind."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[Object]:
        """{"type", "object"} each. Raises httpx.HTTPError when the connection breaks."""
        return (json.loads(line) for line in self._answer.iter_lines() if line)

    def hang_up(self) -> None:
        """From another thread: whoever waits for the next event waits no longer."""
        line: socket.socket = self._answer.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            # Not through TLS, which would send a farewell while the other thread reads.
            socket.socket.shutdown(line, socket.SHUT_RDWR)


class KubeApi:
    """One user's view of one server, by kind and name; `namespace` is where what has one is looked for."""

    def __init__(self, http: httpx.Client, namespace: str = "default") -> None:
        self.http, self.namespace = http, namespace
        self._paths: dict[tuple[str, str], tuple[str, bool]] = {}

    @classmethod
    def connect(cls, url: str, ca: Path, token: str, timeout: float = 30) -> KubeApi:
        """A connection of its own, kept alive; `timeout` in seconds holds for each request."""
        return cls(
            httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {token}", "User-Agent": "kube-tests"},
                verify=ssl.create_default_context(cafile=str(ca)),
                timeout=timeout,
                trust_env=False,
            )
        )

    def within(self, namespace: str) -> KubeApi:
        """The same connection, another namespace."""
        return KubeApi(self.http, namespace)

    # --- one object

    def get(self, kind: str, name: str) -> Object:
        """Raises httpx.HTTPStatusError, 404 when it isn't there."""
        return self.ask("GET", self.path(kind, name))

    def find(self, kind: str, name: str) -> Object | None:
        """None when it isn't there."""
        answer = self.http.get(self.path(kind, name))
        return None if answer.status_code == 404 else _object(answer)

    def list_of(self, kind: str, labels: str = "") -> list[Object]:
        """Those of the namespace that a label selector finds."""
        found: list[Object] = self.ask("GET", self.path(kind), params={"labelSelector": labels})["items"]
        return found

    def apply(self, *wanted: Object | str, manager: str = "kube-tests") -> list[Object]:
        """Server-side apply, by force, of objects or of YAML with several; nothing else of them is changed."""
        return [self._apply(one, manager) for one in _objects(wanted)]

    def patch(
        self,
        kind: str,
        name: str,
        change: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        style: str = "merge",
        subresource: str = "",
        manager: str = "kube-tests",
    ) -> Object:
        """`style` is merge, json (a list of operations), strategic or apply."""
        path = self.path(kind, name) + (f"/{subresource}" if subresource else "")
        headers = {"Content-Type": PATCHES[style]}
        return self.ask("PATCH", path, content=json.dumps(change), headers=headers, params={"fieldManager": manager})

    def delete(self, kind: str, name: str) -> None:
        """Harmless when it isn't there."""
        answer = self.http.delete(self.path(kind, name), params={"propagationPolicy": "Background"})
        if answer.status_code != 404:
            answer.raise_for_status()

    def scale(self, name: str, replicas: int, kind: str = "Deployment") -> None:
        """Through the object itself, as `kubectl scale` would."""
        self.patch(kind, name, {"spec": {"replicas": replicas}})

    # --- anything

    def ask(self, method: str, path: str, **said: Any) -> Object:
        """One request; the answer's JSON. Raises httpx.HTTPStatusError with what the server says."""
        return _object(self.http.request(method, path, **said))

    def path(self, kind: str, name: str = "", version: str = "") -> str:
        """Where objects of a kind are, in the namespace when they have one."""
        version = version or VERSIONS[kind]
        if (version, kind) not in self._paths:
            self._discover(version)
        plural, namespaced = self._paths[version, kind]
        inside = f"/namespaces/{self.namespace}" if namespaced else ""
        return _root(version) + inside + f"/{plural}" + (f"/{name}" if name else "")

    @contextmanager
    def watch(self, kind: str, since: str = "") -> Iterator[Watch]:
        """The server's events as they come, from a resourceVersion on; they end when the connection does."""
        params = {"watch": "1", "resourceVersion": since}
        timeout = httpx.Timeout(30, read=None)
        with self.http.stream("GET", self.path(kind), params=params, timeout=timeout) as answer:
            answer.raise_for_status()
            yield Watch(answer)

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def _apply(self, wanted: Object, manager: str) -> Object:
        meta = wanted["metadata"]
        where = self.within(meta["namespace"]) if meta.get("namespace", self.namespace) != self.namespace else self
        path = where.path(wanted["kind"], meta["name"], wanted["apiVersion"])
        params = {"fieldManager": manager, "force": "true"}
        body = json.dumps(wanted)
        return self.ask("PATCH", path, content=body, headers={"Content-Type": PATCHES["apply"]}, params=params)

    def _discover(self, version: str) -> None:
        for one in self.ask("GET", _root(version))["resources"]:
            if "/" not in one["name"]:
                self._paths[version, one["kind"]] = one["name"], one["namespaced"]


def until(holds: Callable[[], T], what: str = "", seconds: float = WAIT_SECONDS) -> T:
    """Ask again and again until it gives something true, and return that; refusals and gaps count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        found, why = _look(holds)
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or holds} ({why})"
        time.sleep(0.05)


async def eventually(holds: Callable[[], T], what: str = "", seconds: float = WAIT_SECONDS) -> T:
    """`until` in a thread, for tests whose loop must go on meanwhile."""
    return await asyncio.to_thread(until, holds, what, seconds)


def _look(holds: Callable[[], T]) -> tuple[T | None, str]:
    try:
        found = holds()
        return found, f"got {str(found)[:500]}"
    except (httpx.HTTPError, KeyError, IndexError, TypeError) as error:
        return None, f"{type(error).__name__}: {error}"


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _object(answer: httpx.Response) -> Object:
    if answer.is_error:
        request = answer.request
        raise httpx.HTTPStatusError(
            f"{request.method} {request.url}: {answer.status_code} {answer.text[:1000]}",
            request=request,
            response=answer,
        )
    found: Object = answer.json()
    return found


def _objects(wanted: Sequence[Object | str]) -> Iterator[Object]:
    for one in wanted:
        if isinstance(one, str):
            yield from (found for found in yaml.load_all(one, yaml.CSafeLoader) if found)
        else:
            yield one
