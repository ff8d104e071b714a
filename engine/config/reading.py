"""Reads engine.yaml: every fault with its place, and none that anybody else may write to."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from engine.config.errors import EngineConfigError
from engine.config.model import EngineConfig
from engine.config.places import has_literal_password
from engine.plan.faults import problems_of
from engine.plan.literal_secrets import HIDDEN
from engine.plan.problem import PlanError, Problem
from engine.plan.yaml_source import Located, read_yaml

FILE: Final = "engine.yaml"
VARIABLE: Final = "LANESHIFT_ENGINE_CONFIG"
LISTED: Final = ("tokens",)  # a list of what is known of each token; no token stands there


def config_path(home: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration is: $LANESHIFT_ENGINE_CONFIG, else `engine.yaml` in the state folder."""
    named = environment.get(VARIABLE)
    return Path(named) if named else home / FILE


def read_engine_config(path: Path, *, needed: bool = False) -> EngineConfig:
    """The configuration in a file; an empty one when there is no such file, unless it is `needed`.

    Raises EngineConfigError with every fault of the file and its place, and for one that anybody may write to.
    """
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IWOTH:
                raise EngineConfigError(f"everybody can write to {path}, which says what is run: chmod o-w {path}")
            return parse_engine_config(file.read(), str(path))
    except FileNotFoundError:
        if needed:
            raise EngineConfigError(f"there is no {path}, which {VARIABLE} names") from None
        return EngineConfig()
    except OSError as error:
        raise EngineConfigError(f"{path} can't be read: {error.strerror}") from None


def parse_engine_config(content: bytes, file: str = FILE) -> EngineConfig:
    """The configuration in these bytes; `file` is its name in messages. Raises EngineConfigError."""
    try:
        located = read_yaml(content, file, no_secrets=LISTED)
    except PlanError as error:
        raise EngineConfigError(str(error)) from None
    found = []
    try:
        config = EngineConfig.model_validate(located.data)
    except ValidationError as error:
        found = problems_of(error, located)
    found += _of_store(located)
    if located.problems or found:
        raise EngineConfigError(str(PlanError([*located.problems, *found])))
    return config


def _of_store(located: Located) -> list[Problem]:
    """A password among the parameters of `store`, as written: once its references are filled it could not be told."""
    store, place = located.data.get("store"), located.places.get(("store",))
    if place is None or not isinstance(store, str) or not has_literal_password(store):
        return []
    allowed = "${env:NAME} or ${file:PATH} in place of a literal secret"
    return [Problem(located.file, place.value.line, place.value.column, "store", HIDDEN, allowed)]
