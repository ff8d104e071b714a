"""`laneshift rollback` with its help; what it does is in `cli.way_back`."""

from __future__ import annotations

import click

from cli.way_back import Wanted, roll_back


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--reason", default="", help="why; it is recorded")
@click.option("--no-wait", is_flag=True, help="return when the order is accepted, not when it is in effect")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def rollback(release: str | None, reason: str, no_wait: bool, as_json: bool) -> None:
    """All traffic back to the version that was stable at the start. With one release under way it needs no name.

    Starts an engine when none runs; when that fails too, offers to run the release's own rollback.sh.
    """
    roll_back(Wanted(release, reason, no_wait=no_wait, as_json=as_json))
