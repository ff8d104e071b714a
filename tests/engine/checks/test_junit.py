"""A report of tests: what failed is a fail, what is not proven is an error, and nothing in a file can do harm."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.checks import CheckResult, Place
from engine.checks.junit import JunitCheck
from engine.checks.junit_config import JunitConfig
from engine.checks.junit_report import NoReportError, read_report
from engine.events import CheckOutcome
from engine.plan.choice import CheckChoice

PASS, FAIL, ERROR = CheckOutcome.PASS, CheckOutcome.FAIL, CheckOutcome.ERROR
FILE = "reports/regression.xml"
NOW = datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()

SUREFIRE = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0" name="shop.CartTest" time="0.1"
  tests="5" errors="0" skipped="1" failures="0"
  xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd">
  <properties><property name="java.version" value="21"/><property name="version" value="v2"/></properties>
  <testcase name="adds" classname="shop.CartTest" time="0.01"/>
  <testcase name="removes" classname="shop.CartTest" time="0"><system-out><![CDATA[<error/>]]></system-out></testcase>
  <testcase name="slow" classname="shop.CartTest" time="0.01"><skipped message="not here"/></testcase>
  <testcase name="again" classname="shop.CartTest" time="0.01"><flakyFailure type="x">at first</flakyFailure></testcase>
  <testcase name="empties" classname="shop.CartTest" time="0.01"/>
</testsuite>
"""
JEST = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="3" failures="1" errors="0" time="1.2">
  <testsuite name="cart" errors="0" failures="1" skipped="0" timestamp="2027-01-31T11:00:00" time="0.9" tests="2">
    <testcase classname="cart adds" name="cart adds" time="0.004"></testcase>
    <testcase classname="cart" name="pays &amp; ships" time="0.004"><failure>Error: expected 1</failure></testcase>
  </testsuite>
  <testsuite name="menu" errors="0" failures="0" skipped="0" timestamp="2027-01-31T10:00:00" time="0.3" tests="1">
    <testcase classname="menu" name="opens" time="0.004"></testcase>
  </testsuite>
</testsuites>
"""


async def ask(report: str | bytes | None, *, place: dict[str, Any] | None = None, **config: Any) -> CheckResult:
    content = report.encode() if isinstance(report, str) else report
    files = {} if content is None else {FILE: content}
    where = {"canary_build": "sha256:abc", "sent_at": NOW - 60, "now": NOW, **(place or {})}
    check = JunitCheck("regression", JunitConfig.model_validate({"file": FILE, **config}))
    return await check.run(Place({}, "v2", "v1", files, **where))


def suite(inside: str = '<testcase name="a"/>', said: str = "") -> str:
    return f"<testsuite {said}>{inside}</testsuite>"


def written_by_pytest(tmp_path, tests: str) -> bytes:
    """What pytest really writes of these tests."""
    (tmp_path / "test_it.py").write_text(f"import pytest\n{tests}")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--junitxml=r.xml"]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=60)
    return (tmp_path / "r.xml").read_bytes()


GREEN = """
@pytest.fixture(autouse=True, scope="session")
def of(record_testsuite_property):
    record_testsuite_property("revision", "v2")

def test_a(): pass
def test_b(): pass
@pytest.mark.skip
def test_c(): pass
"""


@pytest.mark.real
async def test_a_report_of_pytest_passes_with_its_numbers(tmp_path):
    report = written_by_pytest(tmp_path, GREEN)
    result = await ask(report, place={"now": datetime.now(UTC).timestamp()}, revision_property="revision", max_age="5m")
    assert result.outcome is PASS
    assert result.summary.startswith(f"{FILE}: 2 passed, 1 skipped, of v2, ")
    numbers = {key: result.evidence[key] for key in ("tests", "failures", "errors", "skipped", "revisions", "age_from")}
    assert numbers == {
        "tests": 3, "failures": 0, "errors": 0, "skipped": 1, "revisions": ["v2"], "age_from": "timestamp",
    }  # fmt: skip


@pytest.mark.real
async def test_a_report_of_pytest_fails_with_the_names_of_what_failed(tmp_path):
    broken = "def test_d(): assert 0\n@pytest.fixture\ndef gone():\n    yield\n    assert 0\ndef test_e(gone): pass\n"
    result = await ask(written_by_pytest(tmp_path, GREEN + broken))
    assert result.outcome is FAIL
    assert "1 failures, 1 errors in 5 tests: test_it.test_d, test_it.test_e" in result.summary


@pytest.mark.real
async def test_a_report_of_tests_that_could_not_be_collected_fails(tmp_path):
    result = await ask(written_by_pytest(tmp_path, "def test_a(: pass"))
    assert (result.outcome, result.evidence["errors"]) == (FAIL, 1)


async def test_a_report_of_surefire_passes_and_its_age_is_when_it_was_sent():
    result = await ask(SUREFIRE, revision_property="version")
    assert result.outcome is PASS
    assert result.summary == f"{FILE}: 4 passed, 1 skipped, 1 flaky, of v2, 1m old"
    assert (result.evidence["age_s"], result.evidence["age_from"]) == (60, "sent")


async def test_a_report_of_jest_is_as_old_as_its_oldest_suite():
    result = await ask(JEST)
    assert result.outcome is FAIL
    assert result.summary == f"{FILE}: 1 failures in 3 tests: cart.pays & ships"
    assert result.evidence["age_s"] == 7200
    assert (await ask(JEST, max_age="90m")).summary.endswith("; it is 2h old, 1h30m at most")


async def test_the_file_alone_may_stand_in_a_plan():
    choice = CheckChoice.model_validate({"junit": FILE})
    assert (choice.title, choice.config.file, choice.config.files) == (f"junit {FILE}", FILE, (FILE,))
    assert CheckChoice.model_validate(choice.model_dump(mode="json")) == choice


# --- what says no


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (suite('<testcase name="a"/>', 'failures="2"'), "2 failures in 1 tests"),
        (suite('<error/><testcase name="a"/>'), "1 errors in 1 tests"),
        (f"<testsuites>{suite(suite('<testcase><failure/></testcase>'))}</testsuites>", "a test without a name"),
        ('<j:testsuite xmlns:j="urn:j"><j:testcase name="a"><j:failure/></j:testcase></j:testsuite>', "tests: a"),
        (suite('<testcase name="\x1b[31m"><error/></testcase>'.replace("\x1b", "&#9;")), "1 errors"),
    ],
)
async def test_what_failed_counts_wherever_it_stands(report, said):
    result = await ask(report)
    assert result.outcome is FAIL
    assert said in result.summary
    assert result.summary.isprintable()


async def test_what_counts_as_no_is_the_plans_choice():
    skipped = suite('<testcase name="a"/><testcase name="b"><skipped/></testcase>')
    assert (await ask(skipped)).outcome is PASS
    assert (await ask(skipped, fail_on=["skipped"])).outcome is FAIL
    assert (await ask(suite('<testcase name="a"><failure/></testcase>'), fail_on=["errors"])).outcome is PASS


async def test_a_long_list_of_failures_is_cut():
    tests = "".join(f'<testcase name="{"t" * 500}{n}"><failure/></testcase>' for n in range(50))
    result = await ask(suite(tests))
    assert "and 47 more" in result.summary
    assert len(result.evidence["failing"]) == 10
    assert max(map(len, result.evidence["failing"])) <= 200


# --- what is not proven


@pytest.mark.parametrize(
    ("report", "config", "said"),
    [
        (None, {}, "did not come with the start"),
        ("", {}, "no XML"),
        ("<testsuite>", {}, "no XML"),
        (b"\xff\xfe\x00", {}, "no XML"),
        ('<?xml version="1.0" encoding="klingon"?><testsuite/>', {}, "encoding"),
        ("<html/>", {}, "begins with <html>"),
        ("<testsuite/>", {}, "0 tests ran, 1 or more"),
        (suite("<testcase><skipped/></testcase>"), {}, "0 tests ran"),
        (suite(), {"min_tests": 2}, "1 tests ran, 2 or more"),
        (suite(said='tests="7"'), {}, "says that it has 7 tests and shows 1"),
        (suite(said='tests="many"'), {}, "is no number"),
        (suite(said='failures="-1"'), {}, "is no number"),
        (suite(said='timestamp="yesterday"'), {}, "no time in ISO 8601"),
        (suite(said='timestamp="2027-01-31T12:10:00"'), {}, "10m in the future"),
        (suite(said='timestamp="2027-01-30T11:59:00Z"'), {}, "1d1m old, 1d at most"),
        (suite(), {"revision_property": "version"}, "1 tests are in suites without the property version"),
        (SUREFIRE.replace('value="v2"', 'value="v1"'), {"revision_property": "version"}, "is v1, not sha256:abc or v2"),
        (SUREFIRE.replace('value="v2"', 'value=""'), {"revision_property": "version"}, "is nothing, not"),
    ],
)
async def test_what_proves_nothing_is_an_error(report, config, said):
    result = await ask(report, **config)
    assert result.outcome is ERROR
    assert said in result.summary


async def test_without_a_timestamp_and_a_time_of_sending_nobody_knows_its_age():
    assert "nobody knows" in (await ask(suite(), place={"sent_at": None})).summary


async def test_each_suite_must_say_of_what_it_is():
    one = suite('<properties><property name="version" value="v2"/></properties><testcase name="a"/>')
    other = suite('<testcase name="b"><properties><property name="version" value="v2"/></properties></testcase>')
    assert (await ask(f"<testsuites>{one}{other}</testsuites>", revision_property="version")).outcome is ERROR
    above = one.replace('<testcase name="a"/>', other)
    assert (await ask(above, revision_property="version")).outcome is PASS


async def test_the_build_proves_it_as_well_as_the_version():
    report = suite('<properties><property name="image" value="sha256:abc"/></properties><testcase name="a"/>')
    assert (await ask(report, revision_property="image")).outcome is PASS
    unknown = await ask(report, revision_property="image", place={"canary_build": ""})
    assert unknown.outcome is ERROR


# --- what would do harm

BOMB = '<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><testsuite name="&b;"/>'


@pytest.mark.parametrize(
    "harm",
    [BOMB, '<!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite/>', "<!DOCTYPE t><testsuite/>"],
)
def test_a_document_type_is_refused(harm):
    with pytest.raises(NoReportError, match="document type"):
        read_report(harm.encode())


def test_depth_is_bounded():
    with pytest.raises(NoReportError, match="levels deep"):
        read_report(("<testsuite>" * 10_000).encode())
