"""What the doctor says of a Prometheus before a release depends on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.finding import Finding
from engine.judge.metric import Metric, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources.config import PrometheusConfig
from engine.sources.prometheus import PrometheusSource
from engine.sources.reading import Query
from tests.support.canned_http import answered
from tests.support.prometheus_fake import FakePrometheus, fake_prometheus, refused, series, told

NOW = 1_700_000_000.0
ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse("requests_total"),
    part=Selector.parse('requests_total{version="$version",code="500"}'),
)
SLOW = Query(Metric("slow", "latency", (Threshold(0.4),), quantile=0.9), histogram=Selector.parse("seconds"), line=0.4)
STABLE, CANARY = 'requests_total{version="v1"}', 'requests_total{version="v2"}'
BAD = 'requests_total{version="v1",code'
SCRAPES = [(NOW - 3 - 15 * number, str(100 - number)) for number in range(10, -1, -1)]


@pytest.fixture
async def server() -> AsyncIterator[FakePrometheus]:
    """A server that has all that a release needs."""
    async with fake_prometheus() as fake:
        rules = [{"name": "Errors", "query": 'rate(requests_total{code="500"}[5m]) > 1'}]
        fake.answers = [
            ("time()", told({"resultType": "scalar", "result": [NOW, str(NOW)]})),
            ("buildinfo", told({"version": "2.42.0"})),
            ("rules", told({"groups": [{"rules": rules}]})),
        ]
        fake.say(STABLE, series("requests_total", *SCRAPES))
        fake.say(CANARY, series("requests_total", *SCRAPES))
        fake.say(BAD, series("requests_total", *SCRAPES, code="500"))
        yield fake


async def examined(server: FakePrometheus, *queries: Query) -> dict[str, Finding]:
    config = PrometheusConfig.model_validate({"url": server.url, "interval": "15s"})
    source = PrometheusSource(config, now=lambda: NOW)
    found = await source.examine(queries or (ERRORS,), canary=Subject("v2"), stable=Subject("v1"))
    await source.close()
    return {one.what: one for one in found}


async def test_all_is_well(server: FakePrometheus) -> None:
    assert list((await examined(server)).values()) == [
        Finding("ok", "prometheus", "answers, version 2.42.0"),
        Finding("ok", "prometheus clock", "the same as the engine's"),
        Finding("ok", "metric errors", "answers for canary and stable; scraped every 15s, last 3s ago"),
        Finding("ok", "alert rule for errors", "Errors watches requests_total"),
    ]


async def test_a_canary_that_shows_nothing_yet_is_no_fault(server: FakePrometheus) -> None:
    server.say(CANARY)
    found = (await examined(server))["metric errors"]
    assert (found.grade, "stable; nothing of the canary yet" in found.said) == ("ok", True)


def say(part: str, *found: Any, warnings: Any = ()) -> Any:
    return lambda server: server.say(part, *found, warnings=warnings)


def answer(part: str, raw: bytes) -> Any:
    return lambda server: server.answers.insert(0, (part, raw))


RARE = [(NOW - 3 - 60 * number, "1") for number in range(4, -1, -1)]
OLD = [(NOW - 200 - 15 * number, "1") for number in range(4, -1, -1)]
TIME = {"resultType": "scalar", "result": [NOW, str(NOW + 5)]}
LATE = {"resultType": "scalar", "result": [NOW, str(NOW - 100)]}


@pytest.mark.parametrize(
    ("change", "what", "grade", "said"),
    [
        (say(STABLE), "metric errors", "bad", f"nothing of stable matches {STABLE}"),
        (say(BAD), "metric errors", "warn", "right only if none of them ever happened"),
        (say(BAD, series("x", *SCRAPES), warnings=["a store is gone"]), "metric errors", "bad", "a store is gone"),
        (say(STABLE, series("x", *RARE)), "metric errors", "bad", "is scraped every 1m, and the plan looks every 15s"),
        (say(STABLE, series("x", *OLD)), "metric errors", "bad", "its newest scrape is 3m20s old"),
        (answer(STABLE, refused(422, "execution", "too many")), "metric errors", "bad", "execution: too many"),
        (answer("time()", told(TIME)), "prometheus clock", "warn", "5s apart"),
        (answer("time()", told(LATE)), "prometheus clock", "bad", "1m40s apart"),
        (answer("time()", told({"result": []})), "prometheus", "bad", "does not tell its time"),
        (answer("time()", answered(401, b"")), "prometheus", "bad", "refuses the credentials"),
        (answer("time()", answered(200, b"<html>")), "prometheus", "bad", "not as Prometheus does"),
        (answer("buildinfo", answered(404, b"")), "prometheus", "ok", "answers"),
        (answer("rules", told({"groups": []})), "alert rule for errors", "warn", "no alert rule names requests_total"),
        (answer("rules", told({"groups": [{"rules": [{"name": "A", "query": "my_requests_total > 1"}]}]})),
         "alert rule for errors", "warn", "no alert rule names requests_total"),
        (answer("rules", answered(404, b"")), "alert rules", "warn", "can't be listed"),
        (answer("rules", told([1])), "alert rules", "warn", "can't be listed"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(server: FakePrometheus, change: Any, what: str, grade: str, said: str) -> None:
    change(server)
    found = (await examined(server))[what]
    assert found.grade == grade
    assert said in found.said


async def test_a_histogram_has_buckets(server: FakePrometheus) -> None:
    server.say("seconds", series("seconds", *SCRAPES))
    assert "is no histogram" in (await examined(server, SLOW))["metric slow"].said
    server.say("seconds", series("seconds_bucket", *SCRAPES, le="0.4"))
    assert (await examined(server, SLOW))["metric slow"].grade == "ok"


async def test_a_side_that_can_not_be_named_is_said(server: FakePrometheus) -> None:
    query = Query(ERRORS.metric, total=Selector.parse('x{hash="$build"}'), part=Selector.parse("y"))
    found = (await examined(server, query))["metric errors"]
    assert (found.grade, found.said) == ("bad", "$build of stable is not known: the router does not tell it")
