"""What is sent again and what is not, against a server that answers what it is told to."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.kube import attempts
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.resources import HTTPROUTES, SERVICES
from tests.support.canned_http import NEVER, Canned, answered, canned

JSON = {"Content-Type": "application/json"}


def said(status: int, message: str = "", **more: Any) -> bytes:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": status, **more}
    return answered(status, json.dumps(body).encode(), JSON)


GOOD = answered(200, b'{"kind": "HTTPRoute"}', JSON)


@pytest.fixture
async def server() -> AsyncIterator[Canned]:
    async with canned() as told:
        yield told


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(attempts, "LONGEST_PAUSE_S", 0.02)


@pytest.fixture
async def cluster(server: Canned, tmp_path: Path) -> AsyncIterator[Cluster]:
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "ann"}}],
        "clusters": [{"name": "test", "cluster": {"server": server.url}}],
        "users": [{"name": "ann", "user": {"token": "secret"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    for late in ("kubernetes.aio.config", "engine.kube.session"):
        importlib.import_module(late)  # that takes its time, and the limits below are short
    opened = Cluster(path)
    yield opened
    await opened.close()


class Turns(dict[str, bytes]):
    """Answers of one path, one after the other; the last one stays."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__()
        self._left = list(answers)

    def get(self, _path: str, _default: Any = None) -> Any:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


async def read(cluster: Cluster, time_limit: float = 5.0) -> dict[str, Any]:
    return await cluster.get(HTTPROUTES, "shop", "checkout", time_limit=time_limit)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_later_is_asked_again(cluster: Cluster, server: Canned, status: int) -> None:
    server.answers = Turns(said(status), said(status), GOOD)
    assert await read(cluster) == {"kind": "HTTPRoute"}
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
async def test_no_is_not_asked_again(cluster: Cluster, server: Canned, status: int) -> None:
    server.answers = Turns(said(status, "no"), GOOD)
    with pytest.raises(KubeError, match="no") as told:
        await read(cluster)
    assert told.value.status == status
    assert len(server.seen) == 1


async def test_a_raise_is_sent_again_too_it_is_compare_and_set(cluster: Cluster, server: Canned) -> None:
    server.answers = Turns(said(503), GOOD)
    await cluster.patch(HTTPROUTES, "shop", "checkout", [{"op": "test", "path": "/a", "value": 1}])
    assert [method for method, *_ in server.seen] == ["PATCH", "PATCH"]


async def test_what_is_created_is_asked_for_again_only_where_nothing_was_done(cluster: Cluster, server: Canned) -> None:
    server.answers = Turns(said(503), GOOD)
    with pytest.raises(KubeError, match="answered 503"):
        await cluster.create(SERVICES, "shop", {"metadata": {"name": "checkout"}})
    server.answers = Turns(said(429), GOOD)
    await cluster.create(SERVICES, "shop", {"metadata": {"name": "checkout"}})
    assert len(server.seen) == 3


async def test_a_server_that_asks_for_patience_gets_no_more_than_there_is(cluster: Cluster, server: Canned) -> None:
    later = answered(429, b"{}", {**JSON, "Retry-After": "3600"})
    server.answers = Turns(later)
    with pytest.raises(KubeError, match=r"no success within 0\.3 s.*answered 429"):
        await read(cluster, time_limit=0.3)


async def test_silence_is_told_in_time_and_left_for_new_connections(cluster: Cluster, server: Canned) -> None:
    server.answers = Turns(NEVER, GOOD)
    assert await read(cluster, time_limit=3) == {"kind": "HTTPRoute"}


@pytest.mark.parametrize("nonsense", [b"<html>", b"[]", b"", b"null"])
async def test_what_is_no_object_is_said(cluster: Cluster, server: Canned, nonsense: bytes) -> None:
    server.answers = Turns(answered(200, nonsense))
    with pytest.raises(KubeError, match="is this a Kubernetes API server"):
        await read(cluster)


async def test_a_patch_that_does_not_apply_is_a_conflict_and_an_invalid_object_is_none(
    cluster: Cluster, server: Canned
) -> None:
    """As the real server tells the two apart (test_cluster_real)."""
    server.answers = Turns(said(422, "rejected", reason="Invalid", details={}))
    with pytest.raises(KubeConflict):
        await cluster.patch(HTTPROUTES, "shop", "checkout", [])
    server.answers = Turns(said(422, "weight: Invalid value", reason="Invalid", details={"name": "checkout"}))
    with pytest.raises(KubeError) as told:
        await cluster.patch(HTTPROUTES, "shop", "checkout", [])
    assert not isinstance(told.value, KubeConflict)


async def test_no_secret_is_in_what_is_said(cluster: Cluster, server: Canned) -> None:
    server.answers = Turns(said(401, "Unauthorized"))
    with pytest.raises(KubeError, match=r"user ann .context test.: the credentials are not accepted") as told:
        await read(cluster)
    assert "secret" not in str(told.value)
    assert len(server.seen) == 2, "once more, with credentials that were read anew"
    assert "authorization: bearer secret" in server.seen[0][3].lower()


async def test_a_server_that_is_not_there_is_said(tmp_path: Path, server: Canned, cluster: Cluster) -> None:
    path = tmp_path / "elsewhere"
    path.write_text((tmp_path / "config").read_text().replace(server.url, "http://127.0.0.1:1"))
    nowhere = Cluster(path)
    try:
        with pytest.raises(KubeError, match="can't connect"):
            await read(nowhere)
    finally:
        await nowhere.close()


async def test_a_kubeconfig_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="there is no kubeconfig at"):
        await Cluster(tmp_path / "missing").open()
