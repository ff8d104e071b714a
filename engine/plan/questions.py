"""How a metric names the number it reads: a series, a place in a JSON answer, or a query of a database.

They are told apart by how they begin: a place by `/`, a query by `select` or `with`, anything else is a series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import quote

from engine.plan.problem import nearest, printable
from engine.plan.selector import LONGEST, PLACEHOLDERS, Selector, Subject, placeholders_in
from engine.plan.units import NotUnderstoodError

PLACE_ALLOWED: Final = "a place in a JSON answer, such as /orders/$version/total or /stats?v=$version#/orders/total"
STATEMENT_ALLOWED: Final = "a query of one number, such as select count(*) from orders where version = :version"

_QUERY = re.compile(r"(?:select|with)[\s(]", re.IGNORECASE)
_BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")  # as SQLAlchemy finds them
_CAST_BIND = re.compile(r"(?<![:\w\\])(:\w+)::")
_STRAY_TILDE = re.compile(r"~(?![01])")
_END = re.compile(r"[;\s]+$")


@dataclass(frozen=True, slots=True)
class JsonPlace:
    """A number in a JSON answer: `pointer` (RFC 6901) leads to it, `path` is added to the source's address.

    Placeholders may stand in both.
    """

    tells_its_side: ClassVar[str] = 'a place that holds "$version", "$build" or "$workload"'

    pointer: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> JsonPlace:
        """`/pointer`, or `/path?query#/pointer`. Raises NotUnderstoodError."""
        path, sign, pointer = text.strip().rpartition("#/")
        place = cls(f"/{pointer}", path) if sign else cls(text.strip())
        try:
            placeholders_in(text)
        except NotUnderstoodError as error:
            raise NotUnderstoodError(PLACE_ALLOWED, error.hint) from None
        if len(text) > LONGEST or not text.isprintable() or re.search(r"\s|#", place.path):
            raise NotUnderstoodError(PLACE_ALLOWED)
        if _STRAY_TILDE.search(place.pointer):
            raise NotUnderstoodError(PLACE_ALLOWED, "in it ~ is written ~0, and / inside a key ~1")
        return place

    @property
    def names_its_side(self) -> bool:
        """Does it tell canary from stable?"""
        return bool(placeholders_in(str(self)))

    def lacks(self, subject: Subject) -> tuple[str, ...]:
        """The placeholders in it of which nothing is known on that side."""
        return subject.lacks(str(self))

    def path_of(self, subject: Subject) -> str:
        """The path for one side; no sign of a version's ends a part of it."""
        return subject.fill(self.path, lambda value: quote(value, safe=""))

    def keys_of(self, subject: Subject) -> list[str]:
        """The keys that lead to the number, for one side."""
        keys = self.pointer.split("/")[1:]
        return [subject.fill(key.replace("~1", "/").replace("~0", "~")) for key in keys]

    def __str__(self) -> str:
        return f"{self.path}#{self.pointer}" if self.path else self.pointer


@dataclass(frozen=True, slots=True)
class Statement:
    """A query whose answer is one number; `:version`, `:build` and `:workload` are bound, never written into it."""

    tells_its_side: ClassVar[str] = "a query with :version, :build or :workload in it"

    text: str

    @classmethod
    def parse(cls, text: str) -> Statement:
        """Raises NotUnderstoodError."""
        statement = cls(_END.sub("", text.strip()))
        if len(text) > LONGEST:
            raise NotUnderstoodError(STATEMENT_ALLOWED, f"{LONGEST} characters at most")
        if ";" in statement.text:
            raise NotUnderstoodError(STATEMENT_ALLOWED, "one query, without a ; in it")
        if "$version" in statement.text:
            raise NotUnderstoodError(STATEMENT_ALLOWED, "did you mean :version?")
        if cast := _CAST_BIND.search(statement.text):
            raise NotUnderstoodError(STATEMENT_ALLOWED, f"a cast is written cast({cast[1]} as ...)")
        known = [word[1:] for word in PLACEHOLDERS]
        for name in _BIND.findall(statement.text):
            if name not in known:
                hint = nearest(name, known) or f"a colon that begins no placeholder is written \\:{printable(name)}"
                raise NotUnderstoodError(STATEMENT_ALLOWED, hint)
        return statement

    @property
    def names_its_side(self) -> bool:
        """Does it tell canary from stable?"""
        return bool(_BIND.search(self.text))

    def lacks(self, subject: Subject) -> tuple[str, ...]:
        """The placeholders in it of which nothing is known on that side."""
        return tuple(f":{name}" for name, value in self.values_of(subject).items() if not value)

    def values_of(self, subject: Subject) -> Mapping[str, str]:
        """What is bound for one side, by name."""
        return {name: str(getattr(subject, name)) for name in dict.fromkeys(_BIND.findall(self.text))}

    def __str__(self) -> str:
        return self.text


Question = Selector | JsonPlace | Statement
LANGUAGES: Final[Mapping[type[Question], str]] = {
    JsonPlace: PLACE_ALLOWED,
    Statement: STATEMENT_ALLOWED,
    Selector: 'a series with its labels, such as requests_total{version="$version",code=~"5.."}',
}


def parse_question(text: str) -> Question:
    """What `text` asks for. Raises NotUnderstoodError."""
    written = text.strip()
    if written.startswith("/"):
        return JsonPlace.parse(written)
    return Statement.parse(written) if _QUERY.match(_END.sub("", written)) else Selector.parse(text)
