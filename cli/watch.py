"""The cockpit of a release."""

from __future__ import annotations

import click

from cli.pick import pick
from engine.client import EngineClient, ensure_engine


@click.command()
@click.argument("release", required=False, metavar="[ID|SERVICE]")
@click.option("--theme", default="", help="its colours: a theme of laneshift's or of ~/.config/laneshift/themes")
@click.option("--mouse", is_flag=True, help="let the mouse act too; selecting text is then the terminal's shift+drag")
def watch(release: str | None, theme: str, mouse: bool) -> None:
    """Open the cockpit. It comes and goes as it likes: the release runs in the engine."""
    client = EngineClient()
    ensure_engine(client)
    open_cockpit(client, pick(client, release, ended=True), theme=theme, mouse=mouse)
