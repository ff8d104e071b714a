"""`laneshift status --watch` over the death of a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.engine_process import stand

pytestmark = pytest.mark.real


def test_a_line_log_outlives_its_engine_and_misses_nothing():
    with stand() as place:
        place.boot()
        place.start(advance="manual")
        command = [sys.executable, "-P", "-m", "cli.main", "status", place.release, "--watch", "--json"]
        environment = os.environ | {"LANESHIFT_HOME": str(place.home)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as log:
            assert log.stdout is not None
            lines = [log.stdout.readline()]
            place.kill()
            assert log.stderr is not None
            assert "trying again for 60 s" in log.stderr.readline()
            place.boot()
            place.order("note", reason="after the engine's death")
            place.order("cancel", reason="seen enough")
            rest, said = log.communicate(timeout=30)
        assert log.returncode == 4, said
        assert "the engine is back after" in said
        told = [json.loads(line) for line in (*lines, *rest.splitlines())]
        numbers = [one["seq"] for one in told]
        assert numbers == sorted(set(numbers)), "nothing twice"
        assert "after the engine's death" in [one.get("text") for one in told]
        assert "Cancelled" in [one["type"] for one in told]
