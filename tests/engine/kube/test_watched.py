"""Objects kept warm by a watch, on a real API server: they follow, are proven, and never show an old truth as new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from engine.kube import watched as module
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.resources import Resource
from engine.kube.watched import Watched
from tests.support.kube_world import Namespace

pytestmark = pytest.mark.real

SETTINGS = Resource("", "v1", "configmaps", "ConfigMap")
PATIENCE_S = 20.0


def setting(name: str = "lane", app: str = "shop", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": app}},
        "data": data,
    }


@pytest.fixture
async def shop(cluster: Cluster, kube: Namespace) -> AsyncIterator[Watched]:
    watched = Watched(cluster, SETTINGS, kube.name, selector="app=shop")
    yield watched
    await watched.close()


async def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def sides(watched: Watched) -> dict[str, str]:
    return {item["metadata"]["name"]: item["data"]["side"] for item in watched.known}


async def test_it_knows_what_is_there_and_follows_what_changes(shop: Watched, kube: Namespace) -> None:
    kube.api.apply(setting(side="stable"), setting("other", app="else", side="x"))
    assert [item["metadata"]["name"] for item in await shop.objects()] == ["lane"]
    kube.api.apply(setting(side="canary"), setting("second", side="stable"))
    await eventually(lambda: sides(shop) == {"lane": "canary", "second": "stable"})
    kube.api.delete("ConfigMap", "second")
    kube.api.apply(setting(app="else", side="canary"))
    await eventually(lambda: sides(shop) == {})


async def test_one_name_alone_is_watched(cluster: Cluster, kube: Namespace) -> None:
    kube.api.apply(setting(side="stable"), setting("second", side="stable"))
    watched = Watched(cluster, SETTINGS, kube.name, name="second")
    try:
        await watched.objects()
        assert sides(watched) == {"second": "stable"}
    finally:
        await watched.close()


async def test_a_silent_watch_is_proven_by_a_list(
    shop: Watched, kube: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.2)
    kube.api.apply(setting(side="stable"))
    await shop.objects()
    asked = time.monotonic()
    await eventually(lambda: time.monotonic() - shop.age > asked + 1)


async def test_what_a_watch_did_not_tell_is_found_and_followed_again(
    shop: Watched, kube: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the API server behind a watch has stopped, and another one answers the lists."""
    monkeypatch.setattr(module, "QUIET_S", 0.2)
    kube.api.apply(setting(side="stable"))
    await shop.objects()
    monkeypatch.setattr(Watched, "_take", lambda *_: None)
    kube.api.apply(setting(side="canary"))
    await eventually(lambda: sides(shop) == {"lane": "canary"})
    monkeypatch.undo()
    kube.api.apply(setting(side="both"))
    await eventually(lambda: sides(shop) == {"lane": "both"})


async def test_a_version_that_is_gone_begins_with_a_new_list(shop: Watched, kube: Namespace) -> None:
    kube.api.apply(setting(side="stable"))
    await shop.objects()
    with pytest.raises(KubeError) as told:
        shop._take({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
    assert told.value.status == 410
    shop._version = "1"  # compacted, or before this server's time
    assert shop._watching is not None
    shop._watching.cancel()
    kube.api.apply(setting(side="canary"))
    await asyncio.sleep(0)
    await shop.objects()
    await eventually(lambda: sides(shop) == {"lane": "canary"})


async def test_an_event_that_a_list_has_overtaken_changes_nothing(shop: Watched, kube: Namespace) -> None:
    kube.api.apply(setting(side="stable"))
    [old] = await shop.objects()
    kube.api.apply(setting(side="canary"))
    await shop.objects(0)
    shop._take({"type": "MODIFIED", "object": old})
    assert sides(shop) == {"lane": "canary"}


async def test_what_can_not_be_proven_is_an_error_and_what_was_known_stays_known(own_kube: Namespace) -> None:
    own_kube.api.apply(setting(side="stable"))
    cluster = Cluster(own_kube.kubeconfig())
    watched = Watched(cluster, SETTINGS, own_kube.name)
    try:
        await watched.objects()
        own_kube.world.etcd.kill()
        await asyncio.sleep(1)
        with pytest.raises(KubeError):
            await watched.objects(oldest=0.5)
        assert sides(watched) == {"lane": "stable"}
        await asyncio.to_thread(own_kube.world.etcd.start)
        own_kube.world.server.kill()
        await asyncio.to_thread(own_kube.world.server.start)
        own_kube.api.apply(setting(side="canary"))
        await eventually(lambda: sides(watched) == {"lane": "canary"})
        assert await watched.objects() == watched.known
    finally:
        await watched.close()
        await cluster.close()


async def test_a_user_who_may_not_list_is_told_so(kube: Namespace) -> None:
    cluster = Cluster(kube.kubeconfig("rbac-2"))
    watched = Watched(cluster, SETTINGS, kube.name)
    try:
        with pytest.raises(KubeError, match="may not list configmaps"):
            await watched.objects()
    finally:
        await watched.close()
        await cluster.close()
