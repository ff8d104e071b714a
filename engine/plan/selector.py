"""Which series a metric reads: Prometheus' instant vector selector with places for what names a side of the release.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors. Functions, ranges and
arithmetic are refused: laneshift takes the differences of raw counters itself, per instance, resets handled; `rate` and
`increase` extrapolate.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import ClassVar, Final, Literal, NoReturn

from engine.plan.problem import nearest, printable
from engine.plan.units import NotUnderstoodError

Operator = Literal["=", "!=", "=~", "!~"]

PLACEHOLDERS: Final = ("$version", "$build", "$workload")
ALLOWED: Final = 'the name of a series with its labels, such as requests_total{version="$version",code=~"5.."}'
LONGEST: Final = 2000

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SPACE = re.compile(r"\s*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|`[^`]*`')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_NOT_RE2 = re.compile(r"\\[1-9]|\(\?(?:=|!|<=|<!|>|\(|P=)|[*+?}]\+")
_WORD_AFTER_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)")
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_EXTRAPOLATING = {"rate", "irate", "increase", "delta", "idelta", "deriv"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a release as queries name it: `$version`, `$build` (a pod template's hash, an image's digest) and
    `$workload` (a Deployment's name); empty while unknown."""

    version: str = ""
    build: str = ""
    workload: str = ""

    @property
    def known(self) -> bool:
        """Is anything known of this side?"""
        return bool(self.version or self.build or self.workload)

    def lacks(self, text: str) -> tuple[str, ...]:
        """The placeholders in `text` of which nothing is known."""
        return tuple(word for word in placeholders_in(text) if not getattr(self, word[1:]))

    def fill(self, text: str, quote: Callable[[str], str] = str) -> str:
        """`text` with each placeholder's value in its place, as `quote` writes it there."""
        values = asdict(self)
        return _WORD_AFTER_DOLLAR.sub(lambda found: quote(values[found[1]]), text)


def placeholders_in(text: str) -> tuple[str, ...]:
    """Each placeholder of `text` once. Raises NotUnderstoodError for a `$word` that is none."""
    found = tuple(dict.fromkeys(f"${word}" for word in _WORD_AFTER_DOLLAR.findall(text)))
    for word in found:
        if word not in PLACEHOLDERS:
            near = nearest(word, PLACEHOLDERS)
            _refuse(f"the placeholders are {', '.join(PLACEHOLDERS)}, not {printable(word)}" + (near and f"; {near}"))
    return found


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label. `value` may hold placeholders, which stand for themselves in a regular expression."""

    label: str
    operator: Operator
    value: str

    def matches(self, labels: Mapping[str, str], subject: Subject) -> bool:
        """A label that a series lacks counts as empty, as in Prometheus."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == subject.fill(self.value)) is (self.operator == "=")
        return (_pattern(self.value, subject).fullmatch(found) is not None) is (self.operator == "=~")

    def of(self, subject: Subject) -> Matcher:
        """The condition with values in place of its placeholders: no sign of theirs ends the quotes or has a meaning in
        a regular expression."""
        quote = re.escape if self.operator in ("=~", "!~") else str
        return Matcher(self.label, self.operator, subject.fill(self.value, quote))

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{quoted}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """The series of one name whose labels meet every matcher."""

    tells_its_side: ClassVar[str] = 'a label that holds "$version", "$build" or "$workload"'

    name: str
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """A name alone means `name{version="$version"}`; `name{}` means every series of that name.

        Raises NotUnderstoodError.
        """
        return _Reader(text).selector()

    @property
    def names_its_side(self) -> bool:
        """Does it tell canary from stable?"""
        return any(placeholders_in(one.value) for one in self.matchers if one.operator in ("=", "=~"))

    def lacks(self, subject: Subject) -> tuple[str, ...]:
        """The placeholders in it of which nothing is known on that side."""
        return subject.lacks(" ".join(matcher.value for matcher in self.matchers))

    def matches(self, name: str, labels: Mapping[str, str], subject: Subject) -> bool:
        """Is the series `name{labels}` one of this selector's for that side?"""
        return name == self.name and all(matcher.matches(labels, subject) for matcher in self.matchers)

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(map(str, self.matchers))}}}"


@lru_cache(maxsize=256)
def _pattern(value: str, subject: Subject) -> re.Pattern[str]:
    return re.compile(subject.fill(value, re.escape), re.ASCII)


def _refuse(hint: str) -> NoReturn:
    raise NotUnderstoodError(ALLOWED, hint)


class _Reader:
    """Reads one selector from left to right."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            _refuse(f"{LONGEST} characters at most")
        self._text = text.strip()
        self._at = 0

    def selector(self) -> Selector:
        name = self._take(_NAME)
        braces = self._take_sign("{")
        if name and not braces:
            self._refuse_rest(name)
            return Selector(name, (Matcher("version", "=", "$version"),))
        if not braces:
            _refuse("it begins with the name of a series")
        matchers = self._matchers()
        self._refuse_rest(name)
        return _named(name, matchers)

    def _matchers(self) -> list[Matcher]:
        found: list[Matcher] = []
        while not self._take_sign("}"):
            if found and not self._take_sign(","):
                _refuse("labels are separated by commas and end with }")
            if self._take_sign("}"):
                break
            found.append(self._matcher())
        return found

    def _matcher(self) -> Matcher:
        label = self._take(_LABEL)
        if not label:
            _refuse(f'a label\'s name is missing at "{self._here()}"')
        operator = self._take(_OPERATOR)
        if not operator:
            _refuse(f"{label} is followed by =, !=, =~ or !~")
        quoted = self._take(_QUOTED)
        if not quoted:
            _refuse(f"the value of {label} stands in quotes")
        value = quoted[1:-1] if quoted[0] == "`" else _unescaped(quoted[1:-1])
        placeholders_in(value)
        if operator in ("=~", "!~"):
            _check_pattern(value)
            return Matcher(label, "=~" if operator == "=~" else "!~", value)
        return Matcher(label, "=" if operator == "=" else "!=", value)

    def _refuse_rest(self, name: str) -> None:
        """Whatever follows a selector is arithmetic, a range or a call: say which, and why not."""
        rest = self._text[self._at :]
        if not rest:
            return
        if rest[0] == "(":
            why = "extrapolates; " if name in _EXTRAPOLATING else "is a function; "
            _refuse(
                f"{printable(name)}() {why}name the raw counter or histogram, laneshift takes the differences itself"
            )
        if rest[0] == "[":
            _refuse("no range: laneshift reads the series at each scrape and takes the differences itself")
        if name in ("sum", "avg", "max", "min", "count") and re.match(r"by|without", rest):
            _refuse(f"{name} is a function; laneshift adds up the series itself")
        _refuse(f'nothing may follow it, but "{self._here()}" does')

    def _take(self, pattern: re.Pattern[str]) -> str:
        self._skip_space()
        match = pattern.match(self._text, self._at)
        if not match:
            return ""
        self._at = match.end()
        self._skip_space()
        return match[0]

    def _take_sign(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += 1
        self._skip_space()
        return True

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _here(self) -> str:
        return printable(self._text[self._at : self._at + 20]) or "the end"


def _named(name: str, matchers: list[Matcher]) -> Selector:
    """`{__name__="requests_total"}` names the series as well as `requests_total` does."""
    names = [m for m in matchers if m.label == "__name__"]
    rest = tuple(m for m in matchers if m.label != "__name__")
    if not names and name:
        return Selector(name, rest)
    if name or len(names) > 1 or (names[:1] and names[0].operator != "="):
        _refuse("one name, not a pattern of names")
    if not names or not _NAME.fullmatch(names[0].value):
        _refuse("it begins with the name of a series")
    return Selector(names[0].value, rest)


def _unescaped(quoted: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU" and len(code) > 1:
            return _character(int(code[1:], 16))
        if len(code) == 3:
            return _character(int(code, 8))
        if code in "\\\"'":
            return code
        if code not in _SIMPLE_ESCAPES:
            _refuse(f'\\{printable(code)} is no escape; a backslash in a regular expression is written twice: "\\\\d+"')
        return _SIMPLE_ESCAPES[code]

    return _ESCAPE.sub(character, quoted)


def _character(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        _refuse("an escape that stands for no character")
    return chr(code)


def _check_pattern(value: str) -> None:
    """Prometheus' own syntax (RE2) has neither look-around nor back references; here both must mean the same."""
    if _NOT_RE2.search(value):
        _refuse("Prometheus' regular expressions have no look-around, back references or possessive repeats")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # `[[:alpha:]]` means a class there and nothing here
            _pattern(value, Subject("v1", "v1", "v1"))
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        _refuse(f"not a regular expression: {printable(str(error))}")
