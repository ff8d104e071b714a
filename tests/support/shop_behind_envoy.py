"""The sandbox's shop as people run one: Envoy in front, its weights in a route of a real API server, Prometheus behind.

traffic -> Envoy -> shop-a (checkout-stable), shop-b (checkout-canary) <- Prometheus <- laneshift -> the route
             ^------------------- a small gateway copies the route's weights ----------------------------|
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from engine.client import EngineGone
from engine.routers.gateway_api import GatewayApiRouter
from engine.routers.kube_config import GatewayApiConfig
from engine.script import script_path
from sandbox import process as sandbox_process
from tests.support.engine_process import EngineStand
from tests.support.envoy_process import EnvoyProcess, running_envoy
from tests.support.kube_api import KubeApi, Object, until
from tests.support.kube_process import free_port, listens
from tests.support.kube_shop import APP, CANARY, STABLE, deployment, open_shop, route, set_weights, until_ready, weights
from tests.support.kube_world import KubeWorld, Namespace, new_namespace, running_world
from tests.support.prometheus_process import PrometheusProcess, running_prometheus
from tests.support.route_gateway import RouteGateway, running_gateway

USER = "rbac-1"
"""The user of the engine: what its router says it needs is granted, and no more."""
OLD, NEW = "v1.4.0", "v1.5.0"
SIDES = {STABLE: "shop-a", CANARY: "shop-b"}
RPS = 400
FINAL = ("promoted", "rolled_back", "cancelled")


class Rollouts:
    """Plays what a new template does to the shop: with all pods of a Deployment of it, its side runs its version."""

    def __init__(self, api: KubeApi, admin: str) -> None:
        self._api, self._http = api, httpx.Client(base_url=f"{admin}/admin", timeout=5, trust_env=False)
        self._running: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(15)
        self._http.close()
        self._api.close()

    def runs(self, name: str) -> str:
        """The version of a Deployment that the shop really runs."""
        return self._running.get(name, "")

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            with suppress(httpx.HTTPError, KeyError):
                for each in self._api.list_of("Deployment"):
                    self._follow(each)

    def _follow(self, found: Object) -> None:
        name, status = found["metadata"]["name"], found["status"]
        version = found["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"]
        whole = status["observedGeneration"] == found["metadata"]["generation"] and status.get("replicas", 0) == (
            status.get("updatedReplicas", 0)
        )
        if whole and self._running.get(name) != version:
            self._http.post(f"/backends/{SIDES[name]}", json={"version": version}).raise_for_status()
            self._running[name] = version


@dataclass
class Site(EngineStand):
    """All of it, with an engine in a process of its own."""

    kube: Namespace = field(kw_only=True)
    sandbox: sandbox_process.Running = field(kw_only=True)
    envoy: EnvoyProcess = field(kw_only=True)
    gateway: RouteGateway = field(kw_only=True)
    prometheus: PrometheusProcess = field(kw_only=True)
    rollouts: Rollouts = field(kw_only=True)

    # --- as if nothing had happened

    def fresh(self) -> None:
        """Everything that a test broke works again, no release is under way, all traffic is on stable at v1.4.0."""
        self.mend()
        self.kube.api.apply(route())
        self._end_releases()
        versions = ((STABLE, OLD), (CANARY, NEW))
        self.kube.api.apply(*(deployment(name, version=version) for name, version in versions), route())
        for name, version in versions:
            until_ready(self.kube, name, 2)
            self._until_runs(name, version)
        until(lambda: self.envoy.weights().get("canary", 0) == 0)

    def mend(self) -> None:
        """Servers run, faults are off, the gateway takes routes and the engine may what it needs."""
        server, etcd = self.kube.world.server, self.kube.world.etcd
        whole = server.running and etcd.running
        for child in (etcd, server):
            if child.running:
                child.thaw()
            child.start()
        if not whole:  # the controllers wait long for a server that was gone
            for controller in self.kube.world.children.values():
                controller.kill()
                controller.start()
        self.prometheus.start_again()
        self.gateway.behave()
        self.fault(**dict.fromkeys(self.faults(), False))
        self.grant()
        if self.engine is None or self.engine.poll() is not None:
            self.boot()

    def grant(self, *without: str, user: str = USER) -> None:
        """A user may do all that the engine needs, `without` verbs on the route."""
        self.kube.grant(user, *(rule for rule in _needed(self.kube) if not _is(rule, "httproutes", without)))

    def _end_releases(self) -> None:
        for held in self.client.held():
            kept = held.phase == "promoted" and self.client.look(held.release)["keep_until"]
            if held.phase not in FINAL or kept:  # kept: a route put back would be taken for somebody's roll back
                self.client.give(held.release, "cancel")
                self.client.give(held.release, "rollback")
        try:
            self.until(lambda: all(held.phase in FINAL for held in self.client.held()), 20)
        except AssertionError:
            self._start_over()

    def _start_over(self) -> None:
        """A test that failed has left a release whose way to the server is gone: another journal, another route."""
        self.kill()
        for kept in self.home.glob("journal.db*"):
            kept.unlink()
        self.kube.api.delete("HTTPRoute", APP)
        self.boot()

    # --- the engine and its commands

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`laneshift ARGUMENTS`, as its user types it."""
        command = [sys.executable, "-P", "-m", "cli.main", *arguments]
        return subprocess.run(
            command,
            env={**os.environ, "LANESHIFT_HOME": str(self.home), "USER": "ada"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_script(self) -> subprocess.CompletedProcess[str]:
        """rollback.sh of the release."""
        path = script_path(self.home, self.release)
        environment = self.kube.world.environment(namespace=self.kube.name)
        return subprocess.run(
            ["/bin/sh", str(path)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    # --- the shop

    def weight(self) -> int:
        """Percent on checkout-canary, as the route says."""
        return weights(self.kube)[CANARY]

    def set_weight(self, weight: int) -> None:
        """Somebody moves the traffic past laneshift."""
        set_weights(self.kube, 100 - weight, weight)

    def deploy(self, name: str, version: str) -> None:
        """Somebody deploys a version, and waits until it serves."""
        self.kube.api.apply(deployment(name, version=version))
        until_ready(self.kube, name, 2)
        self._until_runs(name, version)

    def _until_runs(self, name: str, version: str) -> None:
        until(lambda: self.rollouts.runs(name) == version)

    def fault(self, **switches: bool) -> None:
        """Faults of the sandbox by name, _ for -."""
        body = {name.replace("_", "-"): on for name, on in switches.items()}
        self._admin("PUT", "faults", body)

    def faults(self) -> list[str]:
        """Their names."""
        return list(self._admin("GET", "faults")["faults"])

    def traffic(self) -> dict[str, Any]:
        """Who answered, as those who asked saw it (`sandbox.tally`)."""
        return self._admin("GET", "traffic")

    def sent_by_envoy(self) -> dict[str, float]:
        """Requests that Envoy sent to each Service, by its own counters."""
        with httpx.Client(trust_env=False) as http:
            stats = http.get(f"{self.envoy.admin}/stats?filter=upstream_rq_total&format=json").json()["stats"]
        counted = {
            one["name"].split(".")[1]: float(one["value"]) for one in stats if one["name"].startswith("cluster.")
        }
        return {service: counted[cluster] for service, cluster in _CLUSTERS.items()}

    def _admin(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self.sandbox.urls.gateway}/admin/{what}"
        answer: dict[str, Any] = (
            httpx.request(method, url, json=body, timeout=15, trust_env=False).raise_for_status().json()
        )
        return answer


_CLUSTERS = {STABLE: "stable", CANARY: "canary"}


@contextmanager
def running_site() -> Iterator[Site]:
    """A site of its own for as long as the block lasts, its engine started."""
    with ExitStack() as stack:
        world = stack.enter_context(running_world())
        world.install("gateway-api")
        world.run_workloads()
        kube = new_namespace(world)
        open_shop(kube, stable=OLD, canary=NEW)
        base = _base_port()
        envoy = stack.enter_context(running_envoy({"stable": [_url(base + 1)], "canary": [_url(base + 2)]}))
        home = Path(tempfile.mkdtemp(prefix="ls-"))  # a unix socket's path must be short
        stack.callback(shutil.rmtree, home)
        outside = urlsplit(envoy.url).port
        shop = sandbox_process.running(home, base_port=base, rps=RPS, seed=11, outside_gateway=outside)
        sandbox = stack.enter_context(shop)
        gateway = stack.enter_context(running_gateway(kube, envoy, _CLUSTERS))
        jobs = {name: [sandbox.urls.backends[side]] for name, side in SIDES.items()}
        prometheus = stack.enter_context(running_prometheus(jobs))
        api = world.connect(timeout=5).within(kube.name)
        rollouts = stack.enter_context(Rollouts(api, sandbox.urls.gateway))
        site = Site(
            home,
            kube=kube,
            sandbox=sandbox,
            envoy=envoy,
            gateway=gateway,
            prometheus=prometheus,
            rollouts=rollouts,
        )
        stack.callback(_let_go, site)
        yield site


def _let_go(site: Site) -> None:
    """The world may be frozen; the engine goes first."""
    if site.engine is not None:
        with suppress(EngineGone):
            site.client.ask("POST", "/v1/stop")
        site.kill()
    _thawed(site.kube.world)


def _thawed(world: KubeWorld) -> None:
    for child in (world.etcd, world.server):
        if child.running:
            child.thaw()


def _base_port() -> int:
    """Three free ports in a row: the sandbox's own gateway, which serves nobody here, and its two sides."""
    while True:
        base = free_port()
        if not listens(base + 1) and not listens(base + 2):
            return base


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _needed(kube: Namespace) -> list[dict[str, Any]]:
    """What the router says it needs, as rules of a Role."""
    named = {"namespace": kube.name, "route": APP, "stable": STABLE, "canary": CANARY}
    router = GatewayApiRouter(GatewayApiConfig.model_validate(named))
    return [
        {
            "apiGroups": [each.kind.group],
            "resources": [each.kind.plural + (f"/{each.subresource}" if each.subresource else "")],
            "verbs": [each.verb],
        }
        for each in router._permissions()
    ]


def _is(rule: Mapping[str, Any], resource: str, verbs: tuple[str, ...]) -> bool:
    return rule["resources"] == [resource] and rule["verbs"][0] in verbs
