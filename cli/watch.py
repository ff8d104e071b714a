"""The cockpit of a release."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from cli.ending import Exit, fail, show
from cli.pick import ENDED, pick
from engine.client import EngineClient, ensure_engine
from engine.line import address

if TYPE_CHECKING:
    from tui.hooks import DemoHooks


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--read-only", is_flag=True, help="only look: no key gives an order")
@click.option("--theme", default="", help="its colours: a theme of laneshift's or of ~/.config/laneshift/themes")
def watch(release: str | None, read_only: bool = False, theme: str = "") -> None:
    """Open the cockpit. It comes and goes as it likes: the release runs in the engine."""
    client = EngineClient(read_only=read_only)
    ensure_engine(client)
    open_cockpit(client, pick(client.address, release, ended=ENDED), theme=theme)


def require_terminal(instead: str) -> None:
    """End the command before it starts anything where no cockpit can be shown; `instead` is what to do."""
    from tui.terminal import TerminalUnfit, require_fit

    try:
        require_fit(os.environ, interactive=sys.stdin.isatty() and sys.stderr.isatty(), release="ID")
    except TerminalUnfit as error:
        fail(Exit.BAD_INPUT, f"{str(error).partition(':')[0]}: {instead}")


def open_cockpit(client: EngineClient, release: str, *, theme: str = "", demo: DemoHooks | None = None) -> None:
    """Run the cockpit in this terminal until it is left; leaving it leaves the release running."""
    import themes
    from tui.app import run_cockpit
    from tui.terminal import TerminalUnfit

    try:
        left = run_cockpit(client, release, theme=theme or themes.DEFAULT, demo=demo)
    except TerminalUnfit as error:
        fail(Exit.BAD_INPUT, str(error))
    if left.stopped:
        show(False, None, f"{release}: the demo is stopped")
    else:
        back = f"laneshift watch {release}"
        if client.address != address():
            back = f"LANESHIFT_ENGINE={client.address} {back}"
        show(False, None, f"{release} goes on without this cockpit; come back with: {back}")
