"""Reads as much of PromQL as it takes to see what a query counts: arithmetic, calls, aggregations, selectors.

Grammar: https://prometheus.io/docs/prometheus/latest/querying/operators/. What is not in it here (comparisons, offsets,
subqueries) is not understood, which is no error: the query stays a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<range>\[[^\]\[:]*\])
      | (?P<sign>=~|!~|!=|[-+*/(){},=])
    )""",
    re.VERBOSE,
)
_LEVELS = (("or",), ("+", "-"), ("*", "/"))
_AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count"})


class NotReadError(ValueError):
    """Something that is not in the grammar above."""


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """A selector as it is written; `over` a range or not."""

    selector: str
    over: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an aggregation; the labels of `by` and `without` are left out."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """`or`, or one of the four operations."""

    sign: str
    left: Node
    right: Node


Node = Number | Series | Call | Binary


def parse(query: str) -> Node:
    """The query as a tree. Raises NotReadError."""
    reader = _Reader([*_tokens(query)])
    node = reader.binary(0)
    reader.end()
    return node


def _tokens(query: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(query.rstrip())
    while at < end:
        found = _TOKEN.match(query, at)
        if found is None or found.lastgroup is None:
            raise NotReadError(query[at : at + 20])
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


class _Reader:
    """From left to right, one token ahead."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._one()
        left = self.binary(level + 1)
        while self._peek()[1] in _LEVELS[level] and self._peek()[0] != "text":
            sign = self._next()[1]
            left = Binary(sign, left, self.binary(level + 1))
        return left

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise NotReadError(self._peek()[1])

    def _one(self) -> Node:
        kind, word = self._next()
        if kind == "number":
            return Number(float(word))
        if word == "(":
            inside = self.binary(0)
            self._take(")")
            return inside
        if word == "{":
            return self._series("")
        if kind != "name":
            raise NotReadError(word)
        if word in _AGGREGATIONS:
            self._skip_grouping()
        if self._peek()[1] == "(":
            return self._call(word)
        if self._peek()[1] == "{":
            self._next()
            return self._series(word)
        return Series(word, self._range())

    def _call(self, name: str) -> Node:
        self._take("(")
        arguments = []
        while self._peek()[1] != ")":
            arguments.append(self.binary(0))
            if self._peek()[1] == ",":
                self._next()
        self._take(")")
        if name in _AGGREGATIONS:
            self._skip_grouping()
        return Call(name, tuple(arguments))

    def _series(self, name: str) -> Node:
        """After the opening brace."""
        inside = []
        while self._peek() != ("sign", "}"):
            inside.append(self._next()[1])
        self._take("}")
        return Series(f"{name}{{{''.join(inside)}}}", self._range())

    def _range(self) -> bool:
        if self._peek()[0] != "range":
            return False
        self._next()
        return True

    def _skip_grouping(self) -> None:
        if self._peek()[1] in ("by", "without"):
            self._next()
            while self._next()[1] != ")":
                pass

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        found = self._peek()
        if not found[0]:
            raise NotReadError("the end")
        self._at += 1
        return found

    def _take(self, sign: str) -> None:
        if self._next()[1] != sign:
            raise NotReadError(sign)
