"""A report of tests that came with the plan: nothing failed, it is fresh, and it is of this very revision."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from engine.checks import CheckResult, Place
from engine.checks.junit_config import JunitConfig
from engine.checks.junit_report import NoReportError, Report, read_report
from engine.events import CheckOutcome
from engine.plan.problem import printable
from engine.plan.units import show_duration

AHEAD_S = 300.0  # by which a clock elsewhere may be wrong
SHOWN = 3  # failing tests in the one line for people


class JunitCheck:
    """Fails for what `fail_on` names; what is not proven (no report, an old one, another revision's) is an error."""

    Config = JunitConfig

    def __init__(self, name: str, config: JunitConfig) -> None:
        self.name = name
        self._config = config

    async def run(self, place: Place) -> CheckResult:
        """Read the report that came with the plan; nothing is asked of anybody."""
        content = place.files.get(self._config.file)
        if content is None:
            said = "did not come with the start: start the release from where the plan and its files are"
            return self._result(CheckOutcome.ERROR, said, {})
        evidence: dict[str, Any] = {"file": self._config.file, "sha256": sha256(content).hexdigest()}
        try:
            report = read_report(content, self._config.revision_property or "")
        except NoReportError as error:
            return self._result(CheckOutcome.ERROR, str(error), evidence)
        began = report.oldest if report.oldest is not None else place.sent_at
        evidence |= _numbers(report, began, place.now)
        doubt = self._unproven(report, place) or self._age_doubt(began, place.now)
        failed = self._failed(report)
        if failed:  # whatever else is not proven: a report that says no is no yes
            return self._result(CheckOutcome.FAIL, "; ".join(filter(None, (failed, doubt))), evidence)
        if doubt:
            return self._result(CheckOutcome.ERROR, doubt, evidence)
        return self._result(CheckOutcome.PASS, self._passed(report, began, place), evidence)

    def _result(self, outcome: CheckOutcome, said: str, evidence: dict[str, Any]) -> CheckResult:
        return CheckResult(outcome, f"{self._config.file}: {said}", evidence)

    def _failed(self, report: Report) -> str:
        found = {kind: count for kind in self._config.fail_on if (count := getattr(report.counts, kind))}
        if not found:
            return ""
        names = report.failing[:SHOWN]
        more = sum(count for kind, count in found.items() if kind != "skipped") - len(names)
        listed = ", ".join(names) + (f" and {more} more" if names and more > 0 else "")
        counted = ", ".join(f"{count} {kind}" for kind, count in found.items())
        return f"{counted} in {report.counts.tests} tests" + (f": {listed}" if listed else "")

    def _unproven(self, report: Report, place: Place) -> str:
        """Why it proves nothing about this canary; empty when it does."""
        least = self._config.min_tests
        if report.ran < least:
            return f"{report.ran} tests ran, {least} or more are wanted"
        named = self._config.revision_property
        if named is None:
            return ""
        mine = {name for name in (place.canary, place.canary_build) if name}
        others = sorted(report.revisions - mine)
        if others:
            shown = ", ".join(printable(other) or "nothing" for other in others[:SHOWN])
            return (
                f"its {named} is {shown}, not {' or '.join(sorted(mine)) or 'that of the canary, which is not known'}"
            )
        if not report.revisions or report.unnamed:
            return f"{report.unnamed} tests are in suites without the property {named}: it does not say of what it is"
        return ""

    def _age_doubt(self, began: float | None, now: float) -> str:
        if began is None:
            return "it has no timestamp, and nobody knows when it was sent"
        if began > now + AHEAD_S:
            ahead = show_duration(round(began - now))
            return f"its timestamp is {ahead} in the future: a time without a zone is read as UTC"
        if now - began > self._config.max_age:
            return f"it is {_age(began, now)} old, {show_duration(self._config.max_age)} at most"
        return ""

    def _passed(self, report: Report, began: float | None, place: Place) -> str:
        counts = report.counts
        rest = [
            f"{count} {kind}" for kind in ("failures", "errors", "skipped", "flaky") if (count := getattr(counts, kind))
        ]
        passed = report.ran - sum(counts_of for counts_of in (counts.failures, counts.errors))
        of = f", of {', '.join(sorted(map(printable, report.revisions)))}" if report.revisions else ""
        age = f", {_age(began, place.now)} old" if began is not None else ""
        return ", ".join([f"{max(passed, 0)} passed", *rest]) + of + age


def _age(began: float, now: float) -> str:
    seconds = max(0, round(now - began))
    return show_duration(seconds if seconds < 3600 else seconds // 60 * 60)


def _numbers(report: Report, began: float | None, now: float) -> dict[str, Any]:
    counts = report.counts
    return {
        "tests": counts.tests,
        "failures": counts.failures,
        "errors": counts.errors,
        "skipped": counts.skipped,
        "flaky": counts.flaky,
        "failing": list(report.failing),
        "revisions": [printable(each) for each in sorted(report.revisions)[:10]],
        "age_s": None if began is None else round(now - began),
        "age_from": "timestamp" if report.oldest is not None else "sent",
        "at": now,
    }
