"""rollback.sh: the way back when laneshift itself is broken. POSIX sh, no Python; it rolls back and verifies."""

from __future__ import annotations

import os
from pathlib import Path

from engine.routers import Router
from engine.state import State

NAME = "rollback.sh"

_FRAME = """#!/bin/sh
# Rolls {release} back without laneshift: all traffic of {target} to stable, then reads it back.
# Written by laneshift at stage {stage}. Safe at any time, twice; exit 0 only when stable has all traffic.
say() {{ printf 'rollback.sh: %s\\n' "$*"; }}
ok=0
tries=0
while [ "$tries" -lt 30 ] && [ "$ok" -ne 1 ]; do
    tries=$((tries + 1))
    [ "$tries" -eq 1 ] || sleep 1
{body}
done
if [ "$ok" -eq 1 ]; then
    say "done: all traffic is on stable"
    exit 0
fi
say "NOT DONE: stable does not have all traffic after $tries tries"
exit 1
"""


def script_path(home: Path, release: str) -> Path:
    """Where a release's rollback.sh is."""
    return home / "releases" / release / NAME


def script_of(router: Router, release: str, stage: int) -> str:
    """The whole script of a release at this stage, counted from 1."""
    lines = router.rollback_script(release).strip().splitlines()
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    return _FRAME.format(release=release, target=router.target, stage=stage, body=body)


def write_script(home: Path, state: State, router: Router) -> None:
    """Write or replace it, whole or not at all. An OSError (a full disk) is left to the caller."""
    path = script_path(home, state.release)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(script_of(router, state.release, max(0, state.stage) + 1))
        file.flush()
        os.fsync(file.fileno())  # renamed before that, a power cut could leave an empty script
    draft.chmod(0o700)
    draft.replace(path)
