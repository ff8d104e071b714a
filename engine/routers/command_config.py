"""What a plan writes under `command`: which of the engine's commands, and the values it may give to it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from engine.placeholders import ParamName, ParamValue
from engine.plan.fields import Name
from engine.routers.config import RouterConfig, Strategy


class CommandConfig(RouterConfig):
    """A command of the engine's own configuration; a plan chooses one and can't bring its own."""

    strategies: ClassVar[frozenset[Strategy]] = frozenset({"canary", "plain"})

    run: Name = Field(description="Its name under `commands` in the engine's `engine.yaml`.")
    params: dict[ParamName, ParamValue] = Field(
        default={}, max_length=50, description="A value for each placeholder that the command leaves to plans."
    )
