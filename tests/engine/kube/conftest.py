"""Clusters for the tests of Kubernetes access."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.kube.cluster import Cluster
from tests.support.kube_world import Namespace


@pytest.fixture
async def cluster(kube: Namespace) -> AsyncIterator[Cluster]:
    """The admin's, in the shared world."""
    opened = Cluster(kube.kubeconfig())
    yield opened
    await opened.close()
