"""Fixtures of every test. What they start, they start when the first test asks for it."""

from __future__ import annotations

from hypothesis import settings

from tests.support.kube_fixtures import kube, kube_world, own_kube

__all__ = ["kube", "kube_world", "own_kube"]

settings.register_profile("unhurried", deadline=None)  # no test says how long something may take
settings.load_profile("unhurried")
