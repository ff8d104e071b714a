"""`laneshift serve`: the engine itself, and its installation as a service."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from cli.ending import Exit, fail
from engine.client import home
from engine.line import SOCKET_NAME


@click.command()
@click.option("--store", default="", metavar="URL", help="the team's journal: postgresql://... (default: SQLite)")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="where it listens (default: the state folder)")
@click.option("--group", default="", metavar="G", help="who else may open the socket")
@click.option(
    "--supervised/--unsupervised", default=None, help="does something start it again? (default: seen by itself)"
)
@click.option("--install", is_flag=True, help="set it up as a service of systemd instead of running it")
@click.option("--print", "print_only", is_flag=True, help="with --install: print what it would write")
@click.option("--force", is_flag=True, help="with --install: replace files that differ")
@click.option("--user", default="", metavar="U", help="with --install: the user it runs as (laneshift)")
def serve(
    store: str,
    path: Path | None,
    group: str,
    supervised: bool | None,
    install: bool,
    print_only: bool,
    force: bool,
    user: str,
) -> None:
    """Run the engine in the foreground, on the state folder ($LANESHIFT_HOME, else ~/.local/state/laneshift).

    It takes up every release that has not ended. Stop it with Ctrl+C or SIGTERM: its releases stand until an engine
    runs again, and nothing guards them meanwhile.
    """
    if install:
        from cli.install import Service, set_up

        if path is not None or supervised is not None:
            raise click.UsageError("--install has its own socket, /run/laneshift/engine.sock, and is supervised")
        service = Service(user=user or "laneshift", group=group or "laneshift", store=store)
        set_up(service, print_only=print_only, force=force)
        return
    if print_only or force or user:
        raise click.UsageError("--print, --force and --user go with --install")
    _run(store, path, group, supervised)


def _run(store: str, path: Path | None, group: str, supervised: bool | None) -> None:
    from engine.config import EngineConfigError
    from engine.journal.records import JournalError, JournalLocked
    from engine.secrets import SecretMissingError
    from engine.serving import ServeOptions, SocketError
    from engine.serving import serve as serve_engine
    from engine.serving.sockets import PRIVATE, SHARED
    from engine.systemd import is_supervised

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = home()
    options = ServeOptions(
        socket=path.absolute() if path else folder / SOCKET_NAME,
        store=store,
        supervised=is_supervised(os.environ, os.getpid()) if supervised is None else supervised,
        mode=SHARED if group else PRIVATE,
        group=group,
    )
    try:
        serve_engine(folder, options)
    except JournalLocked as error:
        fail(Exit.REFUSED, str(error))
    except (EngineConfigError, SecretMissingError) as error:
        fail(Exit.BAD_INPUT, str(error))
    except (JournalError, SocketError, OSError) as error:
        fail(Exit.NO_ENGINE, str(error))
