"""The unit, by systemd's own tools, and its copy for people who pack it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.install import UNIT, USERS, Service
from tests.support.programs import need

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"
PACKED = Service(python="/opt/laneshift/bin/python")
EXPOSURE = 1.5  # of 10; what is left is the network, and that plans' programs run


@pytest.fixture
def unit(tmp_path):
    """As --install writes it here."""
    path = tmp_path / "laneshift.service"
    path.write_text(Service(python=sys.executable, store="postgresql://db/100%").files()[UNIT])
    return path


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    need("systemd-analyze")
    return subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True, timeout=60)


def test_the_packed_files_are_those_that_install_writes():
    files = PACKED.files()
    assert (DEPLOY / "laneshift.service").read_text() == files[UNIT]
    assert (DEPLOY / "laneshift.sysusers.conf").read_text() == files[USERS]


def test_systemd_takes_the_unit_without_a_word(unit):
    verified = systemd_analyze("verify", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_it_is_closed_up(unit):
    judged = systemd_analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE * 10:g}", str(unit))
    said = re.search(r"Overall exposure level for laneshift.service: ([0-9.]+)", judged.stdout)
    assert said, judged.stderr
    assert float(said[1]) <= EXPOSURE
    assert judged.returncode == 0


def test_it_comes_back_after_everything_and_is_watched():
    unit = PACKED.files()[UNIT].splitlines()
    for line in ("Restart=always", "StartLimitIntervalSec=0", "Type=notify", "WatchdogSec=30", "KillMode=mixed"):
        assert line in unit
    assert "WantedBy=multi-user.target" in unit


def test_what_stands_in_a_command_line_is_taken_as_it_is(unit):
    assert '--store "postgresql://db/100%%"' in unit.read_text()


def test_systemd_takes_the_user(tmp_path):
    need("systemd-sysusers")
    path = tmp_path / "laneshift.conf"
    path.write_text(PACKED.files()[USERS])
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
