"""The demo without a screen: real sandbox, real engine, real time. Everything else runs on fast plans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder of its own, whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        yield Path(folder)


def demo(home: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, result and everything printed."""
    command = [sys.executable, "-P", "-m", "cli.main", "demo", "--headless", "--json", *options]
    environment = {**os.environ, "LANESHIFT_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=380, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stdout


def test_a_healthy_canary_goes_through_every_stage(home: Path) -> None:
    code, result, printed = demo(home)
    assert (code, result["outcome"]) == (0, "promoted"), printed
    assert result["weights"] == [5, 25, 50, 100]
    assert result["rollback_s"] is None
    assert result["canary_requests"] > 5000
    assert result["checklist"]["total"] == 24
    assert not (home / "sandbox" / "sandbox.ready.json").exists(), "the sandbox was left running"


@pytest.mark.parametrize(
    ("fault", "words"), [("checkout", ("checkout_success",)), ("crash", ("error_rate", "liveness"))]
)
def test_a_broken_canary_is_taken_back_for_the_right_reason(home: Path, fault: str, words: tuple[str, ...]) -> None:
    code, result, printed = demo(home, "--fault", fault)
    assert (code, result["outcome"]) == (1, "rolled_back"), printed
    assert any(word in result["reason"] for word in words), result
    assert result["weights"] == [5, 0]
    assert result["canary_bad"] > 0
