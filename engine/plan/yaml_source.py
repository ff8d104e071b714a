"""Reads a plan's YAML into plain values and remembers where each key and value stands.

Scalars are read as YAML 1.2 does, so that `on`, `yes`, `12:30` and `1_000` stay what they look like: text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from engine.plan.literal_secrets import HIDDEN, REFERENCE, holds_a_secret, is_literal, names_a_secret
from engine.plan.problem import PlanError, Problem, printable
from engine.plan.yaml_nodes import MOST_LEVELS, MOST_VALUES, Mark, Node, document_of

Path = tuple[str | int, ...]

MOST_BYTES: Final = 1024 * 1024
MOST_CHARACTERS: Final = 10_000
MOST_DIGITS: Final = 40
MOST_PROBLEMS: Final = 100

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONSTANTS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, where its key does (the value's own place in a list), and what can be shown of it."""

    key: Mark
    value: Mark
    shown: str


@dataclass(slots=True)
class Located:
    """A file's values with their places. `problems` are faults of the writing; the values left out are not here."""

    file: str
    data: dict[str, Any]
    places: dict[Path, Place]
    problems: list[Problem] = field(default_factory=list)


def read_yaml(content: bytes, file: str, *, no_secrets: Collection[str] = ()) -> Located:
    """The one document of the file, a mapping; `no_secrets` are keys under which none stands, whatever their names.

    Raises PlanError where reading can't go on at all.
    """
    text = _decoded(content, file)
    root = document_of(text, file)
    if root is None or root.kind != "mapping":
        found = "an empty file" if root is None else _shown(root, secret=False)
        mark = Mark(1, 1) if root is None else root.mark
        raise PlanError(
            [Problem(file, mark.line, mark.column, "", found, "a mapping of keys, as in `service: checkout`")]
        )
    return _Converter(file, no_secrets).located(root)


def _decoded(content: bytes, file: str) -> str:
    if len(content) > MOST_BYTES:
        raise PlanError([Problem(file, 0, 0, "", f"{len(content):,} bytes", f"{MOST_BYTES:,} bytes at most")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        found = f"the byte 0x{content[error.start]:02x}"
        raise PlanError([Problem(file, line, column, "", found, "text in UTF-8")]) from None


class _Converter:
    """Nodes to plain values, each alias written out, with places, faults and no secret shown."""

    def __init__(self, file: str, no_secrets: Collection[str]) -> None:
        self._file = file
        self._no_secrets = no_secrets
        self._located = Located(file, {}, {})
        self._values = 0

    def located(self, root: Node) -> Located:
        self._located.data = self._mapping(root, (), secret=False)
        self._located.places[()] = Place(root.mark, root.mark, "a mapping")
        return self._located

    def _value(self, node: Node, path: Path, key: Mark, *, secret: bool) -> Any:
        self._values += 1
        if self._values > MOST_VALUES or len(path) > MOST_LEVELS:
            fault = (
                f"more than {MOST_VALUES:,} values" if self._values > MOST_VALUES else f"more than {MOST_LEVELS} levels"
            )
            raise PlanError([self._problem(node.mark, path, f"{fault}, aliases written out", "a plan of usual size")])
        self._located.places[path] = Place(key, node.mark, _shown(node, secret=secret))
        if node.kind == "mapping":
            return self._mapping(node, path, secret=secret)
        if node.kind == "list":
            return [
                self._value(item, (*path, index), item.mark, secret=secret) for index, item in enumerate(node.items)
            ]
        return self._scalar(node, path, secret=secret)

    def _mapping(self, node: Node, path: Path, *, secret: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            name = self._key(key, path)
            if name is None:
                continue
            if name in found:
                self._add(
                    key.mark, (*path, name), "the key again", "each key once", f"first in line {first[name].line}"
                )
            first.setdefault(name, key.mark)
            found[name] = self._value(value, (*path, name), key.mark, secret=secret or self._holds_one(name))
        return found

    def _holds_one(self, key: str) -> bool:
        return key not in self._no_secrets and names_a_secret(key)

    def _key(self, node: Node, path: Path) -> str | None:
        if node.kind != "scalar":
            self._add(node.mark, path, f"{_shown(node, secret=False)} as a key", "a word as a key")
        elif node.plain and node.text == "<<":
            self._add(node.mark, path, "<<", "keys written out", "merging mappings is not supported")
        elif len(node.text) > 200:
            self._add(node.mark, path, f"a key of {len(node.text):,} characters", "200 characters at most")
        elif holds_a_secret(node.text):
            self._add(node.mark, path, "a key that is a secret", "a word as a key")
        else:
            return node.text
        return None

    def _scalar(self, node: Node, path: Path, *, secret: bool) -> Any:
        if len(node.text) > MOST_CHARACTERS:
            self._add(
                node.mark, path, f"a text of {len(node.text):,} characters", f"{MOST_CHARACTERS:,} characters at most"
            )
            return ""
        if _leaks(node, secret=secret):
            self._add(node.mark, path, HIDDEN, "${env:NAME} or ${file:PATH} in place of a literal secret")
        elif "${" in REFERENCE.sub("", node.text):
            self._add(node.mark, path, _shown(node, secret=secret), "${env:NAME} or ${file:PATH} as references")
        elif node.plain and _NO_NUMBER.fullmatch(node.text):
            self._add(node.mark, path, node.text, "a finite number")
        return _resolved(node)

    def _add(self, mark: Mark, path: Path, found: str, allowed: str, hint: str = "") -> None:
        if len(self._located.problems) < MOST_PROBLEMS:
            self._located.problems.append(self._problem(mark, path, found, allowed, hint))

    def _problem(self, mark: Mark, path: Path, found: str, allowed: str, hint: str = "") -> Problem:
        return Problem(self._file, mark.line, mark.column, key_path(path), found, allowed, hint)


def _leaks(node: Node, *, secret: bool) -> bool:
    """A text or number where a secret's key asks for a reference, or a well-known token anywhere."""
    empty = node.plain and node.text in _CONSTANTS
    return holds_a_secret(node.text) or (secret and not empty and is_literal(node.text))


def _resolved(node: Node) -> Any:
    """A plain scalar as YAML 1.2's core schema reads it; numbers that no plan needs stay text."""
    text = node.text
    if not node.plain or len(text) > MOST_DIGITS:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _shown(node: Node, *, secret: bool) -> str:
    """What a message may say of a value: its text as written, quotes included; of a list only that it is one."""
    if node.kind != "scalar":
        return f"a {node.kind}"
    if len(node.text) <= MOST_CHARACTERS and _leaks(node, secret=secret):
        return HIDDEN
    if node.plain:
        return printable(node.text) or "nothing"
    return printable(json.dumps(node.text[:100], ensure_ascii=False))


def key_path(path: Path) -> str:
    """`stages[1].weight`; a key that is no plain word stands in quotes."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            word = step if re.fullmatch(r"[\w$-]{1,60}", step) else f'"{printable(step)}"'
            shown += f".{word}" if shown else word
    return shown
