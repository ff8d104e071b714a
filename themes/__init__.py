"""Colour themes: YAML files here, and a user's own beside them. A broken one is reported, never fatal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict, cast

import yaml
from textual.theme import Theme


class _Colours(TypedDict):
    """What a theme colours, each `#rrggbb`."""

    primary: str
    secondary: str
    accent: str
    success: str
    warning: str
    error: str
    foreground: str
    background: str
    surface: str
    panel: str


FOLDER = Path(__file__).parent
STYLESHEET = FOLDER / "cockpit.tcss"
DEFAULT = "dark"
COLOURS = tuple(_Colours.__annotations__)
LARGEST = 64 * 1024  # bytes; a theme is a page
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


class ThemeError(Exception):
    """A theme that can't be used; the message names the file, the key and what is allowed."""


def built_in() -> list[str]:
    """Names of the themes that come with laneshift, the default first."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return [DEFAULT, *(name for name in names if name != DEFAULT)]


def load(name: str) -> Theme:
    """A built-in theme. Raises ThemeError for an unknown name."""
    if name not in built_in():
        raise ThemeError(f"there is no theme {name!r}{_nearest(name, built_in())}; there are {', '.join(built_in())}")
    return read(FOLDER / f"{name}.yaml")


def users_own(folder: Path) -> tuple[list[Theme], list[str]]:
    """The themes in a user's folder, and a sentence for each that is broken."""
    found, broken = [], []
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else []:
        try:
            found.append(read(path))
        except ThemeError as error:
            broken.append(str(error))
    return found, broken


def read(path: Path) -> Theme:
    """A theme from its file. Raises ThemeError."""
    try:
        text = path.read_bytes()[: LARGEST + 1]
        data = yaml.load(text, Loader=yaml.CSafeLoader) if len(text) <= LARGEST else None
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ThemeError(f"{path.name}: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping):
        raise ThemeError(f"{path.name}: a theme is a mapping with name, dark and colors, in at most 64 KiB")
    return _theme(path.name, data)


def _theme(file: str, data: Mapping[Any, Any]) -> Theme:
    _known(file, data, ("name", "dark", "colors"))
    name, dark, colours = data.get("name"), data.get("dark", True), data.get("colors")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise ThemeError(f"{file}: name: found {name!r}; allowed: small letters, digits and dashes")
    if not isinstance(dark, bool):
        raise ThemeError(f"{file}: dark: found {dark!r}; allowed: true or false")
    if not isinstance(colours, Mapping):
        raise ThemeError(f"{file}: colors: a mapping of {', '.join(COLOURS)}")
    _known(file, colours, COLOURS, "colors.")
    shades = {key: _colour(file, key, colours) for key in COLOURS}
    return Theme(name=name, dark=dark, **cast("_Colours", shades))


def _known(file: str, data: Mapping[Any, Any], allowed: Iterable[str], prefix: str = "") -> None:
    for key in data:
        if key not in allowed:
            raise ThemeError(f"{file}: {prefix}{key}: no such key{_nearest(str(key), allowed)}")


def _colour(file: str, key: str, colours: Mapping[Any, Any]) -> str:
    found = colours.get(key)
    if not isinstance(found, str) or not _COLOUR.fullmatch(found):
        raise ThemeError(f'{file}: colors.{key}: found {found!r}; allowed: a colour such as "#7aa2f7", in quotes')
    return found


def _nearest(name: str, among: Iterable[str]) -> str:
    near = get_close_matches(name, list(among), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
