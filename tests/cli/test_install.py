"""`laneshift serve --install`: what it writes, what it refuses, what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli import install
from cli.ending import Failed


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without systemd that this test is root of; yields its folder and the commands that were run."""
    for name in ("UNIT", "USERS", "CONFIG"):
        monkeypatch.setattr(install, name, tmp_path / "etc" / getattr(install, name).name)
    ran: list[list[str]] = []

    def run(command, **_options) -> subprocess.CompletedProcess[str]:
        ran.append(list(command))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(install, "_require_reachable", lambda _python: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(install, "BOOTED", tmp_path / "booted")
    return tmp_path / "etc", ran


def test_it_writes_the_unit_the_user_and_an_empty_configuration(laneshift, machine):
    folder, ran = machine
    ended = laneshift("serve", "--install", "--group", "releasers", "--store", "postgresql://db/laneshift")
    assert ended.code == 0, ended.err
    unit = (folder / "laneshift.service").read_text()
    assert (
        "--socket /run/laneshift/engine.sock --group releasers --supervised --store postgresql://db/laneshift" in unit
    )
    assert "User=laneshift\nGroup=releasers\n" in unit
    assert "u laneshift -:releasers " in (folder / "laneshift.conf").read_text()
    assert (folder / "engine.yaml").read_text().endswith("commands: {}\n")
    assert ran == [["systemd-sysusers", str(folder / "laneshift.conf")]]
    assert "  systemctl enable --now laneshift\n" in ended.out
    assert "usermod -aG releasers NAME" in ended.out


def test_the_empty_configuration_is_a_good_one(tmp_path):
    from engine.config import parse_engine_config

    assert parse_engine_config(install._CONFIG.encode()).commands == {}


def test_where_systemd_runs_it_starts_the_engine(laneshift, machine):
    _, ran = machine
    install.BOOTED.mkdir()
    assert laneshift("serve", "--install").code == 0
    assert ran[1:] == [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "laneshift"]]


def test_what_is_there_and_differs_is_not_replaced_unasked(laneshift, machine):
    folder, ran = machine
    assert laneshift("serve", "--install").code == 0
    assert laneshift("serve", "--install").code == 0, "the same again is no difference"
    (folder / "engine.yaml").write_text("commands: {mine: {}}\n")
    unit = folder / "laneshift.service"
    unit.write_text(unit.read_text().replace("RestartSec=1", "RestartSec=9"))
    ran.clear()
    ended = laneshift("serve", "--install")
    assert (ended.code, ran) == (4, [])
    assert "differs; --force replaces it" in ended.err
    assert "-RestartSec=9" in ended.err
    assert "+RestartSec=1" in ended.err
    assert laneshift("serve", "--install", "--force").code == 0
    assert "RestartSec=1\n" in unit.read_text()
    assert "mine" in (folder / "engine.yaml").read_text(), "the configuration is people's own"


def test_print_writes_nothing(laneshift, machine, monkeypatch):
    folder, ran = machine
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ended = laneshift("serve", "--install", "--print")
    assert ended.code == 0
    assert f"# {folder / 'laneshift.service'}\n[Unit]" in ended.out
    assert (folder.exists(), ran) == (False, [])


def test_without_root_it_says_the_command(laneshift, machine, monkeypatch):
    folder, _ = machine
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ended = laneshift("serve", "--install", "--group", "releasers")
    assert (ended.code, folder.exists()) == (4, False)
    assert "sudo /bin/laneshift serve --install --group releasers; --print shows what" in ended.err


def test_an_installation_in_a_home_folder_is_refused():
    with pytest.raises(Failed, match="is in a home folder, which the service can't see"):
        install._require_reachable(Path("/home/ann/.venv/bin/python"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--install --user root;id", "is no name of a user or a group"),
        ("--install --group -x", "is no name of a user or a group"),
        ("--install --store postgresql://me:secret@db/x", "with a password would be readable by everybody"),
        ("--install --socket /tmp/x", "has its own socket"),
        ("--print", "go with --install"),
        ("--force", "go with --install"),
    ],
)
def test_what_it_does_not_take_ends_with_2(laneshift, machine, line, why):
    folder, ran = machine
    ended = laneshift("serve", *line.split())
    assert (ended.code, folder.exists(), ran) == (2, False, [])
    assert why in ended.err


def test_a_command_that_fails_is_said(laneshift, machine, monkeypatch):
    monkeypatch.setattr(
        "subprocess.run", lambda command, **_options: subprocess.CompletedProcess(command, 1, "", "no such thing\n")
    )
    ended = laneshift("serve", "--install")
    assert ended.code == 4
    assert "systemd-sysusers" in ended.err
    assert "failed: no such thing" in ended.err
