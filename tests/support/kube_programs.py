"""Where the programs of the tests' Kubernetes are, and what a test does that has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kube import build
from tests.support.programs import REQUIRED, need


def need_kube() -> Path:
    """The folder of `make kube`, with bin/ and crds/ in it.

    Skips the test where it was not built and says how; where everything must be there, builds it, and fails if it
    can't.
    """
    need("openssl")
    if build.ready():
        return build.folder()
    if not os.environ.get(REQUIRED):
        pytest.skip("needs the Kubernetes control plane, which is not built (make kube builds it)")
    try:
        return build.build()
    except build.CannotBuildError as error:
        pytest.fail(f"{error} ({REQUIRED} is set)")
