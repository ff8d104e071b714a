"""How a metric names a number: series, places in JSON answers, queries; and which source understands which."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.model import Plan, parse_plan
from engine.plan.problem import PlanError
from engine.plan.questions import JsonPlace, Statement, parse_question
from engine.plan.selector import Selector, Subject
from engine.plan.units import NotUnderstoodError

SUBJECT = Subject("v2/b ü", build="7c9d", workload="checkout")
PLAN = """\
service: shop
router: {sandbox: {}}
source: {scrape: {urls: ["http://127.0.0.1:1/metrics"], interval: 5s}}
sources:
  orders: {sql: {url: "sqlite:////tmp/shop.db", interval: 30s}}
  stats: {http_json: {url: "http://127.0.0.1:1/stats", interval: 5s}}
metrics:
  errors: {total: x, bad: 'x{version="$version",code=~"5.."}', alert: "> 1%"}
  METRIC
"""


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("/orders/$version/total", JsonPlace),
        ("/stats?version=$version#/total", JsonPlace),
        ("select count(*) from orders where version = :version", Statement),
        ("  WITH x AS (select 1) select count(*) from x", Statement),
        ("SELECT(1)", Statement),
        ("requests_total", Selector),
        ('select_total{version="$version"}', Selector),
        ("select", Selector),
    ],
)
def test_a_question_is_told_by_how_it_begins(text, form):
    assert isinstance(parse_question(text), form)


def test_a_place_is_filled_for_one_side_and_no_sign_of_a_version_ends_a_part_of_it():
    place = JsonPlace.parse("/of/$workload?version=$version#/by~1version/$version/a~0b/0")
    assert place.path_of(SUBJECT) == "/of/checkout?version=v2%2Fb%20%C3%BC"
    assert place.keys_of(SUBJECT) == ["by/version", "v2/b ü", "a~b", "0"]
    assert place.names_its_side
    assert place.lacks(Subject("v2")) == ("$workload",)
    assert JsonPlace.parse("/orders/total").path_of(SUBJECT) == ""


def test_a_version_is_bound_and_never_written_into_a_query():
    query = Statement.parse("select count(*) from o where v = :version and t > '12:30' and v::text <> :version ;\n")
    assert query.values_of(SUBJECT) == {"version": "v2/b ü"}
    assert query.text.endswith("v::text <> :version")
    assert query.lacks(Subject(build="7c9d")) == (":version",)
    assert not Statement.parse("select count(*) from orders").names_its_side


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/orders/$verison", "did you mean $version?"),
        ("/a b#/c", "a place in a JSON answer"),
        ("/a#b#/c", "a place in a JSON answer"),
        ("/a~2", "~ is written ~0"),
        ("/" + "a" * 2000, "a place in a JSON answer"),
        ("select count(*) from orders where version = $version", "did you mean :version?"),
        ("select count(*) from orders where version = :verison", "did you mean version?"),
        ("select count(*) from orders where hour = ' :xyz'", "is written \\:xyz"),
        ("select count(*) from orders where version = :version::text", "cast(:version as ...)"),
        ("select 1; drop table orders", "without a ; in it"),
        ("select " + "1" * 2000, "characters at most"),
    ],
)
def test_what_is_no_question_is_refused_with_the_reason(text, said):
    with pytest.raises(NotUnderstoodError, match=re.escape(said)):
        parse_question(text)


@given(st.text(alphabet=st.sampled_from("/#~$:version ;?a1{}\"'\\"), max_size=30), st.sampled_from(["/", "select "]))
def test_a_question_reads_back_from_what_it_shows(text, beginning):
    try:
        question = parse_question(beginning + text)
    except NotUnderstoodError:
        return
    assert parse_question(str(question)) == question


def plan(metric: str) -> Plan:
    return parse_plan(PLAN.replace("METRIC", metric).encode())


def test_each_metric_is_read_from_the_source_that_it_names_in_its_language():
    read = plan(
        "sold: {source: orders, total: 'select count(*) from o where v = :version', "
        "good: 'select count(*) from o where ok and v = :version', alert: '< 96%'}\n"
        "  carts: {source: stats, total: /$version/all, bad: /$version/lost, alert: '> 5%'}"
    )
    assert [metric.source for metric in read.metrics.values()] == [None, "orders", "stats"]
    assert Plan.model_validate(read.written()) == read


@pytest.mark.parametrize(
    ("metric", "key", "said"),
    [
        ("m: {source: order, total: 'select 1', bad: 'select 1', weight: informational}", "m.source", "mean orders?"),
        ("m: {total: /$version/a, bad: /$version/b, alert: '> 1%'}", "m.total", "a series with its labels"),
        ("m: {source: orders, total: x, bad: y, alert: '> 1%'}", "m.bad", "a query of one number"),
        ("m: {source: stats, total: 'select :version', bad: /$version, alert: '> 1%'}", "m.total", "a place in a JSON"),
        ("m: {source: orders, histogram: x, quantile: 0.9, alert: '> 1s'}", "m.histogram", "reads no histograms"),
        ("m: {source: stats, total: /a, bad: /$version/b, alert: '> 1%'}", "m.total", 'a place that holds "$version"'),
        ("m: {source: orders, total: 'select 1', bad: 'select :version', alert: '> 1%'}", "m.total", "with :version"),
        ("m: {source: orders, gauge: 'select :version', alert: '> 1'}", "m.source", "as often as the plan looks"),
    ],
)
def test_a_metric_that_its_source_can_not_read_is_refused(metric, key, said):
    with pytest.raises(PlanError) as found:
        plan(metric)
    assert any(key in problem.key and said in str(problem) for problem in found.value.problems), str(found.value)
