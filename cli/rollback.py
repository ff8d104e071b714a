"""`laneshift rollback` with its help; what it does is in `cli.way_back`."""

from __future__ import annotations

import click

from cli.way_back import Wanted, roll_back


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--reason", default="", help="why; it is recorded")
@click.option("--break-glass", is_flag=True, help="also without the role for it; needs --reason, told to everybody")
@click.option("--no-wait", is_flag=True, help="return when the order is accepted, not when it is in effect")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def rollback(release: str | None, reason: str, break_glass: bool, no_wait: bool, as_json: bool) -> None:
    """All traffic back to the version that was stable at the start. With one release under way it needs no name.

    Starts your own engine when that is the one and none runs; when no engine is to be had, offers to run the release's
    own rollback.sh.
    """
    roll_back(Wanted(release, reason, no_wait=no_wait, as_json=as_json, break_glass=break_glass))
