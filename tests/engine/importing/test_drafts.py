"""What a cluster has as a plan: the weights, bakes, lines and names that are there, and what is missing as files."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from engine.importing.argo import draft_of_rollout
from engine.importing.argo import templates_of as analysis_of
from engine.importing.draft import Draft, ImportingError, Part, metric_name, service_name
from engine.importing.flagger import draft_of_canary
from engine.importing.flagger import templates_of as metrics_of
from engine.importing.routes import Shop, draft_of_deployment, draft_of_route
from engine.importing.writing import plan_text
from engine.plan.model import Plan, parse_plan
from tests.support.kube_shop import CANARY, STABLE, deployment, route, service

NAMESPACE = {"namespace": "shop"}
RATIO = 'sum(rate(b{hash="{{args.hash}}"}[5m])) / sum(rate(t{hash="{{args.hash}}"}[5m]))'


def plan_of(draft: Draft) -> Plan:
    """The plan, on a router that any plan can have."""
    draft.router = Part("sandbox", {})
    return parse_plan(plan_text(draft).encode())


def stages_of(plan: Plan) -> list[tuple[int, float]]:
    return [(stage.weight, stage.bake) for stage in plan.stages]


# --- Argo Rollouts


def rollout(*steps: dict[str, Any], **canary: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "checkout", "labels": {"app": "shop-app"}},
        "spec": {"strategy": {"canary": {"steps": list(steps), **canary}}},
    }


def template(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"metrics": list(metrics)}}


def asked(query: str, **said: Any) -> dict[str, Any]:
    where = {"prometheus": {"address": "http://prom.shop:9090", "query": query}}
    return {"name": "error-rate", "successCondition": "result[0] <= 0.05", "provider": where, **said}


def test_the_steps_of_a_rollout_are_stages_and_its_pauses_bakes():
    steps = [
        {"pause": {}},
        {"setWeight": 10},
        {"pause": {"duration": "10m"}},
        {"pause": {"duration": 60}},
        {"setCanaryScale": {"matchTrafficWeight": True}},
        {"setWeight": 50},
        {"pause": {}},
    ]
    draft = draft_of_rollout(rollout(*steps), [], NAMESPACE)
    assert draft.router == Part("argo_rollouts", {"namespace": "shop", "rollout": "checkout"})
    assert stages_of(plan_of(draft)) == [(10, 660), (50, 900), (100, 3600)]


def test_a_query_of_an_analysis_is_a_metric_with_its_arguments_in_place():
    steps = rollout({"setWeight": 5}, analysis={"templates": [{"templateName": "errors"}]})
    steps["spec"]["strategy"]["canary"]["analysis"]["args"] = [
        {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    ]
    draft = draft_of_rollout(steps, [template(asked(RATIO))], NAMESPACE)
    plan = plan_of(draft)
    assert plan.source.config.url == "http://prom.shop:9090"
    metric = plan.metrics["error_rate"]
    assert [str(one) for one in metric.questions.values()] == ['t{hash="$build"}', 'b{hash="$build"}']
    assert plan.written()["metrics"]["error_rate"]["alert"] == ["> 5%"]


def test_arguments_come_from_values_and_from_the_rollouts_own_fields():
    analysis = {
        "templates": [{"templateName": "errors"}],
        "args": [{"name": "app", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}],
    }
    query = 'sum(rate(b{app="{{ args.app }}",hash="{{args.unknown}}"}[5m])) / sum(rate(t[5m]))'
    draft = draft_of_rollout(rollout({"setWeight": 5, "analysis": analysis}), [template(asked(query))], NAMESPACE)
    bad = dict(draft.metrics[0].keys)["bad"]
    assert bad == 'b{app="shop-app",hash="{{args.unknown}}",version="$version"}'


def test_what_is_not_understood_stays_in_the_plan_as_a_comment():
    text = plan_text(_argo_with("sum(rate(a[1m]))\n> 5 # \x1b[2J"))
    assert "  # error-rate is not understood: name its raw counters" in text
    assert "  #   sum(rate(a[1m]))\n  #   > 5 # \\u001b[2J\n" in text
    assert "FILL IN: these are usual names" in text


def test_templates_are_named_once_with_their_scope():
    step = {"analysis": {"templates": [{"templateName": "errors"}, {"templateName": "all", "clusterScope": True}]}}
    assert analysis_of(rollout(step, step)) == [("all", True), ("errors", False)]


def test_a_blue_green_rollout_is_refused():
    with pytest.raises(ImportingError, match="no canary"):
        draft_of_rollout({"metadata": {"name": "x"}, "spec": {"strategy": {"blueGreen": {}}}}, [], NAMESPACE)


def _argo_with(query: str) -> Draft:
    draft = draft_of_rollout(rollout({"setWeight": 5}), [template(asked(query))], NAMESPACE)
    plan_of(draft)
    return draft


# --- Flagger


def canary(**analysis: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "checkout"}, "analysis": {"interval": "30s", **analysis}},
    }


@pytest.mark.parametrize(
    ("written", "weights"),
    [
        ({"stepWeight": 20, "maxWeight": 60}, [20, 40, 60, 100]),
        ({"stepWeights": [1, 10, 80], "maxWeight": 80}, [1, 10, 80, 100]),
        ({"stepWeight": 50}, [50, 100]),
        ({"iterations": 10}, [5, 25, 50, 100]),
    ],
)
def test_the_weights_of_a_canary_are_stages_and_its_interval_their_bake(written, weights):
    stages = stages_of(plan_of(draft_of_canary(canary(**written), {}, NAMESPACE)))
    assert [weight for weight, _ in stages] == weights
    assert stages[0][1] == (900 if "iterations" in written else 30)


def test_a_metric_template_is_read_with_flaggers_variables():
    metric = {
        "name": "not found",
        "thresholdRange": {"max": 5},
        "templateRef": {"name": "lost", "namespace": "flagger"},
        "templateVariables": {"code": "404"},
    }
    query = """100 - sum(rate(r{ns="{{ namespace }}",w=~"{{ target }}",code!="{{ variables.code }}"}[{{ interval }}]))
        / sum(rate(r{ns="{{ namespace }}",w=~"{{ target }}"}[{{ interval }}])) * 100"""
    lost = {"spec": {"provider": {"type": "prometheus", "address": "http://prom:9090"}, "query": query}}
    wanted = canary(metrics=[metric])
    assert metrics_of(wanted) == [("flagger", "lost")]
    plan = plan_of(draft_of_canary(wanted, {"lost": lost}, NAMESPACE))
    assert plan.written()["metrics"]["not_found"] | {"weight": ""} == {
        "total": 'r{ns="shop",w=~"$workload"}',
        "good": 'r{ns="shop",w=~"$workload",code!="404"}',
        "alert": ["< 95%"],
        "weight": "",
    }
    assert plan.source.config.url == "http://prom:9090"


def test_flaggers_own_metrics_keep_their_lines():
    own = [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "thresholdRange": {"max": 500}},
    ]
    written = plan_of(draft_of_canary(canary(metrics=own), {}, NAMESPACE)).written()["metrics"]
    assert written["request_success_rate"]["alert"] == ["> 1%"]
    assert written["request_duration"]["alert"] == ["> 500ms"]
    on_istio = canary(metrics=own[:1])
    on_istio["spec"]["provider"] = "istio"
    draft = draft_of_canary(on_istio, {}, NAMESPACE)
    assert 'destination_workload=~"$workload"' in draft.metrics[0].keys["good"]
    assert plan_of(draft).written()["metrics"]["request_success_rate"]["alert"] == ["< 99%"]


# --- routes and Deployments


def shop(*items: dict[str, Any]) -> Shop:
    def of(kind: str) -> list[dict[str, Any]]:
        return [one for one in items if one["kind"] == kind]

    return Shop(of("HTTPRoute"), of("Service"), of("Deployment"), of("Gateway"))


def files_of(draft: Draft) -> dict[str, Any]:
    return {name: yaml.safe_load(text) for name, text in draft.files.items()}


WHOLE = shop(deployment(STABLE), deployment(CANARY), service(STABLE, track="stable"), service(CANARY, track="canary"))


def test_a_route_of_two_services_is_taken_as_it_is():
    draft = draft_of_route(route(), WHOLE, NAMESPACE)
    assert dict(draft.router.keys) == {
        **NAMESPACE,
        "route": "checkout",
        "rule": "main",
        "stable": STABLE,
        "canary": CANARY,
    }
    assert (draft.service, draft.files, draft.notes) == ("checkout", {}, [])
    assert parse_plan(plan_text(draft).encode()).router.kind == "gateway_api"


def test_the_service_with_the_traffic_is_stable():
    draft = draft_of_route(route(stable=0, canary=100), WHOLE, NAMESPACE)
    assert (draft.router.keys["stable"], draft.router.keys["canary"]) == (CANARY, STABLE)


def test_a_route_of_one_service_gets_the_rest_as_files():
    alone = route()
    del alone["spec"]["rules"][0]["backendRefs"][1]
    alone["metadata"] |= {
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": ""},
    }
    draft = draft_of_route(alone, shop(deployment(STABLE), service(STABLE, track="stable")), NAMESPACE)
    files = files_of(draft)
    assert files["httproute.yaml"]["metadata"] == {"name": "checkout"}
    assert files["httproute.yaml"]["spec"]["rules"][0]["backendRefs"] == [
        {"name": STABLE, "port": 80, "weight": 100},
        {"name": f"{STABLE}-canary", "port": 80, "weight": 0},
    ]
    assert files["canary-service.yaml"]["spec"]["selector"] == {"app": "checkout", "track": "canary"}
    made = files["canary-deployment.yaml"]
    assert made["spec"]["selector"]["matchLabels"] == {"app": "checkout", "track": "canary"}
    assert made["spec"]["template"]["metadata"]["labels"]["track"] == "canary"
    assert "status" not in made


def test_the_canarys_file_has_what_people_wrote_and_not_what_a_cluster_fills_in():
    read = deployment(STABLE)
    pods = read["spec"]["template"]["spec"]
    filled = {"dnsPolicy": "ClusterFirst", "securityContext": {}, "terminationGracePeriodSeconds": 45}
    read["spec"] |= {"revisionHistoryLimit": 10, "progressDeadlineSeconds": 90}
    read["spec"]["template"]["spec"] = pods | filled
    pods["containers"][0]["terminationMessagePolicy"] = "File"
    alone = shop(route(), read, service(STABLE, track="stable"))
    made = files_of(draft_of_route(route(), alone, NAMESPACE))["canary-deployment.yaml"]["spec"]
    assert "revisionHistoryLimit" not in made
    assert made["progressDeadlineSeconds"] == 90
    assert made["template"]["spec"].keys() == {"containers", "terminationGracePeriodSeconds"}
    assert "terminationMessagePolicy" not in made["template"]["spec"]["containers"][0]


def test_a_deployment_behind_a_route_is_that_route():
    draft = draft_of_deployment(deployment(STABLE), shop(route(), deployment(STABLE), *WHOLE.services), NAMESPACE)
    assert draft.router.keys["route"] == "checkout"
    assert draft.origin == "Deployment checkout-stable and HTTPRoute checkout"


def test_a_deployment_without_a_route_gets_one_and_no_pod_of_the_canary_is_stables():
    plain = {**service("checkout"), "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "nodePort": 31}]}}
    plain["spec"] |= {"clusterIP": "10.0.0.9", "type": "NodePort"}
    of_it = deployment("checkout", track="only")
    gateway = {"kind": "Gateway", "metadata": {"name": "edge"}}
    draft = draft_of_deployment(of_it, shop(of_it, plain, gateway), NAMESPACE)
    files = files_of(draft)
    assert files["httproute.yaml"]["spec"]["parentRefs"] == [{"name": "edge"}]
    assert files["canary-service.yaml"]["spec"] == {"selector": {"app": "checkout-canary"}, "ports": [{"port": 80}]}
    labels = files["canary-deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    assert not plain["spec"]["selector"].items() <= labels.items()
    assert draft.notes == []
    parse_plan(plan_text(draft).encode())


def test_what_can_not_be_known_is_said():
    of_it, its_service = deployment(STABLE), service(STABLE, track="stable")
    assert "name your Gateway" in draft_of_deployment(of_it, shop(of_it, its_service), NAMESPACE).notes[0]
    assert "is not there" in draft_of_route(route(), shop(), NAMESPACE).notes[0]
    with pytest.raises(ImportingError, match="no Service selects the pods"):
        draft_of_deployment(of_it, shop(of_it), NAMESPACE)
    with pytest.raises(ImportingError, match="no rule with one or two Services"):
        draft_of_route({**route(), "spec": {"rules": []}}, shop(), NAMESPACE)
    owned = route()
    owned["metadata"]["labels"] = {"rollouts.argoproj.io/gatewayapi-canary": "in-progress"}
    with pytest.raises(ImportingError, match="is moved by Argo Rollouts"):
        draft_of_route(owned, WHOLE, NAMESPACE)


@pytest.mark.parametrize(
    ("name", "of_service", "of_metric"),
    [
        ("Checkout.API", "checkout-api", "checkout_api"),
        ("5xx-rate", "5xx-rate", "metric_5xx_rate"),
        ("--", "service", "metric"),
    ],
)
def test_any_name_becomes_one_that_a_plan_takes(name, of_service, of_metric):
    assert (service_name(name), metric_name(name)) == (of_service, of_metric)
