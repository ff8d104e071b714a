"""Rolling back from a shell: the one thing that must work whatever else is broken, and at once.

With an engine at hand nothing is imported but this, and what it needs of `engine.line`. Without one an engine is
started; when that fails too, the release's own rollback.sh is offered.
"""

from __future__ import annotations

import os
import sys
import time

from cli.ending import Exit, fail, show, warn
from cli.pick import pick
from engine.line import EngineGone, EngineRefused, ask, give, release_path, state_folder

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `cli.ending`
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any, NoReturn

ANSWER_LIMIT_S = 3.0  # an engine that takes an order to roll back has answered long before
POLL_S = 0.02
SWITCHES = ("--no-wait", "--json")
LAST = ("promoted", "rolled_back")  # without a name the last release may have ended so


class Wanted:
    """What `laneshift rollback` was asked for. `name` is a release, a service, or None for the only one under way."""

    def __init__(
        self, name: str | None = None, reason: str = "", *, no_wait: bool = False, as_json: bool = False
    ) -> None:
        self.name = name
        self.no_wait = no_wait
        self.as_json = as_json
        self.asked_at = time.time()
        order_id = os.urandom(16).hex()  # one for all attempts: the order counts once
        self.order = {"verb": "rollback", "id": order_id, "reason": reason, "asked_at": self.asked_at}


def read(arguments: Sequence[str]) -> Wanted | None:
    """The plain forms `[NAME] [--reason WHY] [--no-wait] [--json]`; None for anything else, which click reads or
    explains: importing it takes longer than rolling back."""
    left = list(arguments)
    reason = ""
    if "--reason" in left[:-1]:
        at = left.index("--reason")
        reason = left[at + 1]
        del left[at : at + 2]
    switches = [one for one in left if one in SWITCHES]
    names = [one for one in left if one not in SWITCHES]
    if len(names) > 1 or any(one.startswith("-") for one in [reason, *names]):
        return None
    return Wanted(names[0] if names else None, reason, no_wait="--no-wait" in switches, as_json="--json" in switches)


def roll_back(wanted: Wanted) -> None:
    """Order it and, unless told not to, wait until it is in effect."""
    folder = state_folder()
    release = _with_engine(wanted.name, lambda: _order(folder, wanted))
    if wanted.no_wait:
        show(wanted.as_json, {"release": release, "accepted": True}, f"{release}: roll back accepted")
        return
    seen = _with_engine(release, lambda: _ended(folder, release))
    if seen["phase"] == "rollback_failed":
        fail(Exit.ROLLBACK_FAILED, f"{release}: {seen['waits_for']}", release=release, phase=seen["phase"])
    seconds = max(0.0, (seen["rollback"]["observed"] or time.time()) - wanted.asked_at)
    text = f"{release}: rolled back; all traffic on {seen['stable']} after {seconds:.2f} s"
    show(wanted.as_json, {"release": release, "phase": seen["phase"], "seconds": round(seconds, 3)}, text)


def _order(folder: str, wanted: Wanted) -> str:
    """Give the order; returns the release's id. A name is tried as an id first: that spares a question."""
    release = wanted.name
    if release is not None:
        try:
            return _given(folder, release, wanted)
        except EngineRefused as refused:
            if refused.status != 404:
                raise
    return _given(folder, pick(folder, release, ended=LAST), wanted)


def _given(folder: str, release: str, wanted: Wanted) -> str:
    why = give(folder, release, wanted.order, limit_s=ANSWER_LIMIT_S)
    if why:
        fail(Exit.REFUSED, f"{release}: {why}", release=release, accepted=False)
    return release


def _ended(folder: str, release: str) -> dict[str, Any]:
    """Wait for the end of the roll back; returns the release as it is then."""
    while True:
        seen: dict[str, Any] = ask(folder, "GET", release_path(release), limit_s=ANSWER_LIMIT_S)
        if seen["phase"] in ("rolled_back", "rollback_failed"):
            return seen
        time.sleep(POLL_S)


# --- without an engine


def _with_engine(name: str | None, act: Callable[[], Any]) -> Any:
    """Act; when no engine answers, start one and act again."""
    try:
        return act()
    except EngineGone as gone:
        warn(f"{gone}\n  starting an engine")
    from engine.client import EngineClient, ensure_engine

    client = EngineClient()
    try:
        ensure_engine(client)
        return act()
    except EngineGone as gone:
        _offer_script(client.folder, name, str(gone))


def _offer_script(folder: Path, name: str | None, why: str) -> NoReturn:
    """Without an engine there is still rollback.sh; run it when a person says so."""
    import shlex
    import subprocess

    warn(why)
    script = _script_for(folder, name)
    if script is None:
        fail(Exit.NO_ENGINE, f"no engine, and no rollback.sh of {name or 'a release'} in {folder}/releases")
    if not sys.stdin.isatty() or not _confirmed(script):
        fail(Exit.NO_ENGINE, f"no engine; by hand: sh {shlex.quote(str(script))}", script=str(script))
    done = subprocess.run(["/bin/sh", str(script)], check=False)  # noqa: S603  # by the engine, in a folder of mode 0700
    if done.returncode != 0:
        fail(Exit.ROLLBACK_FAILED, f"{script} could not bring all traffic back")
    sys.exit(Exit.DONE)


def _script_for(folder: Path, name: str | None) -> Path | None:
    """The script written last, of the release or the service `name`."""
    scripts = folder.glob("releases/*/rollback.sh")
    fitting = [one for one in scripts if name in (None, one.parent.name, one.parent.name.rpartition("-")[0])]
    return max(fitting, key=lambda script: script.stat().st_mtime, default=None)


def _confirmed(script: Path) -> bool:
    warn(f"{script} takes all traffic of {script.parent.name} back to stable, without an engine.")
    sys.stderr.write("Run it now? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
