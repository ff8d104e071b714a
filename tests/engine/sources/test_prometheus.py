"""Answers as servers give them: whole, stale, half, refused or late. Whatever comes, a reading says so."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.judge.metric import Metric, Sample, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources import http_client, prometheus, prometheus_api
from engine.sources.config import PrometheusConfig
from engine.sources.prometheus import PrometheusSource
from engine.sources.reading import Differences, Query, Reading
from tests.support.canned_http import NEVER, answered
from tests.support.prometheus_fake import FakePrometheus, fake_prometheus, matrix, refused, series

NOW = 1_700_000_000.0
ERRORS = Query(
    Metric("errors", "bad", (Threshold(0.02),)),
    total=Selector.parse("requests_total"),
    part=Selector.parse('requests_total{version=~"$version",code=~"5.."}'),
)
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=Selector.parse("pool_in_use"))
TOTAL_OF_CANARY, BAD_OF_CANARY = 'requests_total{version="v2"}', 'requests_total{version=~"v2",'
TOTAL_OF_STABLE = 'requests_total{version="v1"}'


@pytest.fixture
async def server() -> AsyncIterator[FakePrometheus]:
    async with fake_prometheus() as fake:
        yield fake


class Looking:
    """A source whose clock goes on by an interval with each look."""

    def __init__(self, source: PrometheusSource, interval: float) -> None:
        self.source = source
        self.interval = interval
        self.at = NOW
        self.differences = Differences((ERRORS, POOL))

    async def look(self, *queries: Query) -> Reading:
        reading = await self.source.read(queries or (ERRORS, POOL), canary=Subject("v2"), stable=Subject("v1"))
        self.at += self.interval
        return reading

    async def samples(self) -> dict[str, Sample]:
        return {one.metric: one for one in self.differences.since_last(await self.look())}


@asynccontextmanager
async def looking(server: FakePrometheus, **config: Any) -> AsyncIterator[Looking]:
    read = PrometheusConfig.model_validate({"url": server.url, "interval": "15s", **config})
    looks = Looking(PrometheusSource(read, now=lambda: looks.at), read.interval)
    try:
        yield looks
    finally:
        await looks.source.close()


def values(reading: Reading, metric: str = "errors", role: str = "total") -> dict[str, float]:
    """Series without their labels -> value, of both sides."""
    found = {}
    for (name, side, one), series_ in reading.values.items():
        if (name, one) == (metric, role):
            found |= {f"{side} {series_name.partition(' ')[0]}": value for series_name, value in series_.items()}
    return found


# --- what is asked


async def test_all_is_asked_at_one_time_and_never_in_part(server: FakePrometheus) -> None:
    async with looking(server, timeout="1500ms") as looks:
        await looks.look()
    assert {form["time"] for form in server.asked} == {f"{NOW:.3f}"}
    assert {form["partial_response"] for form in server.asked} == {"false"}
    assert {form["timeout"] for form in server.asked} == {"1500ms"}
    assert {head.split(" HTTP")[0] for head in server.heads} == {"POST /api/v1/query"}
    assert sorted(server.questions()) == [
        'pool_in_use{version="v1"}[45000ms]',
        'pool_in_use{version="v2"}[45000ms]',
        'requests_total{version="v1"}[45000ms]',
        'requests_total{version="v2"}[45000ms]',
        'requests_total{version=~"v1",code=~"5.."}[45000ms]',
        'requests_total{version=~"v2",code=~"5.."}[45000ms]',
    ]


async def test_a_version_stands_for_itself_in_a_question(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        await looks.source.read((ERRORS,), canary=Subject('v2.0"} or x{a="'), stable=Subject())
    assert sorted(server.questions()) == [
        r'requests_total{version="v2.0\"} or x{a=\""}[45000ms]',
        r'requests_total{version=~"v2\\.0\"\\}\\ or\\ x\\{a=\"",code=~"5.."}[45000ms]',
    ]


async def test_what_several_metrics_read_is_asked_once(server: FakePrometheus) -> None:
    name = Selector.parse("seconds")
    slow = [Query(Metric(f"p{q}", "latency", (), quantile=q / 100), histogram=name, line=0.4) for q in (50, 95, 99)]
    server.say('"v2"', series("seconds_bucket", (NOW, "3"), le="+Inf"))
    async with looking(server) as looks:
        reading = await looks.look(*slow)
    assert len(server.asked) == 2
    assert [values(reading, query.metric.name, "le:inf") for query in slow] == [{"canary gw/gw:80": 3}] * 3


async def test_no_more_than_a_few_questions_at_a_time(server: FakePrometheus) -> None:
    server.slowness = 0.02
    many = [Query(Metric(f"g{number}", "gauge", ()), gauge=Selector.parse(f"g{number}")) for number in range(20)]
    async with looking(server) as looks:
        assert (await looks.look(*many)).problem == ""
    assert len(server.asked) == 40
    assert 1 < server.most_at_once <= prometheus_api.PARALLEL


@pytest.mark.parametrize(
    ("config", "header"),
    [
        ({"bearer_token": "t-o.k"}, "authorization: bearer t-o.k"),
        ({"basic": {"user": "lane", "password": "shift"}}, f"authorization: basic {b64encode(b'lane:shift').decode()}"),
        ({"headers": {"X-Scope-OrgID": "shop|bank"}}, "x-scope-orgid: shop|bank"),
    ],
    ids=["bearer", "basic", "header"],
)
async def test_every_question_carries_who_asks(server: FakePrometheus, config: Mapping[str, Any], header: str) -> None:
    async with looking(server, **config) as looks:
        await looks.look()
    assert all(header.lower() in head.lower() for head in server.heads)
    assert server.heads


async def test_a_server_may_live_under_a_path(server: FakePrometheus) -> None:
    async with looking(server, url=f"{server.url}/prometheus/") as looks:
        await looks.look()
    assert {form["path"] for form in server.asked} == {"/prometheus/api/v1/query"}


# --- which sample counts


async def test_each_series_counts_with_its_newest_sample_and_by_its_instance(server: FakePrometheus) -> None:
    server.say(
        TOTAL_OF_CANARY,
        series("requests_total", (NOW - 20, "5"), (NOW - 5, "8"), instance="one:80", version="v2"),
        series("requests_total", (NOW - 29, "70"), (NOW - 14, "90"), instance="two:80", version="v2"),
    )
    async with looking(server) as looks:
        reading = await looks.look()
    assert values(reading) == {"canary gw/one:80": 8, "canary gw/two:80": 90}
    assert list(reading.values["errors", "canary", "total"]) == [
        "gw/one:80 requests_total{instance=one:80,job=gw,version=v2}",
        "gw/two:80 requests_total{instance=two:80,job=gw,version=v2}",
    ]


async def test_bad_and_all_events_are_of_one_scrape(server: FakePrometheus) -> None:
    """A scrape came in between the two answers: the requests are read as they were at the scrape before."""
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 20, "100"), (NOW - 5, "200")))
    server.say(BAD_OF_CANARY, series("requests_total", (NOW - 20, "10"), code="500"))
    async with looking(server) as looks:
        first = await looks.look()
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 5, "200"), (NOW + 10, "300")))
        server.say(BAD_OF_CANARY, series("requests_total", (NOW - 5, "20"), (NOW + 10, "30"), code="500"))
        second = await looks.look()
    assert (values(first), values(first, role="part")) == ({"canary gw/gw:80": 100}, {"canary gw/gw:80": 10})
    assert (values(second), values(second, role="part")) == ({"canary gw/gw:80": 300}, {"canary gw/gw:80": 30})


async def test_series_that_ended_hold_the_others_of_their_instance_back_for_one_scrape_only(
    server: FakePrometheus,
) -> None:
    async with looking(server) as looks:
        for scrapes in range(1, 4):
            at = NOW + (scrapes - 1) * 15
            server.say(TOTAL_OF_CANARY, series("requests_total", (at - 20, f"{scrapes}"), (at - 5, f"{scrapes + 1}")))
            server.say(BAD_OF_CANARY, series("requests_total", (NOW - 20, "1"), code="500"))
            reading = await looks.look()
    assert values(reading) == {"canary gw/gw:80": 4}
    assert values(reading, role="part") == {}


async def test_what_ended_does_not_mix_the_scrapes_of_the_others(server: FakePrometheus) -> None:
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 20, "100"), (NOW - 5, "200")))
    server.say(BAD_OF_CANARY, series("requests_total", (NOW - 20, "10"), code="500"))
    server.say("pool_in_use", series("pool_in_use", (NOW - 44, "7")))
    async with looking(server) as looks:
        reading = await looks.look()
    assert (values(reading), values(reading, role="part")) == ({"canary gw/gw:80": 100}, {"canary gw/gw:80": 10})
    assert values(reading, "pool", "gauge") == {}


async def test_an_instance_without_a_new_scrape_has_said_nothing_new(server: FakePrometheus) -> None:
    """A repeated sample would read as a canary that serves nothing."""
    server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), instance="stable:80"))
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 1, "10"), instance="canary:80"))
    async with looking(server) as looks:
        await looks.samples()
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), (NOW + 14, "160"), instance="stable:80"))
        first = (await looks.samples())["errors"]
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW + 29, "200"), instance="stable:80"))
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW + 29, "14"), instance="canary:80"))
        second = (await looks.samples())["errors"]
    assert first.stable is not None
    assert second.stable is not None
    assert second.canary is not None
    assert (first.stable.total, first.canary) == (60, None)
    assert (second.stable.total, second.canary.total) == (40, 4)


async def test_a_recorded_series_has_no_instance_and_counts_too(server: FakePrometheus) -> None:
    recorded = {"metric": {"__name__": "requests_total", "version": "v2"}, "values": [[NOW - 3, "7"]]}
    server.say(TOTAL_OF_CANARY, recorded)
    async with looking(server) as looks:
        assert values(await looks.look()) == {"canary /": 7}


async def test_samples_with_times_of_their_own_count_at_their_newest(server: FakePrometheus) -> None:
    """Exporters may date each series themselves: then no two have a scrape in common."""
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 9, "100")))
    server.say(BAD_OF_CANARY, series("requests_total", (NOW - 7.5, "3"), code="500"))
    async with looking(server) as looks:
        reading = await looks.look()
    assert (values(reading), values(reading, role="part")) == ({"canary gw/gw:80": 100}, {"canary gw/gw:80": 3})


async def test_names_with_spaces_do_not_blur_where_a_series_is_from(server: FakePrometheus) -> None:
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 3, "7"), instance="one two"))
    async with looking(server) as looks:
        assert values(await looks.look()) == {"canary gw/one_two": 7}


async def test_a_server_that_scrapes_more_rarely_than_the_plan_looks_is_doubted(server: FakePrometheus) -> None:
    """Even if no more than one of its scrapes is ever seen at a time."""
    doubts = []
    async with looking(server) as looks:
        for at in (NOW - 1, NOW + 59, NOW + 119):
            looks.at = at + 1
            server.say(TOTAL_OF_CANARY, series("requests_total", (at, "8")))
            server.say("pool_in_use", series("pool_in_use", (at - 15, "5"), (at, "8"), instance="pod:80"))
            doubts.append((await looks.look()).doubts)
    said = "Prometheus scrapes it every 1m, the plan looks every 15s: raise the interval"
    assert doubts == [{}, {}, {"errors": said}]


async def test_one_scrape_that_failed_is_no_rhythm(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        for at in (NOW - 1, NOW + 29, NOW + 44, NOW + 74):
            looks.at = at + 1
            server.say(TOTAL_OF_CANARY, series("requests_total", (at, "8")))
            reading = await looks.look()
            assert (reading.doubts, values(reading)) == ({}, {"canary gw/gw:80": 8})


# --- instances that come and go


UP = 'up{job=~"gw",instance=~"'


async def test_a_target_that_was_down_at_first_does_not_bring_its_life_along(server: FakePrometheus) -> None:
    server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), instance="stable:80"))
    async with looking(server) as looks:
        await looks.samples()
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW + 14, "90000"), instance="canary:80"))
        server.say(UP, series("up", (NOW - 1, "0"), (NOW + 14, "1"), instance="canary:80"))
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW + 14, "160"), instance="stable:80"))
        first = (await looks.samples())["errors"]
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW + 29, "90010"), instance="canary:80"))
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW + 29, "220"), instance="stable:80"))
        second = (await looks.samples())["errors"]
    assert first.canary is not None
    assert second.canary is not None
    assert (first.canary.total, second.canary.total) == (0, 10)


async def test_a_series_that_appears_where_its_target_was_scraped_before_began_at_nothing(
    server: FakePrometheus,
) -> None:
    """A canary shows requests once it has had one: the first of them count."""
    server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), instance="stable:80"))
    async with looking(server) as looks:
        await looks.samples()
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW + 14, "7"), instance="canary:80"))
        server.say(BAD_OF_CANARY, series("requests_total", (NOW + 14, "2"), instance="canary:80", code="500"))
        server.say(UP, series("up", (NOW - 1, "1"), (NOW + 14, "1"), instance="canary:80"))
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW + 14, "160"), instance="stable:80"))
        sample = (await looks.samples())["errors"]
    assert sample.canary is not None
    assert (sample.canary.total, sample.canary.bad) == (7, 2)
    assert server.questions().count('up{job=~"gw",instance=~"canary:80"}[45000ms]') == 1


async def test_what_a_new_instance_counted_between_its_first_scrapes_counts(server: FakePrometheus) -> None:
    server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), instance="stable:80"))
    async with looking(server) as looks:
        await looks.samples()
        looks.at = NOW + 30
        server.say(TOTAL_OF_CANARY, series("requests_total", (NOW + 14, "5"), (NOW + 29, "9"), instance="canary:80"))
        server.say(TOTAL_OF_STABLE, series("requests_total", (NOW + 29, "160"), instance="stable:80"))
        sample = (await looks.samples())["errors"]
    assert sample.canary is not None
    assert sample.canary.total == 4


async def two_instances(server: FakePrometheus, looks: Looking, up: Mapping[str, Any] | None) -> Sample:
    """Two of the canary, of which one falls silent; `up` is what is known of it then."""
    both = [series("requests_total", (NOW - 1, "100"), instance=f"{name}:80") for name in ("one", "two")]
    server.say(TOTAL_OF_CANARY, *both)
    server.say(TOTAL_OF_STABLE, series("requests_total", (NOW - 1, "100"), instance="stable:80"))
    await looks.samples()
    for at in (NOW + 14, NOW + 29):
        server.say(TOTAL_OF_CANARY, series("requests_total", (at, "110"), instance="one:80"))
        server.say(TOTAL_OF_STABLE, series("requests_total", (at, "200"), instance="stable:80"))
        if up is not None:
            server.say(UP, up)
        samples = await looks.samples()
    return samples["errors"]


async def test_an_instance_that_is_down_leaves_its_side_read_in_part(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        sample = await two_instances(server, looks, series("up", (NOW + 14, "0"), (NOW + 29, "0"), instance="two:80"))
    assert (sample.canary, sample.stable) == (None, None)
    assert sample.problem == "partly read: gw/two:80 is down: Prometheus can't scrape it"


@pytest.mark.parametrize(
    "up",
    [None, series("up", (NOW + 29, "1"), instance="two:80"), series("up", (NOW - 5, "0"), instance="two:80")],
    ids=["gone from the targets", "up with nothing to say", "was down before"],
)
async def test_an_instance_that_went_away_or_says_nothing_more_is_no_lost_one(
    server: FakePrometheus, up: Mapping[str, Any] | None
) -> None:
    async with looking(server) as looks:
        sample = await two_instances(server, looks, up)
    assert sample.problem == ""
    assert sample.canary is not None


# --- what must not be trusted


async def test_a_warning_is_a_doubt_of_its_metric_alone(server: FakePrometheus) -> None:
    server.say(BAD_OF_CANARY, series("requests_total", (NOW - 3, "7")), warnings=["store-2 is\x1b[2J gone"])
    server.say("pool_in_use", series("pool_in_use", (NOW - 3, "7")))
    async with looking(server) as looks:
        reading = await looks.look()
    assert reading.doubts == {"errors": "Prometheus warns: store-2 is\\u001b[2J gone"}
    assert values(reading, "pool", "gauge")


@pytest.mark.parametrize("written", ["NaN", "+Inf", "-Inf"])
async def test_what_is_no_number_is_handed_on_and_doubted(server: FakePrometheus, written: str) -> None:
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 3, written)))
    async with looking(server) as looks:
        reading = await looks.look()
        [sample, _] = looks.differences.since_last(reading)
    [value] = values(reading).values()
    assert not math.isfinite(value)
    assert (sample.canary, str(value) in sample.problem) == (None, True)


async def test_nothing_found_is_nothing_and_no_problem(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        assert await looks.look() == Reading(NOW, {}, places=frozenset())


async def test_before_any_version_is_known_nothing_is_asked(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        assert await looks.source.read((ERRORS,), canary=Subject(), stable=Subject()) == Reading(
            NOW, {}, places=frozenset()
        )
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused(422, "execution", "too many samples"), "execution: too many samples (HTTP 422)"),
        (refused(400, "bad_data", "parse error"), "bad_data: parse error (HTTP 400)"),
        (refused(503, "unavailable", "starting"), "unavailable: starting (HTTP 503)"),
        (answered(401, b"Unauthorized"), "refuses the credentials (HTTP 401)"),
        (answered(403, b"{}"), "refuses the credentials (HTTP 403)"),
        (answered(200, b"<html>Welcome</html>"), "HTTP 200, not as Prometheus does"),
        (answered(302, b"", {"Location": "http://elsewhere.example/"}), "HTTP 302, not as Prometheus does"),
        (answered(502, b"Bad Gateway"), "HTTP 502, not as Prometheus does"),
        (answered(200, matrix().partition(b"\r\n\r\n")[2][:-9]), "not as Prometheus does"),
        (answered(200, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}'), "not as"),
        (matrix({"metric": {}, "value": [NOW, "1"]}), "not as Prometheus does"),
        (matrix({"metric": {}, "values": [[NOW, "many"]]}), "not as Prometheus does"),
        (answered(200, b"[" * 100_000), "not as Prometheus does"),
        (answered(200, b"\xff\xfe"), "not as Prometheus does"),
        (answered(200, b"{}", {"Content-Length": "50"}), "without sending complete message body"),
        (answered(200, b"{}", {"Content-Encoding": "gzip"}), "incorrect header check"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0"),
        (NEVER, "did not answer within 1 s"),
    ],
)
async def test_no_answer_is_said_and_what_the_others_tell_is_kept(
    server: FakePrometheus, answer: bytes, said: str
) -> None:
    server.answers = [(BAD_OF_CANARY, answer)]
    server.say("pool_in_use", series("pool_in_use", (NOW - 3, "7")))
    async with looking(server, timeout="1s") as looks:
        some = await looks.look()
        server.answers = [("", answer)]
        none = await looks.look()
    assert list(some.doubts) == ["errors"]
    assert said in some.doubts["errors"]
    assert (some.problem, values(some, "pool", "gauge") != {}) == ("", True)
    assert said in none.problem
    assert none.values == {}
    assert none.problem.count(said) == 1, "the same reason is said once"


async def test_one_slow_answer_does_not_keep_the_others(server: FakePrometheus) -> None:
    server.answers = [(BAD_OF_CANARY, NEVER)]
    server.say(TOTAL_OF_CANARY, series("requests_total", (NOW - 3, "7")))
    async with looking(server, timeout="200ms") as looks:
        reading = await looks.look()
    assert "did not answer within 0.2 s" in reading.doubts["errors"]
    assert values(reading) == {"canary gw/gw:80": 7}


async def test_an_answer_too_long_is_not_read_to_its_end(
    server: FakePrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "LONGEST_BODY", 1000)
    server.answers = [("", answered(200, b" " * 100_000))]
    async with looking(server) as looks:
        assert "more than 1000 bytes" in (await looks.look()).problem


async def test_nobody_there_is_said_with_the_address() -> None:
    async with fake_prometheus() as gone:
        pass
    address = gone.url.removeprefix("http://")
    async with looking(gone, url=f"http://reader:${{env:NAME}}@{address}") as looks:
        problem = (await looks.look()).problem
    assert problem.startswith(f"Prometheus at {address}: ")


# --- the past


async def test_the_past_is_asked_in_pieces_and_steps_without_data_are_left_out(
    server: FakePrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "STEPS", 4)
    known = [(NOW - 30 * number, str(100 - number)) for number in (7, 6, 2, 0)]
    server.say('requests_total{version="v1"}', series("requests_total", *known))
    async with looking(server) as looks:
        past = await looks.source.past((ERRORS, POOL), stable=Subject("v1"), seconds=240, step=30)
    assert [(reading.at, values(reading)) for reading in past] == [
        (at, {"stable gw/gw:80": float(value)}) for at, value in known
    ]
    asked = {(form["start"], form["end"], form["step"]) for form in server.asked}
    assert asked == {
        (f"{NOW - 240:.3f}", f"{NOW - 150:.3f}", "30.000"),
        (f"{NOW - 120:.3f}", f"{NOW - 30:.3f}", "30.000"),
        (f"{NOW:.3f}", f"{NOW:.3f}", "30.000"),
    }
    assert {form["path"] for form in server.asked} == {"/api/v1/query_range"}
    assert set(server.questions("query_range")) == {
        'last_over_time(requests_total{version="v1"}[45000ms])',
        'last_over_time(requests_total{version=~"v1",code=~"5.."}[45000ms])',
        'last_over_time(pool_in_use{version="v1"}[45000ms])',
    }


async def test_the_past_has_its_last_step_though_the_server_rounds_its_time(server: FakePrometheus) -> None:
    server.say("pool_in_use", series("pool_in_use", (NOW - 14.999, "4"), (NOW + 0.001, "5")))
    async with looking(server) as looks:
        looks.at = NOW + 0.0006
        past = await looks.source.past((POOL,), stable=Subject("v1"), seconds=15, step=15)
    assert [values(reading, "pool", "gauge") for reading in past] == [{"stable gw/gw:80": 4}, {"stable gw/gw:80": 5}]


async def test_each_piece_of_the_past_is_below_what_a_server_refuses(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        await looks.source.past((POOL,), stable=Subject("v1"), seconds=30 * 86400, step=60)
    points = [(float(form["end"]) - float(form["start"])) / 60 + 1 for form in server.asked]
    assert max(points) < 11_000
    assert sum(points) == 30 * 1440 + 1


async def test_a_server_that_keeps_no_history_has_no_past(server: FakePrometheus) -> None:
    async with looking(server) as looks:
        assert await looks.source.past((ERRORS, POOL), stable=Subject("v1"), seconds=3600, step=15) == []


async def test_a_past_that_can_not_be_read_says_so(server: FakePrometheus) -> None:
    server.answers = [("", refused(422, "execution", "too many samples"))]
    async with looking(server) as looks:
        [reading] = await looks.source.past((ERRORS,), stable=Subject("v1"), seconds=3600, step=15)
    assert (reading.at, reading.values, "too many samples" in reading.problem) == (NOW, {}, True)


async def test_a_past_read_in_part_is_doubted_at_each_step(server: FakePrometheus) -> None:
    server.answers = [('version=~"v1"', refused(503, "timeout", "busy"))]
    server.say('requests_total{version="v1"}', series("requests_total", (NOW - 15, "4"), (NOW, "5")))
    async with looking(server) as looks:
        past = await looks.source.past((ERRORS,), stable=Subject("v1"), seconds=30, step=15)
    assert [list(reading.doubts) for reading in past] == [["errors"]] * 3
