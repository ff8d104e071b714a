"""`laneshift start`: a release begins."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cli.durations import seconds
from cli.ending import OUTCOMES, Exit, fail, show
from engine.client import EngineClient, ensure_engine

POLL_S = 0.5
LONGEST_PLAN = 1024 * 1024  # bytes; the engine takes no more
ENDS = ("promoted", "rolled_back", "cancelled", "rollback_failed")


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--canary", default="", help="the version to release, if the plan does not name it")
@click.option("--key", default="", help="a start repeated with the same key attaches to the first one's release")
@click.option("--observe", is_flag=True, help="only judge what something else drives; nothing is changed")
@click.option("--watch", "watching", is_flag=True, help="open the cockpit")
@click.option("--wait", is_flag=True, help="wait for the end; the exit code is the outcome")
@click.option(
    "--timeout", callback=seconds, metavar="TIME", help="with --wait: give up then, such as 90m (exit code 6)"
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def start(
    plan: Path,
    canary: str,
    key: str,
    observe: bool,
    watching: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Start a release of PLAN and print its id. Starts an engine when none runs."""
    if watching and (wait or as_json):
        raise click.UsageError("--watch opens the cockpit: it goes with neither --wait nor --json")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to --wait")
    if watching:
        from cli.watch import open_cockpit, require_terminal

        require_terminal("start it without --watch")
    text = text_of(plan)
    files = sent_files(plan, text)
    client = EngineClient()
    ensure_engine(client)
    release = client.begin(text, str(plan), canary=canary, key=key, observe=observe, files=files)
    if not (wait and as_json):
        show(as_json, {"release": release}, release)
    if watching:
        open_cockpit(client, release)
    elif wait:
        _wait(client, release, timeout, as_json)


def text_of(plan: Path) -> str:
    """The text of a plan's file. Ends the command when it is not there, not UTF-8 or too long for a plan."""
    try:
        with plan.open("rb") as file:
            raw = file.read(LONGEST_PLAN + 1)
        text = raw.decode()
    except OSError as error:
        fail(Exit.BAD_INPUT, f"{plan}: {error.strerror or error}")
    except UnicodeDecodeError as error:
        fail(Exit.BAD_INPUT, f"{plan}: not UTF-8: {error.reason} at byte {error.start}")
    if len(raw) > LONGEST_PLAN:
        fail(Exit.BAD_INPUT, f"{plan}: more than {LONGEST_PLAN:,} bytes is no plan")
    return text


def sent_files(plan: Path, text: str) -> list[dict[str, str]]:
    """The files that a plan names, as a start carries them: `name`, `sha256` and `content` in base64.

    Ends the command when one can't be read. A plan with faults has none: the engine says its faults.
    """
    import base64
    import hashlib

    from engine.plan.files import read_files
    from engine.plan.model import parse_plan
    from engine.plan.problem import PlanError

    try:
        parsed = parse_plan(text.encode(), str(plan))
    except PlanError:
        return []
    try:
        found = read_files(plan, parsed)
    except PlanError as error:
        fail(Exit.BAD_INPUT, str(error))
    return [
        {"name": name, "sha256": hashlib.sha256(raw).hexdigest(), "content": base64.b64encode(raw).decode()}
        for name, raw in found.items()
    ]


def _wait(client: EngineClient, release: str, timeout: float | None, as_json: bool) -> None:
    started = time.monotonic()
    while True:
        seen = client.look(release)
        if seen["phase"] in ENDS:
            show(as_json, seen, f"{release}: {seen['phase']}{': ' if seen['ending'] else ''}{seen['ending']}")
            raise SystemExit(OUTCOMES.get(seen["phase"], Exit.DONE))
        if timeout is not None and time.monotonic() - started > timeout:
            waits_for = f"{release} is still {seen['phase']}: {seen['waits_for']}"
            fail(Exit.TIMED_OUT, waits_for, release=release, phase=seen["phase"])
        time.sleep(POLL_S)
