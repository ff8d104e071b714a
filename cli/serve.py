"""`laneshift serve`: the engine itself."""

from __future__ import annotations

import logging

import click

from cli.ending import Exit, fail
from engine.client import home
from engine.line import SOCKET_NAME


@click.command()
def serve() -> None:
    """Run the engine in the foreground, on the state folder ($LANESHIFT_HOME, else ~/.local/state/laneshift).

    It takes up every release that has not ended. Stop it with Ctrl+C or SIGTERM: its releases stand until an engine
    runs again, and nothing guards them meanwhile.
    """
    from engine.journal.records import JournalError, JournalLocked
    from engine.serving import ServeOptions, SocketError
    from engine.serving import serve as serve_engine

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = home()
    try:
        serve_engine(folder, ServeOptions(folder / SOCKET_NAME))
    except JournalLocked as error:
        fail(Exit.REFUSED, str(error))
    except (JournalError, SocketError, OSError) as error:
        fail(Exit.NO_ENGINE, str(error))
