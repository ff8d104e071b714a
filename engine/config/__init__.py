"""The engine's own configuration, `engine.yaml`: who may do what, where it listens, what plans may run on its machine.

It is the engine's, not a plan's: the file in the state folder, or where $LANESHIFT_ENGINE_CONFIG says. What plans may
run is read whenever a release needs it, so a change holds from the next start on; a release that runs keeps what it
began with. `roles` and `tokens` hold as soon as the file is changed, all else from the engine's next start on.
docs/engine.md has every key.
"""

from __future__ import annotations

from engine.config.commands import ACTS, Command
from engine.config.errors import EngineConfigError
from engine.config.model import EngineConfig
from engine.config.people import Members, Roles, Token
from engine.config.places import DeadMan, Listen, Retention, SocketPlace, split_address
from engine.config.reading import FILE, VARIABLE, config_path, parse_engine_config, read_engine_config
from engine.config.surroundings import Granted, Surroundings

__all__ = [
    "ACTS",
    "FILE",
    "VARIABLE",
    "Command",
    "DeadMan",
    "EngineConfig",
    "EngineConfigError",
    "Granted",
    "Listen",
    "Members",
    "Retention",
    "Roles",
    "SocketPlace",
    "Surroundings",
    "Token",
    "config_path",
    "parse_engine_config",
    "read_engine_config",
    "split_address",
]
