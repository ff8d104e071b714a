"""`laneshift init --from` on a real API server with the released definitions: a plan of what is there, and files that
the server takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.plan.model import Plan, read_plan
from engine.routers.gateway_api import GatewayApiRouter
from tests.support.kube_api import until
from tests.support.kube_shop import APP, CANARY, STABLE, deployment, route, service
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

QUERY = """
sum(rate(http_requests_total{service="{{ args.service }}",pod_hash="{{ args.hash }}",code=~"5.."}[5m]))
  / sum(rate(http_requests_total{service="{{ args.service }}",pod_hash="{{ args.hash }}"}[5m]))
"""


@pytest.fixture(autouse=True)
def here(kube: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and the kubeconfig of a person whose context has this namespace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig()))


def imported(laneshift: Any, what: str, *options: str) -> Plan:
    """The plan that was written; lint accepts it."""
    ended = laneshift("init", "--from", what, *options)
    assert ended.code == 0, ended.err
    assert laneshift("lint", "plan.yaml").code == 0
    return read_plan(Path("plan.yaml"))


def metric(plan: Plan, name: str) -> dict[str, Any]:
    written: dict[str, Any] = plan.written()["metrics"][name]
    return {key: written[key] for key in ("total", "bad", "good", "alert") if key in written}


def test_a_rollout_with_its_analysis(kube: Namespace, laneshift: Any) -> None:
    kube.world.install("argo-rollouts")
    checked = {"name": "error-rate", "interval": "1m", "failureLimit": 3, "successCondition": "result[0] <= 0.05"}
    checked["provider"] = {"prometheus": {"address": "http://prom.monitoring:9090", "query": QUERY}}
    kube.api.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": "errors"},
            "spec": {"args": [{"name": "service"}, {"name": "hash"}], "metrics": [checked]},
        }
    )
    analysis = {
        "templates": [{"templateName": "errors"}, {"templateName": "not-there"}],
        "args": [
            {"name": "service", "value": "shop"},
            {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
        ],
    }
    steps = [{"setWeight": 10}, {"pause": {"duration": "5m"}}, {"setWeight": 60}, {"pause": {}}]
    rollout = {**deployment(APP), "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    rollout["spec"]["strategy"] = {"canary": {"steps": steps, "analysis": analysis}}
    kube.api.apply(rollout)
    plan = imported(laneshift, f"rollout/{APP}")
    assert (plan.router.kind, plan.finish) == ("argo_rollouts", "handover")
    assert plan.router.config.namespace == kube.name
    assert [(stage.weight, stage.bake) for stage in plan.stages] == [(10, 300), (60, 900), (100, 3600)]
    assert metric(plan, "error_rate") == {
        "total": 'http_requests_total{service="shop",pod_hash="$build"}',
        "bad": 'http_requests_total{service="shop",pod_hash="$build",code=~"5.."}',
        "alert": ["> 5%"],
    }
    assert "# - metrics: the template not-there could not be read" in Path("plan.yaml").read_text()


def test_a_canary_with_its_metric_template(kube: Namespace, laneshift: Any) -> None:
    kube.world.install("flagger")
    query = """sum(rate(r{namespace="{{ namespace }}",deployment="{{ target }}",code!~"5.."}[{{ interval }}]))
        / sum(rate(r{namespace="{{ namespace }}",deployment="{{ target }}"}[{{ interval }}])) * 100"""
    flagger = "flagger.app/v1beta1"
    provider = {"type": "prometheus", "address": "http://prom:9090"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP}
    metrics = [
        {"name": "good", "templateRef": {"name": "success"}, "thresholdRange": {"min": 99}, "interval": "1m"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
    ]
    analysis = {"interval": "1m", "threshold": 5, "stepWeights": [5, 20, 60], "maxWeight": 60, "metrics": metrics}
    kube.api.apply(
        {
            "apiVersion": flagger,
            "kind": "MetricTemplate",
            "metadata": {"name": "success"},
            "spec": {"provider": provider, "query": query},
        },
        {
            "apiVersion": flagger,
            "kind": "Canary",
            "metadata": {"name": APP},
            "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis},
        },
    )
    plan = imported(laneshift, f"canary/{APP}")
    assert (plan.router.kind, plan.finish, plan.source.config.url) == ("flagger", "handover", "http://prom:9090")
    assert [stage.weight for stage in plan.stages] == [5, 20, 60, 100]
    assert metric(plan, "good") == {
        "total": f'r{{namespace="{kube.name}",deployment="$workload"}}',
        "good": f'r{{namespace="{kube.name}",deployment="$workload",code!~"5.."}}',
        "alert": ["< 99%"],
    }
    assert plan.written()["metrics"]["request_duration"]["alert"] == ["> 500ms"]


def test_a_route_with_both_services(kube: Namespace, laneshift: Any) -> None:
    kube.world.install("gateway-api")
    kube.api.apply(deployment(STABLE), deployment(CANARY), service(STABLE, track="stable"))
    kube.api.apply(service(CANARY, track="canary"), route())
    plan = imported(laneshift, f"httproute/{APP}", "-n", kube.name, "--context", "test")
    config = plan.router.config
    assert (config.namespace, config.context, config.route) == (kube.name, "test", APP)
    assert (config.rule, config.stable, config.canary) == ("main", STABLE, CANARY)
    assert not Path("k8s").exists()


def test_a_deployment_gets_what_it_lacks_as_files_that_the_server_takes(kube: Namespace, laneshift: Any) -> None:
    kube.world.install("gateway-api")
    kube.world.run_workloads()
    kube.api.apply(deployment(APP, track="web"), service(APP, track="web"))
    plan = imported(laneshift, f"deployment/{APP}")
    files = sorted(path.name for path in Path("k8s").iterdir())
    assert files == ["canary-deployment.yaml", "canary-service.yaml", "httproute.yaml"]
    assert kube.api.find("HTTPRoute", APP) is None, "nothing is applied by init"
    kube.kubectl("apply", "-f", str(Path("k8s").absolute()))
    until(lambda: kube.api.get("Deployment", f"{APP}-canary")["status"].get("readyReplicas") == 1)

    async def seen() -> Any:
        router = GatewayApiRouter(plan.router.config)
        try:
            return await router.observe()
        finally:
            await router.close()

    shown = asyncio.run(seen())
    assert (shown.weight, shown.canary_ready, shown.stable_workload) == (0, 1, APP)
    assert shown.canary_workload == f"{APP}-canary"


@pytest.mark.parametrize("what", ["deployment/lost", "rollout/lost", "httproute/lost"])
def test_what_is_not_there_is_said_and_nothing_is_written(kube: Namespace, laneshift: Any, what: str) -> None:
    kube.world.install("gateway-api", "argo-rollouts")
    ended = laneshift("init", "--from", what)
    assert (ended.code, Path("plan.yaml").exists()) == (2, False)
    assert f"there is no {what.replace('/', ' ')} in namespace {kube.name}" in ended.err


def test_a_login_that_is_refused_says_so(kube: Namespace, laneshift: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kube.world.expired_kubeconfig(kube.name)))
    ended = laneshift("init", "--from", "deployment/x")
    assert (ended.code, "log in again" in ended.err) == (2, True)
