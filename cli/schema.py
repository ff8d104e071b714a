"""`laneshift schema`: the JSON Schema of plans, for editors and other programs."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
@click.option("--markdown", is_flag=True, help="The same as a page to read.")
def schema(markdown: bool) -> None:
    """Print the JSON Schema of plans, so that editors complete and check them."""
    from cli.plan_reference import plan_reference, plan_schema

    click.echo(plan_reference(plan_schema()) if markdown else json.dumps(plan_schema(), indent=2), nl=not markdown)
