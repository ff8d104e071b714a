"""Rolling back without an engine: the release's own rollback.sh, offered and run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from cli.ending import Exit, fail, warn
from engine.line import SYSTEM_STATE, TLS, scripts_folder

SYSTEM_USER = "laneshift"


def offer_script(place: str, name: str | None, why: str) -> NoReturn:
    """Without the engine at this address there is still rollback.sh; run it when a person says so."""
    warn(why)
    folder = Path(scripts_folder(place))
    try:
        script = _script_for(folder, name)
    except PermissionError:
        fail(Exit.NO_ENGINE, _for_its_user(folder, name))
    if script is None:
        fail(Exit.NO_ENGINE, _none_here(place, folder, name))
    if not sys.stdin.isatty() or not _confirmed(script):
        fail(Exit.NO_ENGINE, f"no engine; by hand: sh {shlex.quote(str(script))}", script=str(script))
    done = subprocess.run(["/bin/sh", str(script)], check=False)  # noqa: S603  # by the engine, in a folder of mode 0700
    if done.returncode != 0:
        fail(Exit.ROLLBACK_FAILED, f"{script} could not bring all traffic back")
    sys.exit(Exit.DONE)


def _for_its_user(folder: Path, name: str | None) -> str:
    """The scripts run with what the engine's user may do, so they are that user's to read."""
    wanted = shlex.quote(str(folder / "releases" / (name or "ID") / "rollback.sh"))
    user = SYSTEM_USER if str(folder) == SYSTEM_STATE else "USER"
    return (
        f"no engine, and you may not read {folder}/releases; by hand, as the engine's user: sudo -u {user} sh {wanted}"
    )


def _none_here(place: str, folder: Path, name: str | None) -> str:
    said = f"no engine, and no rollback.sh of {name or 'a release'} in {folder}/releases"
    return f"{said}: it is on the engine's own machine" if place.startswith(TLS) else said


def _script_for(folder: Path, name: str | None) -> Path | None:
    """The script written last, of the release or the service `name`. Raises PermissionError."""
    releases = folder / "releases"
    if str(folder) == SYSTEM_STATE:
        next(folder.iterdir(), None)  # a glob is silent about what it may not read
    fitting = [
        one
        for one in releases.glob("*/rollback.sh")
        if name in (None, one.parent.name, one.parent.name.rpartition("-")[0])
    ]
    return max(fitting, key=lambda script: script.stat().st_mtime, default=None)


def _confirmed(script: Path) -> bool:
    warn(f"{script} takes all traffic of {script.parent.name} back to stable, without an engine.")
    sys.stderr.write("Run it now? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
