"""The real Kubernetes that other tests stand on does what they take for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support import kube_pods
from tests.support.envoy_process import SERVED_BY, EnvoyProcess, running_envoy
from tests.support.kube_api import KubeApi, until
from tests.support.kube_process import Child
from tests.support.kube_shop import CANARY, STABLE, autoscaler, deployment, open_shop, route, set_weights, until_ready
from tests.support.kube_throttle import throttled
from tests.support.kube_users import token_of
from tests.support.kube_world import Namespace
from tests.support.prometheus_process import running_prometheus
from tests.support.route_gateway import RouteGateway, running_gateway

pytestmark = pytest.mark.real

CLUSTERS = {STABLE: "stable", CANARY: "canary"}


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Silence."""


@contextmanager
def hello() -> Iterator[str]:
    """The base URL of a server that answers 200 to everything."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def envoy() -> Iterator[EnvoyProcess]:
    with hello() as stable, hello() as canary, running_envoy({"stable": [stable], "canary": [canary]}) as envoy:
        yield envoy


@pytest.fixture
def edge(kube: Namespace, envoy: EnvoyProcess) -> Iterator[RouteGateway]:
    """A gateway over the route `checkout`."""
    kube.world.install("gateway-api")
    kube.api.apply(route())
    with running_gateway(kube, envoy, CLUSTERS) as gateway:
        yield gateway


def served(envoy: EnvoyProcess, requests: int = 100) -> Counter[str]:
    with httpx.Client(base_url=envoy.url, trust_env=False) as http:
        return Counter(http.get("/").headers[SERVED_BY] for _ in range(requests))


@contextmanager
def killed(child: Child) -> Iterator[None]:
    child.kill()
    try:
        yield
    finally:
        child.start()


def conditions(kube: Namespace) -> set[tuple[str, str, bool]]:
    """(type, status, of this generation)."""
    found = kube.api.get("HTTPRoute", "checkout")
    return {
        (one["type"], one["status"], one["observedGeneration"] == found["metadata"]["generation"])
        for parent in found["status"]["parents"]
        for one in parent["conditions"]
    }


YES = {("Accepted", "True", True), ("ResolvedRefs", "True", True)}

# --- users


def test_a_plain_user_may_do_what_was_granted_and_nothing_else(kube: Namespace) -> None:
    mine = kube.world.api("rbac-0").within(kube.name)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mine.ask("GET", mine.path("ConfigMap"))
    kube.grant("rbac-0", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]})
    until(lambda: mine.list_of("ConfigMap") == [])
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        mine.list_of("Secret")


def test_a_kubeconfig_logs_in_by_token_plugin_or_not_at_all(kube: Namespace) -> None:
    def whoami(config: object) -> str:
        environment = {**kube.world.environment(), "KUBECONFIG": str(config)}
        command = ["kubectl", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout or done.stderr

    assert whoami(kube.kubeconfig("rbac-3")) == "rbac-3"
    by_plugin, login = kube.world.exec_kubeconfig("rbac-4")
    assert whoami(by_plugin) == "rbac-4"
    assert login.calls == 1
    login.say(token_of("rbac-5"))
    assert whoami(by_plugin) == "rbac-5"
    assert "Unauthorized" in whoami(kube.world.expired_kubeconfig())
    token = kube.world.service_account_token(kube.name, "robot")
    assert whoami(kube.world.kubeconfig_with({"token": token})) == f"system:serviceaccount:{kube.name}:robot"


def test_a_throttled_user_is_told_so(kube: Namespace) -> None:
    mine = kube.world.api("rbac-6")
    with throttled(kube, "rbac-6"):
        answer = mine.http.get("/api/v1/namespaces")
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        kube.api.list_of("ConfigMap")
    assert mine.http.get("/api/v1/namespaces").status_code == 403


def test_a_token_that_was_renewed_is_no_longer_taken(own_kube: Namespace) -> None:
    world = own_kube.world
    old = world.api("rbac-0")
    new = KubeApi.connect(world.url, world.ca, world.renew_token("rbac-0"))
    assert [one.http.get("/api/v1/namespaces").status_code for one in (old, new)] == [401, 403]
    new.close()


# --- what is known


def test_the_released_definitions_take_what_people_write(kube: Namespace) -> None:
    kube.world.install("gateway-api", "istio", "argo-rollouts", "flagger")
    http = [{"name": "main", "route": [{"destination": {"host": STABLE}, "weight": 100}]}]
    virtual = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "checkout"}}
    kube.api.apply(route(), route(kind="GRPCRoute"), {**virtual, "spec": {"hosts": ["checkout"], "http": http}})
    assert kube.api.get("VirtualService", "checkout")["spec"]["http"][0]["route"][0]["weight"] == 100
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        kube.api.apply(route(canary=-1))


# --- pods


def test_pods_become_ready_or_do_as_they_are_told(kube: Namespace) -> None:
    kube.world.run_workloads()
    kube.world.install("gateway-api")
    open_shop(kube)
    pods = kube.api.list_of("Pod", "track=canary")
    assert {pod["status"]["containerStatuses"][0]["image"] for pod in pods} == {"registry.example/checkout:v1.1.0"}

    kube_pods.kill_once(kube.api, "track=stable")
    ended = [pod["status"]["containerStatuses"][0] for pod in kube.api.list_of("Pod", "track=stable")]
    assert [(one["restartCount"], one["lastState"]["terminated"]["reason"]) for one in ended] == [(1, "OOMKilled")] * 2

    kube_pods.behave(kube.api, "track=canary", "crashing")
    until(lambda: not kube.api.get("Deployment", CANARY)["status"].get("readyReplicas"))
    kube_pods.behave(kube.api, "track=canary", "")
    until_ready(kube, CANARY, 2)
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] for pod in kube.api.list_of("Pod", "track=canary"))


@pytest.mark.parametrize("behaviour", ["never-ready", "image-pull"])
def test_a_new_template_that_never_becomes_ready_can_be_mended(kube: Namespace, behaviour: kube_pods.Behaviour) -> None:
    kube.world.run_workloads()
    kube.api.apply(deployment(CANARY, behaviour=behaviour))
    until(lambda: ["containerStatuses" in pod["status"] for pod in kube.api.list_of("Pod")] == [True, True])
    assert not any(kube_pods.is_ready(pod) for pod in kube.api.list_of("Pod"))
    kube_pods.behave(kube.api, "track=canary", "")
    until_ready(kube, CANARY, 2)


def test_an_autoscaler_keeps_its_minimum(kube: Namespace) -> None:
    kube.world.run_workloads()
    kube.api.apply(deployment(STABLE, replicas=1), autoscaler(STABLE, 3, 6))
    until_ready(kube, STABLE, 3)
    kube.api.scale(STABLE, 2)
    until(lambda: kube.api.get("Deployment", STABLE)["spec"]["replicas"] == 3)


# --- routes


def test_the_weights_of_a_route_move_traffic_and_its_status_says_so(
    kube: Namespace, envoy: EnvoyProcess, edge: RouteGateway
) -> None:
    until(lambda: conditions(kube) == YES)
    assert served(envoy) == {"stable": 100}
    set_weights(kube, 0, 1)
    until(lambda: conditions(kube) == YES and edge.moved[-1][1]["canary"] == 1)
    assert served(envoy) == {"canary": 100}
    set_weights(kube, 1, 1)
    until(lambda: conditions(kube) == YES and envoy.weights() == {"stable": 1, "canary": 1})
    assert 50 < served(envoy, 200)["canary"] < 150


def test_a_gateway_refuses_is_deaf_or_gone(kube: Namespace, envoy: EnvoyProcess, edge: RouteGateway) -> None:
    until(lambda: conditions(kube) == YES)
    edge.behave(refused="NotAllowedByListeners")
    set_weights(kube, 0, 100)
    until(lambda: ("Accepted", "False", True) in conditions(kube))
    assert served(envoy) == {"stable": 100}
    edge.behave(deaf=True)
    until(lambda: conditions(kube) == YES)
    assert served(envoy) == {"stable": 100}
    edge.behave()
    until(lambda: envoy.weights() == {"stable": 0, "canary": 100})
    edge.stop()
    set_weights(kube, 100, 0)
    assert ("Accepted", "True", False) in conditions(kube)


def test_an_envoy_that_was_killed_comes_back_with_its_first_weights(envoy: EnvoyProcess) -> None:
    envoy.set_weights({"stable": 0, "canary": 100})
    assert served(envoy) == {"canary": 100}
    with killed(envoy), pytest.raises(httpx.TransportError):
        served(envoy)
    assert served(envoy) == {"stable": 100}


# --- other people's controllers


def test_argo_rollouts_takes_a_rollout_through_its_first_step(kube: Namespace) -> None:
    kube.world.run_argo_rollouts()
    made = deployment("checkout")
    rollout = {**made, "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    rollout["spec"]["strategy"] = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
    kube.api.apply(rollout)
    until(lambda: kube.api.get("Rollout", "checkout")["status"]["phase"] == "Healthy")
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/checkout:v2"
    kube.api.apply(rollout)
    until(lambda: kube.api.get("Rollout", "checkout")["status"]["phase"] == "Paused")
    kube.kubectl("argo", "rollouts", "promote", "checkout")
    until(lambda: kube.api.get("Rollout", "checkout")["status"]["phase"] == "Healthy")


def test_flagger_makes_a_deployment_its_own(kube: Namespace) -> None:
    with running_prometheus({}) as prometheus:
        flagger = kube.world.run_flagger(prometheus.url)
        kube.api.apply(deployment("checkout"))
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
        kube.api.apply(
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "metadata": {"name": "checkout"},
                "spec": {
                    "targetRef": target,
                    "service": {"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "edge"}]},
                    "analysis": {"interval": "1s", "threshold": 5, "maxWeight": 50, "stepWeight": 10},
                },
            }
        )
        until(lambda: kube.api.get("Canary", "checkout")["status"]["phase"] == "Initialized", flagger.tail())


# --- what breaks


def test_a_frozen_server_answers_when_it_is_thawed(own_kube: Namespace) -> None:
    world = own_kube.world
    with ExitStack() as stack:
        world.server.freeze()
        stack.callback(world.server.thaw)
        with pytest.raises(httpx.TimeoutException):
            own_kube.api.http.get("/readyz", timeout=0.5)
    until(lambda: own_kube.api.http.get("/readyz").status_code == 200)


def test_what_was_written_outlives_etcd_and_the_server(own_kube: Namespace) -> None:
    world = own_kube.world
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}}
    own_kube.api.apply(wanted)
    with killed(world.etcd), pytest.raises(httpx.HTTPError):
        own_kube.api.ask("GET", own_kube.api.path("ConfigMap", "kept"), timeout=1)
    until(lambda: own_kube.api.get("ConfigMap", "kept")["data"] == {"a": "b"})
    with killed(world.server), pytest.raises(httpx.TransportError):
        own_kube.api.get("ConfigMap", "kept")
    assert own_kube.api.get("ConfigMap", "kept")["data"] == {"a": "b"}


def test_nothing_outlives_a_test_process_that_is_killed(tmp_path: Path) -> None:
    script = """
import os, pathlib, signal
from tests.support.kube_process import Child
here = pathlib.Path.cwd()
begun = lambda: "begun" in (here / "sleep.log").read_text()
child = Child("sleep", ["sh", "-c", "echo begun; exec sleep 600"], here, begun)
child.start()
child.freeze()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    until(lambda: not _lives(int(done.stdout)))


def _lives(pid: int) -> bool:
    """A dead child whose parent has not asked for its end yet does not live."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
