"""Reads a report of tests in JUnit's XML: https://github.com/testmoapp/junitxml describes the forms there are.

Tests are counted by their own elements over nested suites; what a suite says of itself counts where it is worse.
Nothing that could grow is read: no document type, so no entities, and no depth; `start` bounds the file's size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from xml.parsers import expat

from engine.plan.problem import printable

MOST_LEVELS: Final = 50
MOST_NAMED: Final = 10
LONGEST_NAME: Final = 200
SUITES: Final = ("testsuites", "testsuite")
BAD: Final = {"failure": "failures", "error": "errors"}


class NoReportError(ValueError):
    """The file is no report that can be trusted; the message says why."""


@dataclass(slots=True)
class Counts:
    """Tests, and how many of them ended how; `flaky` ones passed when they were run again."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    flaky: int = 0

    def add(self, other: Counts) -> None:
        """Count these too."""
        self.tests += other.tests
        self.failures += other.failures
        self.errors += other.errors
        self.skipped += other.skipped
        self.flaky += other.flaky


@dataclass(slots=True)
class Report:
    """What the whole file says.

    failing:   the names of the first tests that failed or could not run
    oldest:    when the oldest suite began, in seconds since the epoch; None when none says so
    revisions: the values of the property that was asked for
    unnamed:   tests in suites that don't have it
    """

    counts: Counts = field(default_factory=Counts)
    failing: list[str] = field(default_factory=list)
    oldest: float | None = None
    revisions: set[str] = field(default_factory=set)
    unnamed: int = 0

    @property
    def ran(self) -> int:
        """Tests that were not skipped."""
        return self.counts.tests - self.counts.skipped


@dataclass(slots=True)
class _Level:
    """One element that is open. `said`: its attributes; `named`: the property is known here or above; `bad`: the
    elements in it that say how it went."""

    tag: str
    said: Mapping[str, str]
    counts: Counts = field(default_factory=Counts)
    named: bool = False
    bad: set[str] = field(default_factory=set)


def read_report(content: bytes, revision_property: str = "") -> Report:
    """The report in these bytes. Raises NoReportError."""
    reader = _Reader(revision_property)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise NoReportError(f"it is no XML: {error}") from None
    except (ValueError, LookupError) as error:  # an encoding that is not known
        raise error if isinstance(error, NoReportError) else NoReportError(f"it can't be read: {error}") from None
    return reader.report


def _refuse_doctype(*_: object) -> None:
    raise NoReportError("it declares a document type or entities, which a report has no need of")


class _Reader:
    """What expat calls."""

    def __init__(self, revision_property: str) -> None:
        self.report = Report()
        self._property = revision_property
        self._levels: list[_Level] = []

    def begin(self, name: str, said: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if not self._levels and tag not in SUITES:
            raise NoReportError(f"it is no JUnit report: it begins with <{printable(tag)}>")
        if len(self._levels) >= MOST_LEVELS:
            raise NoReportError(f"its elements are more than {MOST_LEVELS} levels deep")
        level = _Level(tag, said, named=bool(self._levels) and self._levels[-1].named)
        if tag in SUITES:
            self._began(said.get("timestamp", ""))
        self._levels.append(level)

    def end(self, _name: str) -> None:
        level = self._levels.pop()
        above = self._levels[-1] if self._levels else None
        if level.tag in SUITES:
            self._end_of_suite(level, above)
        elif above is None:
            return
        elif level.tag == "testcase":
            self._end_of_test(level, above)
        elif level.tag == "property":
            self._property_of(level)
        elif above.tag in ("testcase", *SUITES):
            above.bad.add(level.tag)

    def _began(self, timestamp: str) -> None:
        if not timestamp.strip():
            return
        try:
            began = datetime.fromisoformat(timestamp.strip())
        except ValueError:
            raise NoReportError(f"its timestamp {printable(timestamp)} is no time in ISO 8601") from None
        at = (began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp()
        self.report.oldest = at if self.report.oldest is None else min(at, self.report.oldest)

    def _property_of(self, level: _Level) -> None:
        """`<properties>` stands between it and its suite; one of a single test is not the suite's."""
        suite = self._levels[-2] if len(self._levels) > 1 else None
        if suite is None or suite.tag not in SUITES or not self._property or level.said.get("name") != self._property:
            return
        self.report.revisions.add(level.said.get("value", "").strip())
        suite.named = True

    def _end_of_test(self, level: _Level, above: _Level) -> None:
        bad = [kind for kind in BAD if kind in level.bad]
        test = Counts(tests=1, skipped=int("skipped" in level.bad and not bad))
        test.failures, test.errors = int("failure" in bad), int("error" in bad)
        test.flaky = int(not bad and bool({"flakyFailure", "flakyError"} & level.bad))
        above.counts.add(test)
        if bad and len(self.report.failing) < MOST_NAMED:
            of = level.said.get("classname", "")
            name = ".".join(part for part in (of, level.said.get("name", "")) if part)
            self.report.failing.append(printable(name, LONGEST_NAME) or "a test without a name")
        self.report.unnamed += int(not above.named)

    def _end_of_suite(self, level: _Level, above: _Level | None) -> None:
        """What it claims counts where it is worse than what it shows."""
        counts = level.counts
        for kind, key in BAD.items():
            least = max(getattr(counts, key), int(kind in level.bad))
            setattr(counts, key, max(least, _number(level.said, key)))
        claimed = _number(level.said, "tests")
        if claimed > counts.tests + counts.errors:  # pytest counts a test and the error of its teardown as two
            raise NoReportError(f"a suite says that it has {claimed} tests and shows {counts.tests}: it is not whole")
        (above.counts if above else self.report.counts).add(counts)


def _number(said: Mapping[str, str], key: str) -> int:
    written = said.get(key, "").strip()
    if not written:
        return 0
    if not re.fullmatch("[0-9]{1,9}", written, re.ASCII):
        raise NoReportError(f"it says {key}={printable(written)!r}, which is no number")
    return int(written)
