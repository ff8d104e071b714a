"""The doctor on a real cluster with a real Prometheus: one thing broken at a time is the one thing that is bad, and
what it says mends it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from engine.doctor import Place, examine
from engine.finding import Finding
from engine.plan.model import Plan
from tests.support.kube_api import eventually
from tests.support.kube_process import free_port
from tests.support.kube_shop import APP, CANARY, STABLE, open_shop, route
from tests.support.kube_world import KubeWorld, Namespace, new_namespace
from tests.support.prometheus_process import PrometheusProcess, running_prometheus
from tests.support.route_gateway import running_gateway

pytestmark = pytest.mark.real

GRANTED = (
    {
        "apiGroups": ["gateway.networking.k8s.io"],
        "resources": ["httproutes"],
        "verbs": ["get", "list", "watch", "patch"],
    },
    {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
    {
        "apiGroups": ["autoscaling"],
        "resources": ["horizontalpodautoscalers"],
        "verbs": ["get", "list", "watch", "patch"],
    },
)
ERRORS = {
    "total": 'http_requests_total{version="$version"}',
    "bad": 'http_requests_total{version="$version",code=~"5.."}',
    "baseline": "0.1%",
    "alert": "> 5%",
}


class _Counters(BaseHTTPRequestHandler):
    """Stable has served 200 requests a second since it began."""

    begun = time.time()

    def do_GET(self) -> None:
        served = int(200 * (time.time() - self.begun))
        counts = [("200", served), ("503", served // 2000)]
        lines = [f'http_requests_total{{version="v1.0.0",code="{code}"}} {count}' for code, count in counts]
        content = "\n".join(["# TYPE http_requests_total counter", *lines, ""]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_said: Any) -> None: ...


@contextmanager
def counters() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Counters) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusProcess]:
    with counters() as url, running_prometheus({"shop": [url]}) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def kube(kube_world: KubeWorld) -> Iterator[Namespace]:
    """A shop whose route a gateway has taken; tests put right what they break."""
    kube_world.install("gateway-api")
    kube_world.run_workloads()
    kube = new_namespace(kube_world)
    open_shop(kube)
    with running_gateway(kube, None, {STABLE: "stable", CANARY: "canary"}):
        yield kube
    kube_world.api().delete("Namespace", kube.name)


@dataclass
class Ward:
    """A plan for the shop, as one user's engine sees it."""

    kube: Namespace
    plan: dict[str, Any]
    home: Path
    user: str

    async def found(self) -> list[Finding]:
        return await examine(Plan.model_validate(self.plan), Place(self.home, (), {}))

    async def bad(self) -> list[Finding]:
        return [one for one in await self.found() if one.grade == "bad"]

    def run(self, mend: str) -> None:
        """As an administrator pastes it into a shell."""
        done = subprocess.run(
            ["/bin/sh", "-ec", mend],
            env=self.kube.world.environment(namespace=self.kube.name),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{mend}\n{done.stderr}"


@pytest.fixture
async def ward(kube: Namespace, prometheus: PrometheusProcess, tmp_path: Path) -> Ward:
    user = "rbac-8"
    kube.grant(user, *GRANTED)
    for made_by_a_mend in ("RoleBinding", "Role"):
        kube.api.delete(made_by_a_mend, "laneshift")
    at = {"namespace": kube.name, "kubeconfig": str(kube.kubeconfig(user))}
    plan = {
        "service": APP,
        "version": {"canary": "v1.1.0"},
        "router": {"gateway_api": {**at, "route": APP, "stable": STABLE, "canary": CANARY}},
        "source": {"prometheus": {"url": prometheus.url, "interval": "1s"}},
        "stages": [{"weight": 10, "bake": "15m", "min_requests": 1000}, {"weight": 100, "bake": "15m"}],
        "metrics": {"errors": ERRORS},
    }
    ward = Ward(kube, plan, tmp_path, user)
    for _ in range(100):
        if not await ward.bad() and any(one.what == "stage 1, 10%" for one in await ward.found()):
            break
    return ward


async def test_where_all_is_there_nothing_is_bad(ward: Ward):
    found = await ward.found()
    assert [one for one in found if one.grade == "bad"] == []
    told = {one.what: one for one in found}
    assert {"cluster", "credentials", "permissions", "route", "start", "traffic", "rollback.sh"} <= told.keys()
    assert "v1.1.0" in told["start"].said
    assert "requests/s of stable" in told["traffic"].said
    assert "1,000 requests: " in told["stage 1, 10%"].said


async def test_a_missing_route(ward: Ward):
    ward.kube.api.delete("HTTPRoute", APP)
    try:
        bad = await ward.bad()
        assert bad
        assert any("there is no httproute checkout" in one.said for one in bad)
    finally:
        ward.kube.api.apply(route())
    await eventually(lambda: ward.kube.api.get("HTTPRoute", APP)["status"]["parents"])
    assert await ward.bad() == []


async def test_missing_permissions_are_granted_by_what_it_prints(ward: Ward):
    kept = [rule for rule in GRANTED if "httproutes" not in rule["resources"]]
    reading = {**GRANTED[0], "verbs": ["get", "list", "watch"]}
    ward.kube.grant(ward.user, *kept, reading)
    bad = await ward.bad()
    assert [one.what for one in bad] == ["permissions"]
    assert "patch httproutes.gateway.networking.k8s.io" in bad[0].said
    ward.run(bad[0].mend)
    await _eventually_well(ward)


async def test_several_missing_permissions_at_once(ward: Ward):
    ward.kube.grant(ward.user, *GRANTED[:3])
    bad = await ward.bad()
    assert len(bad) >= 2
    for one in bad:
        ward.run(one.mend)
    await _eventually_well(ward)


async def test_no_prometheus(ward: Ward):
    ward.plan["source"] = {"prometheus": {"url": f"http://127.0.0.1:{free_port()}", "interval": "1s"}}
    bad = await ward.bad()
    assert bad
    assert {one.what for one in bad} <= {"source", "prometheus", "traffic"}


async def test_a_selector_that_finds_nothing(ward: Ward):
    ward.plan["metrics"] = {"errors": {**ERRORS, "total": 'http_request_total{version="$version"}'}}
    bad = await ward.bad()
    assert any("errors" in one.what for one in bad), await ward.found()


async def test_a_cluster_that_is_not_there(ward: Ward, tmp_path: Path):
    ward.plan["router"]["gateway_api"]["kubeconfig"] = _elsewhere(ward, tmp_path / "config")
    found = await ward.found()
    assert any(one.what == "cluster" and "can't connect" in one.said for one in found if one.grade == "bad"), found
    assert any(one.what == "source" and "answers" in one.said for one in found)


def _elsewhere(ward: Ward, path: Path) -> str:
    """A kubeconfig of a server that is not there."""
    config = Path(ward.plan["router"]["gateway_api"]["kubeconfig"]).read_text()
    path.write_text(config.replace(ward.kube.world.url, f"https://127.0.0.1:{free_port()}"))
    return str(path)


async def _eventually_well(ward: Ward) -> None:
    """The server's authorizer learns of a role a moment later."""
    for _ in range(20):
        bad = await ward.bad()
        if not bad:
            return
    assert bad == []
