"""Durations on the command line, as people write them."""

from __future__ import annotations

import click


def seconds(_context: click.Context, _option: click.Parameter, written: str | None) -> float | None:
    """An option's callback: a text such as `90s` or `3m` as seconds. Raises a usage error that says what is allowed."""
    from engine.plan.units import NotUnderstoodError, parse_duration

    if written is None:
        return None
    try:
        return parse_duration(written)
    except NotUnderstoodError as error:
        raise click.BadParameter(f"{written!r}: {error}") from None
