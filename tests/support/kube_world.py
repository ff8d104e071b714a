"""A real Kubernetes for tests: etcd, the API server, and what a test asks for of controllers, all gone at the end.

    def test_it(kube: Namespace) -> None:       # the process' own world, a namespace of the test's own
        kube.world.install("gateway-api")
        kube.api.apply(...)

A test that stops or breaks the server takes `own_kube` instead: a world of its own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support import kube_pods, kube_users
from tests.support.kube_api import KubeApi, until
from tests.support.kube_process import Child, free_port, listens
from tests.support.kube_programs import need_kube
from tests.support.kube_users import ADMIN, CONTROLLERS, EXPIRED, ExecLogin

ISSUER = "https://kubernetes.default.svc"
_WORKLOAD_CONTROLLERS = (
    *("deployment", "replicaset", "statefulset", "job", "horizontal-pod-autoscaler", "disruption"),
    *("endpointslice", "namespace", "garbage-collector", "clusterrole-aggregation", "serviceaccount"),
)


class KubeWorld:
    """One cluster. etcd and the API server run from `start` on; `url`, `ca` and `bin` are there before that.

    `etcd` and `server` are children that a test may freeze, thaw, kill, stop and start; so are those of `children`.
    """

    def __init__(self, programs: Path, directory: Path) -> None:
        self.programs, self.directory, self.bin = programs, directory, programs / "bin"
        self.etcd = self._etcd()
        self.server = self._server()
        self.children: dict[str, Child] = {}
        self._apis: dict[str, KubeApi] = {}
        self._numbers = itertools.count()
        self._arranging = threading.RLock()
        self._installed: set[str] = set()
        self._renewed: dict[str, str] = {}

    # --- life

    def start(self) -> None:
        """Start etcd and the API server and wait until it answers."""
        self.etcd.start(wait=False)
        self.server.start()
        until(lambda: self.api().get("Namespace", "default"))

    def stop(self) -> None:
        """End everything."""
        for child in (*reversed(self.children.values()), self.server, self.etcd):
            if child.running:
                child.kill()
        for api in self._apis.values():
            api.close()

    def install(self, *definitions: str) -> None:
        """The released CRDs of gateway-api, istio, argo-rollouts or flagger. Harmless when they are there."""
        with self._arranging:
            for name in definitions:
                if name not in self._installed:
                    self._install(name)
                    self._installed.add(name)

    # --- who asks

    def api(self, user: str = ADMIN) -> KubeApi:
        """A user's connection: `admin`, or one of `rbac-0` to `rbac-9`."""
        if user not in self._apis:
            self._apis[user] = self.connect(user)
        return self._apis[user]

    def connect(self, user: str = ADMIN, timeout: float = 30) -> KubeApi:
        """A connection that nobody else uses; close it."""
        return KubeApi.connect(self.url, self.ca, kube_users.token_of(user), timeout)

    def kubeconfig(self, user: str = ADMIN, namespace: str = "default") -> Path:
        """A file with this user's token."""
        return self.kubeconfig_with({"token": kube_users.token_of(user)}, namespace, user)

    def expired_kubeconfig(self, namespace: str = "default") -> Path:
        """A file whose token the server refuses with 401."""
        return self.kubeconfig_with({"token": EXPIRED}, namespace)

    def exec_kubeconfig(self, user: str = ADMIN, namespace: str = "default") -> tuple[Path, ExecLogin]:
        """A file that logs in by a plugin, and the plugin: what it says can be changed, its calls are counted."""
        login = ExecLogin(Path(tempfile.mkdtemp(prefix="login-", dir=self.directory)))
        login.say(kube_users.token_of(user))
        return self.kubeconfig_with(login.login(), namespace, user), login

    def kubeconfig_with(self, login: dict[str, Any], namespace: str = "default", user: str = "user") -> Path:
        """A file with anything under `user`."""
        path = self.directory / f"kubeconfig-{next(self._numbers)}"
        path.write_text(kube_users.kubeconfig(self.url, self.ca, login, namespace, user))
        path.chmod(0o600)
        return path

    def service_account_token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A real token that ends, of a service account that is made when it isn't there; 600 s at least.

        It is refused 10 s after its account is deleted, for as long the server remembers a token.
        """
        api = self.api().within(namespace)
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        token: str = api.ask("POST", api.path("ServiceAccount", name) + "/token", json=asked)["status"]["token"]
        return token

    def renew_token(self, user: str) -> str:
        """Restart the server with a new token for this user, which is returned; the old one is refused with 401."""
        self._renewed[user] = f"{kube_users.token_of(user)}-{next(self._numbers)}"
        (self.directory / "tokens.csv").write_text(kube_users.token_lines(self._renewed))
        self.server.stop()
        self.server.start()
        return self._renewed[user]

    def environment(self, user: str = ADMIN, namespace: str = "default") -> dict[str, str]:
        """The environment of a shell of this user's: kubectl is on its PATH and finds its cluster."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        cache = str(
            self.directory / "kubectl-cache"
        )  # in the home it would outlive this server and be taken for another's
        config = str(self.kubeconfig(user, namespace))
        return {**os.environ, "PATH": path, "KUBECONFIG": config, "KUBECACHEDIR": cache}

    def kubectl(self, *arguments: str, user: str = ADMIN, namespace: str = "default", stdin: str = "") -> str:
        """What it prints; fails with what it says when it fails."""
        done = subprocess.run(
            ["kubectl", *arguments],
            env=self.environment(user, namespace),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    # --- controllers, each started once, by the first who asks

    def run_workloads(self) -> None:
        """Deployments make pods, which become ready on a node of kwok's as their annotation says (kube_pods)."""
        with self._arranging:
            if "kwok" in self.children:
                return
            config = str(self.kubeconfig(CONTROLLERS))
            self.api().apply(kube_pods.NODE)
            self._run("kube-controller-manager", *_controller_manager(config, self.directory / "sa.key"))
            quick = ("--kube-api-qps=200", "--kube-api-burst=400")
            self._run("kube-scheduler", f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0", *quick)
            self._run(
                "kwok",
                f"--kubeconfig={config}",
                f"--config={kube_pods.STAGES}",
                "--manage-all-nodes",
                "--cidr=10.1.0.0/16",
            )
            until(lambda: kube_pods.is_ready(self.api().get("Node", kube_pods.NODE["metadata"]["name"])))

    def run_argo_rollouts(self) -> Child:
        """The real controller, with its CRDs and workloads."""
        self.run_workloads()
        self.install("argo-rollouts")
        metrics, health = free_port(), free_port()
        config = f"--kubeconfig={self.kubeconfig(CONTROLLERS)}"
        ports = (f"--metricsPort={metrics}", f"--healthzPort={health}")
        with self._arranging:
            return self._run("rollouts-controller", config, "--leader-elect=false", *ports, port=health)

    def run_flagger(self, prometheus: str, *arguments: str) -> Child:
        """The real controller for Gateway API routes, with its CRDs and workloads; `prometheus` must answer.

        Called again it is another one, for another Prometheus.
        """
        self.run_workloads()
        self.install("gateway-api", "flagger")
        port = free_port()
        config = f"-kubeconfig={self.kubeconfig(CONTROLLERS)}"
        with self._arranging:
            if (old := self.children.pop("flagger", None)) is not None:
                old.kill()
            return self._run(
                "flagger",
                config,
                "-mesh-provider=gatewayapi:v1",
                f"-metrics-server={prometheus}",
                "-control-loop-interval=1s",
                f"-port={port}",
                *arguments,
                port=port,
            )

    # --- parts

    def _run(self, name: str, *arguments: str, port: int = 0) -> Child:
        if name not in self.children:
            command = [str(self.bin / name), *arguments]
            self.children[name] = Child(name, command, self.directory, lambda: not port or listens(port))
            self.children[name].start()
        return self.children[name]

    def _install(self, name: str) -> None:
        api = self.api()
        for path in sorted((self.programs / "crds" / name).glob("*.yaml")):
            for wanted in yaml.load_all(path.read_text(), yaml.CSafeLoader):
                if wanted and wanted["kind"] == "CustomResourceDefinition":
                    api.apply(wanted)
        until(lambda: all(_established(one) for one in api.list_of("CustomResourceDefinition")))

    def _etcd(self) -> Child:
        client, peer = free_port(), free_port()
        self._etcd_url = f"http://127.0.0.1:{client}"
        command = [
            *(str(self.bin / "etcd"), "--unsafe-no-fsync", f"--data-dir={self.directory / 'etcd'}"),
            *(f"--listen-client-urls={self._etcd_url}", f"--advertise-client-urls={self._etcd_url}"),
            *(f"--listen-peer-urls=http://127.0.0.1:{peer}", "--log-level=warn"),
        ]
        return Child("etcd", command, self.directory, lambda: listens(client))

    def _server(self) -> Child:
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self.ca = self.directory / "certificates" / "apiserver.crt"
        private, public = self.directory / "sa.key", self.directory / "sa.pub"
        _openssl("genrsa", "-out", str(private), "2048")
        _openssl("rsa", "-in", str(private), "-pubout", "-out", str(public))
        (self.directory / "tokens.csv").write_text(kube_users.token_lines({}))
        command = [
            *(str(self.bin / "kube-apiserver"), f"--etcd-servers={self._etcd_url}", "--bind-address=127.0.0.1"),
            *(f"--secure-port={port}", f"--cert-dir={self.ca.parent}", f"--service-account-issuer={ISSUER}"),
            *(f"--service-account-key-file={public}", f"--service-account-signing-key-file={private}"),
            *(f"--token-auth-file={self.directory / 'tokens.csv'}", "--authorization-mode=RBAC"),
            *("--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none"),
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        ]
        return Child("kube-apiserver", command, self.directory, self._answers)

    def _answers(self) -> bool:
        try:
            return self.ca.exists() and self.api().http.get("/readyz").status_code == 200
        except (httpx.HTTPError, ssl.SSLError):  # its certificate may be half written
            return False


@dataclass
class Namespace:
    """A namespace of one test, and the world it is in."""

    world: KubeWorld
    name: str
    api: KubeApi

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A file with this user's token, for this namespace."""
        return self.world.kubeconfig(user, self.name)

    def kubectl(self, *arguments: str, user: str = ADMIN, stdin: str = "") -> str:
        """kubectl in this namespace."""
        return self.world.kubectl(*arguments, user=user, namespace=self.name, stdin=stdin)

    def grant(self, user: str, *rules: dict[str, Any]) -> None:
        """Allow a user this much here, and no more than that: {"apiGroups", "resources", "verbs"} each."""
        name = f"granted-{user}"
        self.api.apply(kube_users.role(name, *rules), kube_users.binding(name, user))


@contextmanager
def running_world() -> Iterator[KubeWorld]:
    """A cluster for as long as the block lasts."""
    programs = need_kube()
    directory = Path(tempfile.mkdtemp(prefix="kube-"))
    world = KubeWorld(programs, directory)
    try:
        world.start()
        yield world
    finally:
        world.stop()
        shutil.rmtree(directory, ignore_errors=True)


def new_namespace(world: KubeWorld) -> Namespace:
    """An empty one."""
    name = f"test-{os.urandom(4).hex()}"
    world.api().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return Namespace(world, name, world.api().within(name))


def _controller_manager(config: str, key: Path) -> list[str]:
    return [
        *(f"--kubeconfig={config}", f"--service-account-private-key-file={key}", "--leader-elect=false"),
        *("--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400"),
        "--horizontal-pod-autoscaler-sync-period=1s",
        f"--controllers={','.join(f'{name}-controller' for name in _WORKLOAD_CONTROLLERS)}",
    ]


def _established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions", [])
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
