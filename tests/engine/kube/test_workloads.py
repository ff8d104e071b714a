"""What runs, read from Deployments, StatefulSets and pods as the API shows them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.kube.workloads import Workload, deployment, selected, selector_of, statefulset, version_of, vitals

LABELS = {"app": "checkout", "track": "canary", "app.kubernetes.io/version": "v2"}


def template(image: str = "registry.example:5000/checkout:v2", **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": labels or LABELS}, "spec": {"containers": [{"name": "shop", "image": image}]}}


def deployed(**status: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "checkout-canary", "uid": "u1", "generation": 3},
        "spec": {"replicas": 2, "template": template(), "selector": {"matchLabels": {"track": "canary"}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, **status},
    }


def replicaset(build: str, ready: int, made: dict[str, Any] | None = None, owner: str = "u1") -> dict[str, Any]:
    """As the Deployment's controller makes it: the template with the hash among its labels."""
    own = copy.deepcopy(made or template())
    own["metadata"]["labels"] = {**own["metadata"]["labels"], "pod-template-hash": build}
    return {
        "metadata": {
            "name": f"checkout-canary-{build}",
            "labels": {"pod-template-hash": build},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"template": own},
        "status": {"readyReplicas": ready},
    }


def pod(build: str, restarts: int = 0, going: bool = False, **state: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "p", "labels": {"pod-template-hash": build}}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "status": {"containerStatuses": [{"restartCount": restarts, **state}]}}


OLD = template(image="registry.example/checkout:v1")


def test_only_replicas_of_the_current_template_count_as_ready() -> None:
    found = deployment(deployed(replicas=3, updatedReplicas=1), [replicaset("new", 1), replicaset("old", 1, OLD)])
    assert (found.build, found.ready, found.all_ready, found.wanted, found.settled) == ("new", 1, 2, 2, False)


def test_a_finished_rollout_is_settled() -> None:
    found = deployment(deployed(), [replicaset("new", 2), replicaset("old", 0, OLD)])
    assert found == Workload("checkout-canary", "v2", "new", 2, 2, 2, settled=True)


def test_a_template_that_its_controller_has_not_seen_has_no_build_and_nothing_ready() -> None:
    found = deployment(deployed(observedGeneration=2), [replicaset("old", 2, OLD)])
    assert (found.build, found.ready, found.settled) == ("", 0, False)


def test_replicasets_of_others_do_not_count() -> None:
    assert deployment(deployed(), [replicaset("new", 2, owner="u2")]).build == ""


def test_a_scaled_deployment_keeps_its_build_before_its_controller_has_seen_it() -> None:
    found = deployment(deployed(observedGeneration=2), [replicaset("new", 2)])
    assert (found.build, found.ready, found.settled) == ("new", 2, False)


@pytest.mark.parametrize(
    ("status", "ready", "settled"),
    [
        ({"currentRevision": "r2", "updateRevision": "r2", "readyReplicas": 3, "updatedReplicas": 3}, 3, True),
        ({"currentRevision": "r1", "updateRevision": "r2", "readyReplicas": 3, "updatedReplicas": 1}, 1, False),
        ({"currentRevision": "r1", "updateRevision": "r2", "readyReplicas": 1, "updatedReplicas": 1}, 0, False),
    ],
)
def test_a_statefulset_in_mid_rollout_counts_no_more_than_is_certainly_new(
    status: dict[str, Any], ready: int, settled: bool
) -> None:
    item = {
        "metadata": {"name": "checkout", "generation": 1},
        "spec": {"replicas": 3, "template": template()},
        "status": {"observedGeneration": 1, "replicas": 3, **status},
    }
    found = statefulset(item)
    assert (found.build, found.ready, found.settled) == ("r2", ready, settled)


@pytest.mark.parametrize(
    ("made", "version"),
    [
        (template(), "v2"),
        (template(version="v3"), "v3"),
        (template("registry.example:5000/checkout:v2", app="x"), "v2"),
        (template("registry.example:5000/checkout", app="x"), ""),
        (template("checkout:v2@sha256:abc", app="x"), "v2"),
        (template("checkout@sha256:abc", app="x"), "sha256:abc"),
        ({}, ""),
    ],
)
def test_the_version_is_a_label_or_the_images(made: dict[str, Any], version: str) -> None:
    assert version_of(made) == version


def test_vitals_are_those_of_the_current_build() -> None:
    found = Workload("checkout", "v2", "new", wanted=4, ready=1, all_ready=3, settled=False)
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    pods = [
        pod("new", 2, lastState=killed, state={"waiting": {"reason": "CrashLoopBackOff"}}),
        pod("new", 1, state=killed),
        pod("new", 0, state={"waiting": {"reason": "ContainerCreating"}}),
        pod("new", 9, going=True),
        pod("old", 7, lastState=killed),
    ]
    seen = vitals(found, pods)
    assert (seen.restarts, seen.oom_kills, seen.unready, seen.waiting) == (3, 2, 3, "1 x CrashLoopBackOff")
    assert seen.numbers() == {"restarts": 3.0, "oom_kills": 2.0, "unready": 3.0}


def test_a_pod_without_a_node_says_why() -> None:
    stuck = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: insufficient cpu"}
    waiting = {"metadata": {"name": "p", "labels": {"pod-template-hash": "new"}}, "status": {"conditions": [stuck]}}
    found = Workload("checkout", "v2", "new", wanted=1, ready=0, all_ready=0, settled=False)
    assert vitals(found, [waiting]).waiting == "1 x no node: 0/3 nodes: insufficient cpu"


def test_selectors_are_written_as_a_list_takes_them() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["x"]},
        {"key": "app", "operator": "Exists"},
        {"key": "test", "operator": "DoesNotExist"},
    ]
    item = {"spec": {"selector": {"matchLabels": {"track": "canary"}, "matchExpressions": expressions}}}
    assert selector_of(item) == "track=canary,tier in (a,b),old notin (x),app,!test"


def test_a_services_selector_finds_pods_with_all_its_labels() -> None:
    item = deployed()
    assert selected(item, {"app": "checkout", "track": "canary"})
    assert not selected(item, {"app": "checkout", "track": "stable"})
    assert not selected(item, {}), "a Service without a selector finds nothing"
