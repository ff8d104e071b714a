"""`laneshift demo`: a release on the embedded sandbox, live in the cockpit or without a screen."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

import click

from cli.durations import seconds
from cli.ending import Exit, fail, show
from engine.client import EngineClient, home
from sandbox.faults import CATALOGUE

if TYPE_CHECKING:
    from cli.demo_world import Demo
    from cli.headless import Breakage

AT_ONCE = 1.0  # percent: as soon as the canary has any traffic


@click.command(epilog="Faults: " + "; ".join(f"{name}: {fault.help}" for name, fault in CATALOGUE.items()))
@click.option("--headless", is_flag=True, help="run it through without a screen")
@click.option("--fault", default="", metavar="F[@WEIGHT]", help="break the canary; headless: from that weight on")
@click.option(
    "--max-wait", callback=seconds, metavar="TIME", help="headless: roll back after so long without progress (3m)"
)
@click.option("--json", "as_json", is_flag=True, help="headless: one JSON object on the last line")
def demo(headless: bool, fault: str, max_wait: float | None, as_json: bool) -> None:
    """A sandbox shop under real traffic, an engine, and a release that you drive: nothing else is needed."""
    name, weight = _fault(fault)
    if not headless and (as_json or max_wait is not None or weight is not None):
        raise click.UsageError("--max-wait, --json and a fault from a weight on need --headless")
    client = EngineClient(folder=home())
    if headless:
        from cli.headless import MAX_WAIT_S, Breakage

        breakage = Breakage(name, AT_ONCE if weight is None else weight) if name else None
        _run_through(client, breakage, max_wait or MAX_WAIT_S, as_json)
    else:
        _in_cockpit(client, name)


def _in_cockpit(client: EngineClient, fault: str) -> None:
    from cli.demo_world import running_demo
    from cli.watch import open_cockpit, require_terminal

    require_terminal("use laneshift demo --headless")
    world = running_demo(client) or _begun(client)
    if fault:
        world.sandbox.set_fault(fault, True)
    open_cockpit(client, world.release, demo=world)


def _run_through(client: EngineClient, breakage: Breakage | None, max_wait_s: float, as_json: bool) -> NoReturn:
    from cli.demo_world import running_demo
    from cli.headless import Headless, exit_code

    left = running_demo(client)
    if left is not None:
        fail(Exit.REFUSED, f"{left.release} is under way in a demo that was left: laneshift demo opens it")
    signal.signal(signal.SIGTERM, _interrupted)  # what is told to end takes its sandbox and its engine along
    world = _begun(client)
    try:
        result = Headless(world, breakage, max_wait_s).run()
    finally:
        world.end()
    show(as_json, result, f"{result['outcome']} {result['reason']}".strip())
    raise SystemExit(exit_code(result["outcome"]))


def _begun(client: EngineClient) -> Demo:
    from cli.demo_world import begin_demo
    from sandbox.process import SandboxError

    try:
        return begin_demo(client)
    except SandboxError as error:
        fail(Exit.NO_ENGINE, str(error))


def _interrupted(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fault(written: str) -> tuple[str, float | None]:
    """A fault's name and, if it is written, the weight in percent from which on it is there."""
    name, at, weight = written.partition("@")
    if name not in CATALOGUE and written:
        fail(Exit.BAD_INPUT, f"there is no fault {name!r}; there are {', '.join(CATALOGUE)}")
    if not at:
        return name, None
    percent = weight.removesuffix("%")
    if not percent.isdecimal() or not 0 < int(percent) <= 100:
        fail(Exit.BAD_INPUT, f"{written!r}: the weight behind @ is a whole number of percent from 1 to 100")
    return name, float(percent)
