"""All commands of `laneshift` by name. Each lives in a module that is imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from cli.ending import ReaderGone

# name -> (module, what it does); the function has the command's name
COMMANDS = {
    "demo": ("cli.demo", "the sandbox shop, an engine and the cockpit, nothing else needed"),
    "init": ("cli.init", "write a plan by asking, or from what a cluster has"),
    "lint": ("cli.lint", "is the plan valid, and is it wise?"),
    "doctor": ("cli.doctor", "everything a release will need, tried without changing anything"),
    "backtest": ("cli.backtest", "would these thresholds have fired on past data, with no release?"),
    "explain": ("cli.explain", "the judge's reasons, with every number behind them"),
    "schema": ("cli.schema", "the JSON Schema of plans, of engine.yaml, of the API"),
    "start": ("cli.start", "start a release, print its id"),
    "watch": ("cli.watch", "the cockpit of a release"),
    "status": ("cli.status", "one look at a release, or a line log of it"),
    "advance": ("cli.orders", "go on to the next stage"),
    "approve": ("cli.orders", "open a gate: one of the approvals that it waits for"),
    "pause": ("cli.orders", "stop advancing; the release stays guarded"),
    "resume": ("cli.orders", "advance again after a pause, or answer a question with: keep it"),
    "retry": ("cli.orders", "once more: the failed check, the stuck shift, the failed roll back"),
    "cancel": ("cli.orders", "end a release before any traffic moved"),
    "rollback": ("cli.rollback", "all traffic back to the version that was stable at the start"),
    "tick": ("cli.orders", "tick items of the checklist"),
    "untick": ("cli.orders", "open items of the checklist again"),
    "waive": ("cli.orders", "go on without items of the checklist, for a reason"),
    "note": ("cli.orders", "write a note into the journal"),
    "prune": ("cli.prune", "forget releases that ended long ago"),
    "backup": ("cli.backup", "copy the journal, while the engine runs"),
    "serve": ("cli.serve", "the engine itself; --install makes it a service"),
}


class _Commands(click.Group):
    """Commands by name, imported late: a roll back must not wait for a library that it does not need."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, but a closed pipe is not its exit code 1: that says rolled back."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 rolled back, 2 bad input, 3 no engine, 4 refused, 5 rollback failed, 6 timed out.",
)
@click.version_option(package_name="laneshift")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Release to production one lane at a time: watched, and taken back in seconds.

    Without a command: the cockpit.
    """
    if ctx.invoked_subcommand is None:
        from cli.watch import watch

        ctx.invoke(watch)
