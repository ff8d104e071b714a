"""Secrets of a plan: `${env:NAME}` and `${file:NAME}`, resolved in the engine and seen nowhere else.

`env` is the engine's own environment; `file` a file in the folder `secrets` of the state folder, so that a plan cannot
read whatever the engine can. What was resolved is taken out of every text that goes into the journal or to a front end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.plan.literal_secrets import HIDDEN, REFERENCE

FOLDER = "secrets"
SHORTEST_HIDDEN = 4  # characters; hiding shorter ones would eat ordinary text
Config = TypeVar("Config", bound=BaseModel)


class SecretMissingError(Exception):
    """A secret that a plan refers to is not there; the message says what to do."""


class Secrets:
    """The secrets of one release. Values are held in memory for as long as the release is."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.folder = home / FOLDER
        self._environment = os.environ if environment is None else environment
        self._known: set[str] = set()

    def resolve(self, config: Config) -> Config:
        """The configuration with every reference replaced by its secret. Raises SecretMissingError."""
        written = config.model_dump(mode="json", exclude_none=True)
        filled = self._filled(written)
        return config if filled == written else type(config).model_validate(filled)

    def hide(self, value: Any) -> Any:
        """Text, or JSON with text in it, without any secret that was resolved."""
        if isinstance(value, str):
            for secret in sorted(self._known, key=len, reverse=True):
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, Mapping):
            return {name: self.hide(part) for name, part in value.items()}
        return [self.hide(part) for part in value] if isinstance(value, list | tuple) else value

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return REFERENCE.sub(lambda found: self._secret(found[0]), value)
        if isinstance(value, dict):
            return {name: self._filled(part) for name, part in value.items()}
        return [self._filled(part) for part in value] if isinstance(value, list) else value

    def _secret(self, reference: str) -> str:
        kind, _, name = reference[2:-1].partition(":")
        secret = self._environment.get(name, "") if kind == "env" else self._from_file(name)
        if not secret:
            where = "the engine's environment" if kind == "env" else str(self.folder)
            raise SecretMissingError(
                f"{reference} is not in {where}: put it there, and start the engine anew if need be"
            )
        if len(secret) >= SHORTEST_HIDDEN:
            self._known.add(secret)
        return secret

    def _from_file(self, name: str) -> str:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise SecretMissingError(f"${{file:{name}}} lies outside of {self.folder}: secrets of plans are kept there")
        try:
            return path.read_text().strip()
        except OSError:
            return ""
