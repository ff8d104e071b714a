"""What a router or check may know of the engine and of its plan."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.config.commands import Command
from engine.config.errors import EngineConfigError
from engine.config.reading import VARIABLE, config_path, read_engine_config
from engine.plan.problem import nearest
from engine.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Granted:
    """A command that the engine's configuration allows: as written, with its secrets, and the folder it runs in."""

    name: str
    written: Command
    filled: Command
    folder: Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a router or check may know beside its own configuration: of the engine, of the plan and of the start order.

    A class whose attribute `needs_surroundings` is true is built with them: `Kind(config, surroundings)`.
    """

    secrets: Secrets
    service: str
    canary: str

    def command(self, name: str) -> Granted:
        """A command of the engine's configuration. Raises EngineConfigError, SecretMissingError."""
        path = config_path(self.secrets.home)
        commands = read_engine_config(path, needed=VARIABLE in os.environ).commands
        if name not in commands:
            known = ", ".join(commands) or "none"
            hint = nearest(name, commands)
            raise EngineConfigError(f"{path} has no command {name}, only: {known}; {hint}".rstrip("; "))
        written = commands[name]
        folder = path.absolute().parent / (written.cwd or ".")
        return Granted(name, written, self.secrets.resolve(written), folder)
