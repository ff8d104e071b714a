"""Programs that tests use beside Python."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "LANESHIFT_REQUIRE_REAL"


def need(*programs: str) -> None:
    """Skip the test when a program is missing and say which; fail where all must be there, as CI demands."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    why = f"needs {', '.join(missing)}, which is not installed"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{why} ({REQUIRED} is set)")
    pytest.skip(why)
