"""A sandbox for tests: real, on free ports, gone when the test ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.process import running
from sandbox.ready import Urls


@contextmanager
def running_sandbox(**options: Any) -> Iterator[Urls]:
    """Where a sandbox answers for as long as the block lasts; `options` are those of `sandbox.process.start`."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory), **{"base_port": 0, "seed": 7, **options}) as started,
    ):
        yield started.urls


@pytest.fixture
def sandbox() -> Iterator[Urls]:
    """A sandbox of a test's own, with 300 requests a second."""
    with running_sandbox() as urls:
        yield urls
