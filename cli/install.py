"""`laneshift serve --install`: the engine as a service of systemd, started after a boot and whenever it ends."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cli.ending import Exit, fail, warn

UNIT = Path("/etc/systemd/system/laneshift.service")
USERS = Path("/etc/sysusers.d/laneshift.conf")
CONFIG = Path("/etc/laneshift/engine.yaml")
BOOTED = Path("/run/systemd/system")  # it is there where systemd runs: sd_booted(3)
NAME = re.compile("[a-z_][a-z0-9_-]{0,30}")
PASSWORD = re.compile("://[^/@]*:[^/]*@")
STARTED = "systemctl daemon-reload", "systemctl enable --now laneshift"


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit is made for: the user and the group it runs as, its store, and the Python of this installation."""

    user: str = "laneshift"
    group: str = "laneshift"
    store: str = ""
    python: str = sys.executable

    def files(self) -> dict[Path, str]:
        """What is written, by its place."""
        return {UNIT: self._unit(), USERS: self._users()}

    def _unit(self) -> str:
        store = f" --store {_quoted(self.store)}" if self.store else ""
        serve = f"{_quoted(self.python)} -P -m cli.main serve --socket /run/laneshift/engine.sock --group {self.group}"
        return _UNIT.format(user=self.user, group=self.group, command=f"{serve} --supervised{store}")

    def _users(self) -> str:
        home = "/var/lib/laneshift"
        return (
            "# The user that the engine of laneshift runs as, and the group that may open its socket.\n"
            f"g {self.group} -\n"
            f'u {self.user} -:{self.group} "laneshift engine" {home}\n'
        )


_UNIT = """\
[Unit]
Description=laneshift: the engine that guards releases
Documentation=https://github.com/laneshift/laneshift
After=network-online.target
Wants=network-online.target
# It is started again however often it ends: nothing else guards its releases.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
User={user}
Group={group}
Restart=always
RestartSec=1
WatchdogSec=30
# Releases are taken up, each with a look at its route, before it says that it is ready.
TimeoutStartSec=180
TimeoutStopSec=30
KillMode=mixed
Environment=LANESHIFT_HOME=/var/lib/laneshift HOME=/var/lib/laneshift LANESHIFT_ENGINE_CONFIG=/etc/laneshift/engine.yaml
# Secrets of plans, proxies, KUBECONFIG, AWS_PROFILE: NAME=value, a line each, readable by root alone.
EnvironmentFile=-/etc/laneshift/environment
# The socket in it is for the group; the folder stays when the engine is away, so that clients say that it is away.
RuntimeDirectory=laneshift
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
# The journal, and each release's rollback.sh: for the engine's user alone.
StateDirectory=laneshift
StateDirectoryMode=0700
ConfigurationDirectory=laneshift
UMask=0077
LimitNOFILE=65536
OOMScoreAdjust=-500

# No PrivateUsers: who asks is known by the user of the connection. No MemoryDenyWriteExecute: programs that plans run.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# The socket is given to its group.
SystemCallFilter=@chown
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

_CONFIG = """\
# What the engine may do, and for whom: commands that plans may run, roles, tokens. See docs/operations.md.
commands: {}
"""


def set_up(service: Service, *, print_only: bool = False, force: bool = False) -> None:
    """Write the unit and its user, create the user, and start the engine where systemd runs. For root alone."""
    _require_plain(service)
    if print_only:
        for path, text in service.files().items():
            click.echo(f"# {path}\n{text}")
        return
    if os.geteuid() != 0:
        fail(Exit.REFUSED, f"--install writes to /etc: sudo {' '.join(_again(service))}; --print shows what")
    _require_reachable(Path(service.python))
    _refuse_to_replace(service.files(), force=force)
    for path, text in service.files().items():
        _write(path, text)
    _create_user()
    if not CONFIG.exists():
        _write(CONFIG, _CONFIG)
    _start(service)


def _require_plain(service: Service) -> None:
    for name in (service.user, service.group):
        if not NAME.fullmatch(name):
            fail(Exit.BAD_INPUT, f"{name!r} is no name of a user or a group")
    if not service.store.isprintable() or PASSWORD.search(service.store):
        hidden = "store: ${file:PATH}"
        fail(
            Exit.BAD_INPUT,
            f"a --store with a password would be readable by everybody: write `{hidden}` into {CONFIG}",
        )


def _again(service: Service) -> list[str]:
    given = [("--user", service.user), ("--group", service.group), ("--store", service.store)]
    said = [word for name, value in given if value not in ("", "laneshift") for word in (name, value)]
    return [shutil.which("laneshift") or "laneshift", "serve", "--install", *said]


def _require_reachable(python: Path) -> None:
    """The unit sees no home folder, so nothing there can be run by it."""
    for place in (python, Path(__file__)):
        if place.resolve().is_relative_to("/home") or place.resolve().is_relative_to("/root"):
            fail(
                Exit.REFUSED,
                f"{place} is in a home folder, which the service can't see: install laneshift into /opt/laneshift "
                "(python3 -m venv /opt/laneshift && /opt/laneshift/bin/pip install laneshift) and run --install there",
            )


def _refuse_to_replace(files: dict[Path, str], *, force: bool) -> None:
    for path, text in files.items():
        there = path.read_text(encoding="utf-8") if path.exists() else text
        if there == text or force:
            continue
        changes = "\n".join(difflib.unified_diff(there.splitlines(), text.splitlines(), str(path), "new", lineterm=""))
        fail(Exit.REFUSED, f"{path} is there and differs; --force replaces it:\n{changes}", path=str(path))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o644)
    draft.replace(path)
    click.echo(f"wrote {path}")


def _create_user() -> None:
    if shutil.which("systemd-sysusers"):
        _run("systemd-sysusers", str(USERS))
    else:
        warn(f"there is no systemd-sysusers here: create the user and the group of {USERS} by hand")


def _start(service: Service) -> None:
    if BOOTED.is_dir():
        for command in STARTED:
            _run(*command.split())
        click.echo("the engine runs: systemctl status laneshift")
    else:
        click.echo("systemd does not run here; where it does:")
        for command in STARTED:
            click.echo(f"  {command}")
    click.echo(f"let people in: usermod -aG {service.group} NAME; they log in again, and `laneshift` finds it")


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # names of this file
    if done.returncode != 0:
        fail(Exit.REFUSED, f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    click.echo(f"ran {' '.join(command)}")


def _quoted(word: str) -> str:
    """A word of a unit's command line: % and $ are systemd's own signs there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or not word or any(letter.isspace() for letter in word) else word
