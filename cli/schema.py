"""`laneshift schema`: what is written for laneshift, and what it says, for editors and other programs."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command(name="schema")
@click.option("--markdown", is_flag=True, help="As a page to read.")
@click.option("--engine", "of_engine", is_flag=True, help="Of engine.yaml, the engine's own configuration.")
@click.option("--openapi", "of_api", is_flag=True, help="The OpenAPI document of the engine's API.")
def schema(markdown: bool, of_engine: bool, of_api: bool) -> None:
    """Print the JSON Schema of plans, so that editors complete and check them."""
    if of_api and (markdown or of_engine):
        raise click.UsageError("--openapi stands alone")
    if markdown and of_engine:
        from cli.engine_reference import engine_reference, engine_schema

        click.echo(engine_reference(engine_schema()), nl=False)
    elif markdown:
        from cli.plan_reference import plan_reference, plan_schema

        click.echo(plan_reference(plan_schema()), nl=False)
    else:
        click.echo(json.dumps(_document(of_engine, of_api), indent=2))


def _document(of_engine: bool, of_api: bool) -> dict[str, Any]:
    if of_api:
        from engine.serving import openapi

        return openapi()
    if of_engine:
        from cli.engine_reference import engine_schema

        return engine_schema()
    from cli.plan_reference import plan_schema

    return plan_schema()
