"""`laneshift rollback`: the one command that must work whatever else is broken."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from cli.ending import Exit, fail, show
from cli.pick import pick
from engine.client import EngineClient, EngineGone, ensure_engine

POLL_S = 0.05


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--reason", default="", help="why; it is recorded")
@click.option("--no-wait", is_flag=True, help="return when the order is accepted, not when it is in effect")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def rollback(release: str | None, reason: str, no_wait: bool, as_json: bool) -> None:
    """All traffic back to the version that was stable at the start. With one release under way it needs no name.

    Starts an engine when none runs; when that fails too, offers to run the release's own rollback.sh.
    """
    asked_at = time.time()
    client = EngineClient()
    try:
        ident = pick(client, release, ended=True)
    except EngineGone:
        ident = _with_new_engine(client, release)
    answer = client.give(ident, "rollback", reason=reason, asked_at=asked_at)
    if not answer.accepted:
        fail(Exit.REFUSED, f"{ident}: {answer.why}")
    if no_wait:
        show(as_json, {"release": ident, "accepted": True}, f"{ident}: roll back accepted")
        return
    _follow(client, ident, asked_at, as_json)


def _with_new_engine(client: EngineClient, release: str | None) -> str:
    sys.stderr.write("laneshift: no engine answers; starting one\n")
    try:
        ensure_engine(client)
        return pick(client, release, ended=True)
    except EngineGone as error:
        _offer_script(client.folder, release, str(error))


def _offer_script(folder: Path, release: str | None, why: str) -> NoReturn:
    """Without an engine there is still rollback.sh; run it when a person says so."""
    scripts = sorted(folder.glob("releases/*/rollback.sh"), key=lambda script: script.stat().st_mtime)
    wanted = [script for script in scripts if release is None or script.parent.name == release] or scripts
    sys.stderr.write(f"laneshift: {why}\n")
    if not wanted:
        fail(Exit.NO_ENGINE, f"and there is no rollback.sh in {folder}/releases")
    script = wanted[-1]
    question = f"run {script} now? it takes all traffic of {script.parent.name} back to stable"
    if not sys.stdin.isatty() or not click.confirm(question, err=True):
        fail(Exit.NO_ENGINE, f"by hand: sh {script}")
    done = subprocess.run(["/bin/sh", str(script)], check=False)  # noqa: S603  # written by the engine, in a folder of mode 0700
    sys.exit(Exit.DONE if done.returncode == 0 else Exit.ROLLBACK_FAILED)


def _follow(client: EngineClient, release: str, asked_at: float, as_json: bool) -> None:
    while True:
        seen = client.look(release)
        if seen["phase"] == "rolled_back":
            seconds = (seen["rollback"]["observed"] or time.time()) - asked_at
            text = f"{release}: rolled back; all traffic on {seen['stable']} after {max(0.0, seconds):.2f} s"
            show(as_json, {"release": release, "phase": seen["phase"], "seconds": round(seconds, 3)}, text)
            return
        if seen["phase"] == "rollback_failed":
            fail(Exit.ROLLBACK_FAILED, f"{release}: {seen['waits_for']}")
        time.sleep(POLL_S)
