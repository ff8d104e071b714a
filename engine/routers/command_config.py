"""What a plan writes under `command`: which of the engine's commands, and the values it may give to it."""

from __future__ import annotations

from pydantic import Field

from engine.placeholders import ParamName, ParamValue
from engine.plan.fields import Name
from engine.routers.config import RouterConfig, Scale


class CommandConfig(RouterConfig):
    """A command of the engine's own configuration; a plan chooses one and can't bring its own."""

    strategies = frozenset({"canary", "plain"})

    run: Name = Field(description="Its name under `commands` in the engine's `engine.yaml`.")
    params: dict[ParamName, ParamValue] = Field(
        default={}, max_length=50, description="A value for each placeholder that the command leaves to plans."
    )
    scale: Scale = Field(
        default="none", description="`proportional`: the command's `scale` is run before a weight that needs more."
    )
