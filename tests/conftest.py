"""Fixtures of every test. What they start, they start when the first test asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.kube_fixtures import kube, kube_world, own_kube

__all__ = ["kube", "kube_world", "own_kube"]

settings.register_profile("unhurried", deadline=None)  # no test says how long something may take
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`: a file's tests share what they start, and those from end to end share one site."""
    for item in items:
        folder = Path(item.path).parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder == "end_to_end" else str(item.path)))
