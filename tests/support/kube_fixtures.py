"""A Kubernetes for a test: `kube`, a namespace in this process' own world, or `own_kube`, in a world to break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.kube_world import KubeWorld, Namespace


@pytest.fixture(scope="session")
def kube_world() -> Iterator[KubeWorld]:
    """One cluster for all tests of this process that leave it as it is."""
    from tests.support.kube_world import running_world

    with running_world() as world:
        yield world


@pytest.fixture
def kube(kube_world: KubeWorld) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    from tests.support.kube_world import new_namespace

    namespace = new_namespace(kube_world)
    yield namespace
    kube_world.api().delete("Namespace", namespace.name)  # emptied when the controllers run, and closed at once


@pytest.fixture
def own_kube() -> Iterator[Namespace]:
    """A namespace in a world of the test's own, to be stopped and broken as it likes."""
    from tests.support.kube_world import new_namespace, running_world

    with running_world() as world:
        yield new_namespace(world)
