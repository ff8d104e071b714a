"""`laneshift demo`: a release on the embedded sandbox, live in the cockpit or without a screen."""

from __future__ import annotations

import json
import sys

import click

from cli.ending import Exit, fail
from engine.client import EngineClient
from engine.units import NotUnderstoodError, parse_duration
from sandbox.faults import CATALOGUE


@click.command()
@click.option("--headless", is_flag=True, help="run it through without a screen")
@click.option("--fault", default="", metavar="F[@WEIGHT]", help="break the canary, from that weight on")
@click.option("--max-wait", default="3m", help="headless: without progress for that long it is rolled back")
@click.option("--json", "as_json", is_flag=True, help="headless: one JSON object on the last line")
def demo(headless: bool, fault: str, max_wait: str, as_json: bool) -> None:
    """A sandbox shop under real traffic, an engine, and a release that you drive: nothing else is needed."""
    from cli.demo_world import begin_demo, running_demo
    from cli.headless import Breakage, Headless, exit_code
    from sandbox.process import SandboxError

    name, weight = _fault(fault)
    client = EngineClient()
    left = running_demo(client)
    if left is not None and headless:
        fail(Exit.REFUSED, f"{left.release} is under way in a demo that was left: laneshift demo opens it")
    try:
        world = left or begin_demo(client)
    except SandboxError as error:
        fail(Exit.NO_ENGINE, str(error))
    if not headless:
        if name:
            world.sandbox.set_fault(name, True)
        from cli.watch import open_cockpit

        open_cockpit(client, world.release, demo=world)
        return
    try:
        result = Headless(world, Breakage(name, weight) if name else None, _seconds(max_wait)).run()
    finally:
        world.end()
    sys.stdout.write(json.dumps(result) + "\n" if as_json else f"{result['outcome']} {result['reason']}\n")
    raise SystemExit(exit_code(result["outcome"]))


def _fault(written: str) -> tuple[str, float]:
    name, _, weight = written.partition("@")
    if name and name not in CATALOGUE:
        fail(Exit.BAD_INPUT, f"there is no fault {name!r}; there are {', '.join(CATALOGUE)}")
    try:
        return name, float(weight.rstrip("%") or 1)
    except ValueError:
        fail(Exit.BAD_INPUT, f"{written!r}: the weight behind @ is a number in percent")


def _seconds(written: str) -> float:
    try:
        return parse_duration(written)
    except NotUnderstoodError as error:
        fail(Exit.BAD_INPUT, f"--max-wait {written!r}: {error}")
