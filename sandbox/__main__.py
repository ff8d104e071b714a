"""`python -m sandbox`: runs the sandbox until it is told to stop. Exit codes: 0 stopped, 1 broken, 2 bad input."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.ready import Ready, write_ready
from sandbox.world import Options, PortTakenError, World


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the sandbox; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        world = World(Options(chosen.rps, chosen.seed, chosen.base_port, chosen.outside_gateway))
    except PortTakenError as error:
        print(f"sandbox: {error}; choose other ports with --base-port", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(world, chosen.ready_file))
    finally:
        if chosen.ready_file:
            chosen.ready_file.unlink(missing_ok=True)
    return 0


async def _run(world: World, ready_file: Path | None) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await world.start()
    _announce(Ready(os.getpid(), world.urls()), ready_file)
    # Whichever comes first: an order to stop, or a part of the world that broke.
    waiting = [asyncio.create_task(stopping.wait()), asyncio.create_task(world.failed())]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await world.stop()
    await asyncio.gather(*done)


def _announce(ready: Ready, ready_file: Path | None) -> None:
    print(ready.line(), flush=True)
    if ready_file:
        write_ready(ready_file, ready)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A shop in two versions under steady traffic."
    )
    parser.add_argument("--rps", type=_rate, default=Options.rps, help="requests per second (default: %(default)g)")
    parser.add_argument("--seed", type=int, help="make chances repeatable")
    parser.add_argument(
        "--base-port",
        type=_port,
        default=Options.base_port,
        help="the gateway's port; the two sides have the next two; 0 takes free ones (default: %(default)s)",
    )
    parser.add_argument(
        "--outside-gateway",
        type=_port,
        metavar="PORT",
        help="send the traffic to another gateway on this port; the two sides then count their requests themselves",
    )
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="also write the line of JSON here, when ready")
    return parser


def _rate(text: str) -> float:
    rate = float(text)
    if not 0.1 <= rate <= 5000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 5000")
    return rate


def _port(text: str) -> int:
    port = int(text)
    if port and not 1024 <= port <= 65533:
        raise argparse.ArgumentTypeError(f"{text} is neither 0 nor between 1024 and 65533")
    return port


if __name__ == "__main__":
    sys.exit(main())
