"""Access to a cluster, on a real API server: what is asked, what goes wrong, who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.kube import connection
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.resources import DEPLOYMENTS, HTTPROUTES, SERVICES, Resource
from tests.support.kube_api import eventually
from tests.support.kube_throttle import throttled
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

SETTINGS = Resource("", "v1", "configmaps", "ConfigMap")


def setting(name: str = "lane", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
async def opened() -> AsyncIterator[list[Cluster]]:
    """Closed at the end, whatever the test opened."""
    clusters: list[Cluster] = []
    yield clusters
    for each in clusters:
        await each.close()


async def test_an_object_is_created_read_listed_and_deleted(cluster: Cluster, kube: Namespace) -> None:
    await cluster.create(SETTINGS, kube.name, setting(side="stable"))
    assert (await cluster.get(SETTINGS, kube.name, "lane"))["data"] == {"side": "stable"}
    listed = await cluster.list(SETTINGS, kube.name, {"fieldSelector": "metadata.name=lane"})
    assert [item["metadata"]["name"] for item in listed["items"]] == ["lane"]
    with pytest.raises(KubeConflict, match="already exists"):
        await cluster.create(SETTINGS, kube.name, setting())
    await cluster.delete(SETTINGS, kube.name, "lane")
    await cluster.delete(SETTINGS, kube.name, "lane")
    assert kube.api.find("ConfigMap", "lane") is None


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("json-patch", [{"op": "replace", "path": "/data/side", "value": "canary"}]),
        ("merge-patch", {"data": {"side": "canary"}}),
        ("strategic-merge-patch", {"data": {"side": "canary"}}),
        ("apply-patch", setting(side="canary")),
    ],
)
async def test_every_way_to_patch_and_to_try_it(cluster: Cluster, kube: Namespace, how: Any, body: Any) -> None:
    kube.api.apply(setting(side="stable"))
    tried = await cluster.patch(SETTINGS, kube.name, "lane", body, how=how, dry_run=True)
    assert tried["data"] == {"side": "canary"}
    assert kube.api.get("ConfigMap", "lane")["data"] == {"side": "stable"}
    await cluster.patch(SETTINGS, kube.name, "lane", body, how=how)
    written = kube.api.get("ConfigMap", "lane")
    assert written["data"] == {"side": "canary"}
    assert "laneshift" in [field["manager"] for field in written["metadata"]["managedFields"]]


@pytest.mark.parametrize(
    "test",
    [
        {"op": "test", "path": "/data/side", "value": "canary"},
        {"op": "test", "path": "/data/nowhere", "value": "canary"},
        {"op": "test", "path": "/spec/rules/3/name", "value": "canary"},
    ],
)
async def test_a_failed_test_is_a_conflict_and_writes_nothing(
    cluster: Cluster, kube: Namespace, test: dict[str, Any]
) -> None:
    kube.api.apply(setting(side="stable"))
    with pytest.raises(KubeConflict, match="not as it was read"):
        await cluster.patch(SETTINGS, kube.name, "lane", [test, {"op": "replace", "path": "/data/side", "value": "x"}])
    assert kube.api.get("ConfigMap", "lane")["data"] == {"side": "stable"}


async def test_a_stale_version_is_a_conflict(cluster: Cluster, kube: Namespace) -> None:
    kube.api.apply(setting(side="stable"))
    with pytest.raises(KubeConflict, match="changed meanwhile"):
        await cluster.patch(
            SETTINGS, kube.name, "lane", {"metadata": {"resourceVersion": "1"}, "data": {"a": "b"}}, how="merge-patch"
        )


async def test_an_invalid_object_is_no_conflict(cluster: Cluster, kube: Namespace) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {"ports": [{"port": 0}]}}
    with pytest.raises(KubeError, match="answered 422") as told:
        await cluster.create(SERVICES, kube.name, service)
    assert not isinstance(told.value, KubeConflict)


async def test_what_is_missing_is_named(cluster: Cluster, kube: Namespace) -> None:
    with pytest.raises(KubeError, match=f"there is no deployment shop in namespace {kube.name}") as told:
        await cluster.get(DEPLOYMENTS, kube.name, "shop")
    assert told.value.status == 404
    with pytest.raises(KubeError, match="are its definitions installed"):
        await cluster.get(Resource("nobody.example", "v1", "things", "Thing"), kube.name, "shop")


async def test_what_is_forbidden_names_the_verb_and_the_object(kube: Namespace, opened: list[Cluster]) -> None:
    opened.append(Cluster(kube.kubeconfig("rbac-0")))
    with pytest.raises(KubeError, match=r"user rbac-0 .* may not patch configmap lane in namespace") as told:
        await opened[0].patch(SETTINGS, kube.name, "lane", [])
    assert told.value.status == 403


async def test_a_token_that_nobody_has_is_said(kube: Namespace, opened: list[Cluster]) -> None:
    opened.append(Cluster(kube.world.expired_kubeconfig()))
    with pytest.raises(KubeError, match="log in again") as told:
        await opened[0].get(DEPLOYMENTS, kube.name, "shop")
    assert told.value.status == 401


async def test_credentials_that_end_are_renewed_without_a_failed_request(
    kube: Namespace, opened: list[Cluster]
) -> None:
    """A plugin's token is refused: its next one is used, over the connections that are there."""
    kube.api.apply(setting(side="stable"))
    kubeconfig, login = kube.world.exec_kubeconfig()
    login.say("wrong-at-first")
    opened.append(Cluster(kubeconfig))
    with pytest.raises(KubeError, match="log in again"):
        await opened[0].open()
    login.say("token-of-admin", expires=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert (await opened[0].get(SETTINGS, kube.name, "lane"))["data"] == {"side": "stable"}
    credentials = opened[0].credentials
    assert credentials is not None
    assert credentials.renews
    assert not credentials.interactive
    assert credentials.expires_at == pytest.approx(datetime.now(UTC).timestamp() + 3600, abs=60)
    asked = login.calls
    await opened[0].get(SETTINGS, kube.name, "lane")
    assert login.calls == asked, "a token that is good is not asked for again"


async def test_a_token_is_renewed_before_it_ends_and_nobody_waits_for_it(
    kube: Namespace, opened: list[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WARM_EACH_S", 0.05)
    kubeconfig, login = kube.world.exec_kubeconfig()
    login.say("token-of-admin", expires=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    opened.append(Cluster(kubeconfig))
    first = (await opened[0].open()).expires_at
    later = datetime.now(UTC) + timedelta(hours=1)
    login.say("token-of-admin", expires=later.isoformat())
    await eventually(lambda: opened[0].credentials and opened[0].credentials.expires_at != first)
    assert opened[0].credentials is not None
    assert opened[0].credentials.expires_at == pytest.approx(later.timestamp(), abs=1)
    assert login.calls == 2


async def test_a_server_with_another_certificate_is_not_trusted(kube: Namespace, opened: list[Cluster]) -> None:
    config = yaml.safe_load(kube.kubeconfig().read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    path = kube.world.directory / f"untrusted-{kube.name}"
    path.write_text(yaml.safe_dump(config))
    opened.append(Cluster(path))
    with pytest.raises(KubeError, match="its certificate is not trusted"):
        await opened[0].get(SETTINGS, kube.name, "lane", time_limit=1)


async def test_a_login_that_fails_says_what_it_said(kube: Namespace, opened: list[Cluster]) -> None:
    kubeconfig, login = kube.world.exec_kubeconfig()
    login.fail()
    opened.append(Cluster(kubeconfig))
    with pytest.raises(KubeError, match=r"no credentials from .*login ended with 1: .*credential.json"):
        await opened[0].open()


async def test_a_token_that_ends_tells_when(kube: Namespace, opened: list[Cluster]) -> None:
    token = kube.world.service_account_token(kube.name, "engine", seconds=3600)
    opened.append(Cluster(kube.world.kubeconfig_with({"token": token}, kube.name)))
    credentials = await opened[0].open()
    assert credentials.expires_at == pytest.approx(datetime.now(UTC).timestamp() + 3600, abs=120)
    assert (credentials.renews, credentials.interactive, credentials.namespace) == (False, False, kube.name)


async def test_a_token_file_is_read_again_when_its_token_is_refused(
    kube: Namespace, opened: list[Cluster], tmp_path: Path
) -> None:
    kube.api.apply(setting(side="stable"))
    file = tmp_path / "token"
    file.write_text("of-yesterday\n")
    opened.append(Cluster(kube.world.kubeconfig_with({"tokenFile": str(file)}, kube.name)))
    with pytest.raises(KubeError, match="log in again"):
        await opened[0].open()
    file.write_text("token-of-admin\n")
    assert (await opened[0].get(SETTINGS, kube.name, "lane"))["data"] == {"side": "stable"}
    assert opened[0].credentials is not None
    assert opened[0].credentials.renews


async def test_a_context_that_is_not_there_is_said(kube: Namespace, opened: list[Cluster]) -> None:
    opened.append(Cluster(kube.kubeconfig(), "production"))
    with pytest.raises(KubeError, match="production"):
        await opened[0].open()


async def test_a_server_that_throttles_is_asked_again_until_it_answers(kube: Namespace, opened: list[Cluster]) -> None:
    user = "rbac-5"
    kube.api.apply(setting(side="stable"))
    kube.grant(user, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]})
    opened.append(Cluster(kube.kubeconfig(user)))
    await opened[0].open()
    with throttled(kube, user):
        with pytest.raises(KubeError, match=r"no success within 1 s.*answered 429"):
            await opened[0].get(SETTINGS, kube.name, "lane", time_limit=1)
        reading = asyncio.create_task(opened[0].get(SETTINGS, kube.name, "lane", time_limit=20))
        await asyncio.sleep(0.2)
    assert (await reading)["data"] == {"side": "stable"}


async def test_routes_are_where_the_definitions_put_them(cluster: Cluster, kube: Namespace) -> None:
    kube.world.install("gateway-api")
    listed = await cluster.list(HTTPROUTES, kube.name)
    assert listed["items"] == []
    assert listed["kind"] == "HTTPRouteList"


async def test_the_servers_clock_is_known(cluster: Cluster) -> None:
    await cluster.open()
    assert cluster.clock_skew == pytest.approx(0, abs=3)


async def test_a_frozen_server_is_told_in_time_and_answers_again_when_it_thaws(
    own_kube: Namespace, opened: list[Cluster]
) -> None:
    own_kube.api.apply(setting(side="stable"))
    opened.append(Cluster(own_kube.kubeconfig()))
    await opened[0].open()
    own_kube.world.server.freeze()
    with pytest.raises(KubeError, match=r"no success within 2 s.*no answer within"):
        await opened[0].get(SETTINGS, own_kube.name, "lane", time_limit=2)
    reading = asyncio.create_task(opened[0].get(SETTINGS, own_kube.name, "lane", time_limit=20))
    await asyncio.sleep(0.5)
    own_kube.world.server.thaw()
    assert (await reading)["data"] == {"side": "stable"}


async def test_a_server_that_is_gone_is_said_and_tried_until_the_time_is_up(
    own_kube: Namespace, opened: list[Cluster]
) -> None:
    own_kube.api.apply(setting(side="stable"))
    opened.append(Cluster(own_kube.kubeconfig()))
    await opened[0].open()
    own_kube.world.server.kill()
    with pytest.raises(KubeError, match=r"within 1 s.*can't connect: Connect"):
        await opened[0].get(SETTINGS, own_kube.name, "lane", time_limit=1)
    reading = asyncio.create_task(opened[0].get(SETTINGS, own_kube.name, "lane", time_limit=30))
    await asyncio.to_thread(own_kube.world.server.start)
    assert (await reading)["data"] == {"side": "stable"}
