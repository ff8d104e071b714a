"""A plan's files come with `laneshift start`: kept with the release, proven by their hashes, there after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events as ev
from engine.events import CheckOutcome
from tests.support.engine_process import PLAN, Stand, stand

pytestmark = pytest.mark.real

TESTS = """
def test_a_cart_adds(record_testsuite_property):
    record_testsuite_property("version", "{version}")
    assert 1 + 1 == 2
"""
CHECKS = """checks:
  pre:
    - junit: {file: reports/regression.xml, revision_property: version}
"""


def report(folder: Path, version: str) -> bytes:
    """A report that pytest writes of a test of that version."""
    folder.mkdir(parents=True)
    (folder / "test_cart.py").write_text(TESTS.format(version=version))
    made = folder / "regression.xml"
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, f"--junitxml={made}"]
    subprocess.run([*asked, folder / "test_cart.py"], check=True, capture_output=True, cwd=folder)
    return made.read_bytes()


def start(place: Stand, folder: Path) -> None:
    plan = folder / "plan.yaml"
    text = PLAN.format(gateway=place.sandbox.urls.gateway, advance="manual")
    plan.write_text(text[: text.index("checks:")] + CHECKS)
    started = subprocess.run(
        [sys.executable, "-P", "-m", "cli.main", "start", str(plan), "--json"],
        env={**os.environ, "LANESHIFT_HOME": str(place.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    place.release = json.loads(started.stdout)["release"]


def outcomes(place: Stand) -> list[CheckOutcome]:
    return [event.outcome for event in place.history() if isinstance(event, ev.CheckFinished)]


def test_a_report_that_came_with_the_plan_proves_its_own_revision_also_after_a_crash(tmp_path: Path) -> None:
    with stand() as place:
        content = report(tmp_path / "reports", "v1.5.0")
        place.boot()
        start(place, tmp_path)
        (tmp_path / "reports" / "regression.xml").unlink()  # what counts is what was sent
        place.until(lambda: outcomes(place))
        place.kill()
        place.boot()
        created = next(event for event in place.history() if isinstance(event, ev.Created))
        assert created.files == {"reports/regression.xml": hashlib.sha256(content).hexdigest()}
        assert outcomes(place)[-1] is CheckOutcome.PASS
        assert place.look()["checks"][0]["outcome"] == "pass"


def test_a_report_of_another_revision_is_no_proof_and_nothing_begins(tmp_path: Path) -> None:
    with stand() as place:
        report(tmp_path / "reports", "v1.4.0")
        place.boot()
        start(place, tmp_path)
        place.until(lambda: outcomes(place))
        assert CheckOutcome.PASS not in outcomes(place)
        seen = place.look()
        refused = place.client.give(place.release, "advance", stage=-1, revision=seen["revision"])
        assert not refused.accepted
        assert "v1.4.0" in refused.why
        assert place.weight() == 0
