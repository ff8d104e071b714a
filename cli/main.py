"""The command `laneshift`. A plain `laneshift rollback` goes its own short way; everything else is read by click."""

from __future__ import annotations

import sys

from cli.ending import Exit, ended_well, fail

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `cli.ending`
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line; ends the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in (given[: given.index("--")] if "--" in given else given)
    sys.exit(ended_well(lambda: _run(given), as_json=as_json))


def _run(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["rollback"]:
        from cli.way_back import read, roll_back

        wanted = read(arguments[1:])
        if wanted is not None:
            roll_back(wanted)
            return
    _clicked(arguments)


def _clicked(arguments: Sequence[str]) -> None:
    import click

    from cli.commands import cli

    try:
        code = cli.main(args=list(arguments), prog_name="laneshift", standalone_mode=False)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        more = f"\n  see: {context.command_path} --help" if context is not None else ""
        fail(Exit.BAD_INPUT, error.format_message() + more)
    except click.Abort:
        raise KeyboardInterrupt from None
    sys.exit(code)


if __name__ == "__main__":
    main()
