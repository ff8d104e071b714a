"""A Deployment's rolling update as it is read, and the way back that people may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.routers import RELEASE, rollback_sh, run, write
from engine.inputs import Observation
from engine.routers import RouterError
from engine.routers.deployment import DeploymentRouter
from engine.routers.deployment_config import DeploymentConfig
from engine.routers.deployment_reading import observation_of, rolling_update
from tests.support.kube_api import Object
from tests.support.kube_shop import APP, deployment, until_ready
from tests.support.kube_world import Namespace

NEWEST = "v1.2.0"


def replicaset(version: str, revision: int, *, ready: int, pods: int | None = None) -> Object:
    """One of the Deployment's, with so many pods (as many as are ready, if not said)."""
    template = deployment(APP, version=version)["spec"]["template"]
    labels = {**template["metadata"]["labels"], "pod-template-hash": f"hash-{version}"}
    count = ready if pods is None else pods
    return {
        "metadata": {
            "name": f"{APP}-{version}",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"controller": True, "uid": "one"}],
        },
        "spec": {"replicas": count, "template": {**template, "metadata": {**template["metadata"], "labels": labels}}},
        "status": {"replicas": count, "readyReplicas": ready},
    }


def seen(*replicasets: Object, **spec: Any) -> Observation:
    """Of a Deployment whose template is the newest version's."""
    item = deployment(APP, version=NEWEST, replicas=4)
    item["metadata"] |= {"uid": "one", "generation": 1}
    item["spec"] |= spec
    return observation_of(rolling_update(item, replicasets), None)


def test_with_pods_of_one_template_there_is_no_canary() -> None:
    shown = seen(replicaset(NEWEST, 2, ready=4), replicaset("v1.1.0", 1, ready=0))
    assert (shown.weight, shown.canary, shown.stable, shown.stable_ready) == (0, "", NEWEST, 4)


def test_the_weight_is_the_share_of_the_ready_pods_that_are_new() -> None:
    shown = seen(replicaset(NEWEST, 2, ready=1, pods=2), replicaset("v1.1.0", 1, ready=3))
    assert (shown.weight, shown.canary, shown.stable) == (25, NEWEST, "v1.1.0")
    assert (shown.canary_ready, shown.canary_asked, shown.stable_ready, shown.pending) == (1, 2, 3, "")
    assert (shown.canary_build, shown.canary_workload) == (f"hash-{NEWEST}", f"{APP}-{NEWEST}")


def test_stable_is_the_oldest_that_still_has_pods() -> None:
    shown = seen(replicaset("v1.1.0", 2, ready=2), replicaset(NEWEST, 3, ready=1), replicaset("v1.0.0", 1, ready=1))
    assert (shown.weight, shown.stable, shown.stable_ready) == (25, "v1.0.0", 3)


def test_a_newest_version_of_which_nothing_is_ready_is_pending() -> None:
    shown = seen(replicaset(NEWEST, 2, ready=0, pods=1), replicaset("v1.1.0", 1, ready=4))
    assert (shown.weight, shown.pending) == (0, f"no pod of {NEWEST} is ready")


def test_a_template_that_no_controller_has_taken_up_is_pending() -> None:
    shown = seen(replicaset("v1.1.0", 1, ready=4))
    assert (shown.weight, shown.canary, shown.stable) == (0, "", "v1.1.0")
    assert "does its controller run" in shown.pending


def test_an_update_that_stands_still_says_so() -> None:
    shown = seen(replicaset(NEWEST, 2, ready=1), replicaset("v1.1.0", 1, ready=3), paused=True)
    assert shown.remark == "the Deployment is paused (spec.paused)"


# --- on a real server


def update(kube: Namespace, version: str) -> None:
    made = deployment(APP, version=version, replicas=4, track="any", ready_after="2s")
    kube.api.apply(made, manager="pipeline")


@pytest.fixture
async def router(kube: Namespace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DeploymentRouter]:
    monkeypatch.setenv("PATH", kube.world.environment()["PATH"])
    kube.world.run_workloads()
    await asyncio.to_thread(update, kube, "v1.0.0")
    await asyncio.to_thread(until_ready, kube, APP, 4)
    settings = {"namespace": kube.name, "name": APP, "kubeconfig": str(kube.kubeconfig())}
    made = DeploymentRouter(DeploymentConfig.model_validate(settings))
    yield made
    await made.close()


async def under_way(router: DeploymentRouter) -> Observation:
    async with asyncio.timeout(20):
        while True:
            shown = await router.observe()
            if shown.weight:
                return shown
            await asyncio.sleep(0.1)


@pytest.mark.real
async def test_the_script_undoes_the_update_and_works_twice(
    router: DeploymentRouter, kube: Namespace, tmp_path: Path
) -> None:
    await asyncio.to_thread(update, kube, "v1.1.0")
    assert (await under_way(router)).stable == "v1.0.0"
    for _ in range(2):
        code, said = await run(str(rollback_sh(router, tmp_path)))
        assert code == 0, said
        assert "all traffic is on stable" in said
        shown = await router.observe()
        assert (shown.canary, shown.stable, shown.stable_ready) == ("", "v1.0.0", 4)


@pytest.mark.real
async def test_the_command_for_a_person_undoes_the_update(router: DeploymentRouter, kube: Namespace) -> None:
    await asyncio.to_thread(update, kube, "v1.1.0")
    await under_way(router)
    code, said = await run("-c", router.manual_rollback(RELEASE))
    assert code == 0, said
    template = kube.api.get("Deployment", APP)["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/version"] == "v1.0.0"


@pytest.mark.real
async def test_nothing_can_be_moved_and_the_doctor_says_so(router: DeploymentRouter) -> None:
    with pytest.raises(RouterError, match="only watched"):
        await router.shift(write(25))
    findings = await router.examine()
    assert [one.grade for one in findings if one.grade == "bad"] == []
    assert [one.mend for one in findings if one.what == "watched"] == ["laneshift start PLAN --observe"]
