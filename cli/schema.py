"""`laneshift schema`: what is written for laneshift, and what it says, for editors and other programs."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command(name="schema")
@click.option("--markdown", is_flag=True, help="The plans' schema as a page to read.")
@click.option("--engine", "of_engine", is_flag=True, help="Of engine.yaml, the engine's own configuration.")
@click.option("--openapi", "of_api", is_flag=True, help="The OpenAPI document of the engine's API.")
def schema(markdown: bool, of_engine: bool, of_api: bool) -> None:
    """Print the JSON Schema of plans, so that editors complete and check them."""
    if markdown + of_engine + of_api > 1:
        raise click.UsageError("one of --markdown, --engine and --openapi")
    if markdown:
        from cli.plan_reference import plan_reference, plan_schema

        click.echo(plan_reference(plan_schema()), nl=False)
    else:
        click.echo(json.dumps(_document(of_engine, of_api), indent=2))


def _document(of_engine: bool, of_api: bool) -> dict[str, Any]:
    if of_api:
        from engine.serving import openapi

        return openapi()
    if of_engine:
        from engine.config import EngineConfig

        dialect = "https://json-schema.org/draft/2020-12/schema"
        return {"$schema": dialect, **EngineConfig.model_json_schema(), "title": "engine.yaml"}
    from cli.plan_reference import plan_schema

    return plan_schema()
