"""The sources that a plan names, ready to be read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from engine import registry
from engine.plan.choice import SourceChoice
from engine.plan.model import Plan
from engine.secrets import Secrets
from engine.sources import Source
from engine.sources.combined import Beside, Combined

DEFAULT_INTERVAL_S = 5.0


def interval_of(choice: SourceChoice) -> float:
    """Seconds between two readings of this source; the first source's are those between two looks."""
    return float(getattr(choice.config, "interval", DEFAULT_INTERVAL_S))


def source_of(plan: Plan, secrets: Secrets, now: Callable[[], float] | None = None) -> Source:
    """The plan's source, or all of them as one; with a clock to ask about another time than the present.

    Raises SecretMissingError.
    """
    first = _made(plan.source, secrets, now)
    if not plan.sources:
        return first
    beside = {name: Beside(_made(one, secrets, now), interval_of(one)) for name, one in plan.sources.items()}
    clock = {} if now is None else {"now": now}
    return Combined(first, beside, interval=interval_of(plan.source), **clock)


def clocked(plan: Plan) -> bool:
    """Can all of its sources be asked about another time? One of another package may have no clock to set."""
    return all(_takes(one, "now") for one in (plan.source, *plan.sources.values()))


def _made(choice: SourceChoice, secrets: Secrets, now: Callable[[], float] | None) -> Source:
    given: dict[str, Any] = {}
    if now is not None and _takes(choice, "now"):
        given["now"] = now
    if _takes(choice, "renewed"):
        given["renewed"] = partial(secrets.resolve, choice.config)
    source: Source = registry.resolve("source", choice.kind)(secrets.resolve(choice.config), **given)
    return source


def _takes(choice: SourceChoice, parameter: str) -> bool:
    return parameter in inspect.signature(registry.resolve("source", choice.kind)).parameters
