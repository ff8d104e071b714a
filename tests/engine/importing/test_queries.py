"""Queries of other tools: what they count is read out of them, and what is not understood is no metric."""

from __future__ import annotations

import pytest

from engine.importing.promql import NotReadError, parse
from engine.importing.queries import ADDED, Bounds, bounds_in, metric_of

LEAST, MOST = Bounds(least=0.95), Bounds(most=0.05)
ARGO = """
sum(irate(
  istio_requests_total{reporter="source",destination_service=~"shop.example.com",response_code!~"5.*"}[5m]
)) /
sum(irate(
  istio_requests_total{reporter="source",destination_service=~"shop.example.com"}[5m]
))"""


def keys_of(query: str, bounds: Bounds, **sides: str) -> dict:
    found = metric_of("success-rate", query, bounds, sides)
    assert found is not None, query
    return dict(found.keys)


def test_a_ratio_of_good_requests_is_a_good_share_with_its_line():
    found = metric_of("success-rate", ARGO, LEAST, {})
    assert found is not None
    assert found.name == "success_rate"
    assert found.keys == {
        "total": 'istio_requests_total{reporter="source",destination_service=~"shop.example.com",version="$version"}',
        "good": (
            'istio_requests_total{reporter="source",destination_service=~"shop.example.com",response_code!~"5.*"'
            ',version="$version"}'
        ),
        "alert": "< 95%",
    }
    assert found.comment == (ADDED,)


@pytest.mark.parametrize(
    ("query", "bounds", "key", "alert"),
    [
        ("sum(rate(b[1m])) / sum(rate(t[1m]))", MOST, "bad", "> 5%"),
        ("sum(rate(g[1m])) by (pod) / sum by (pod) (rate(t[1m]))", LEAST, "good", "< 95%"),
        ("100 * sum(rate(b[1m])) / sum(rate(t[1m]))", Bounds(most=1), "bad", "> 1%"),
        ("sum(rate(g[1m])) / sum(rate(t[1m])) * 100", Bounds(least=99), "good", "< 99%"),
        ("(sum(increase(b[1m])) or vector(0)) / sum(increase(t[1m]))", MOST, "bad", "> 5%"),
        ("1 - sum(rate(b[1m])) / sum(rate(t[1m]))", LEAST, "bad", "> 5%"),
        ("100 - (sum(rate(b[1m])) / sum(rate(t[1m]))) * 100", Bounds(least=99), "bad", "> 1%"),
        ("(sum(rate(t[1m])) - sum(rate(b[1m]))) / sum(rate(t[1m]))", LEAST, "bad", "> 5%"),
        ("scalar(sum(rate(b[1m])) / sum(rate(t[1m])))", MOST, "bad", "> 5%"),
        ("1 - sum(rate(g[1m])) / sum(rate(t[1m]))", MOST, "good", "< 95%"),
    ],
)
def test_every_way_to_write_a_share(query, bounds, key, alert):
    keys = keys_of(query, bounds)
    assert keys["total"] == 't{version="$version"}'
    assert keys[key] == f'{"b" if "b[" in query else "g"}{{version="$version"}}'
    assert keys["alert"] == alert


def test_a_quantile_is_a_latency_without_its_buckets():
    query = 'histogram_quantile(0.99, sum(rate(http_seconds_bucket{app="shop",le!=""}[5m])) by (le)) * 1000'
    assert keys_of(query, Bounds(most=500)) == {
        "histogram": 'http_seconds{app="shop",version="$version"}',
        "quantile": 0.99,
        "alert": "> 500ms",
    }


def test_a_label_that_names_the_canary_names_either_side():
    query = 'sum(rate(b{pod_hash="abc"}[1m])) / sum(rate(t{pod_hash="abc"}[1m]))'
    found = metric_of("errors", query, MOST, {"abc": "$build"})
    assert found is not None
    assert found.keys["total"] == 't{pod_hash="$build"}'
    assert found.comment == ()


@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        ("", MOST),
        ("up", MOST),
        ("sum(rate(b[1m]))", MOST),
        ("sum(rate(b[1m])) / sum(rate(t[1m])) > 0.1", MOST),
        ("sum(rate(b[1m])) / 7", MOST),
        ("sum(rate(b[1m])) / sum(rate(t[1m]))", Bounds()),
        ("sum(rate(b[1m])) / sum(rate(t[1m]))", Bounds(0.1, 0.2)),
        ("sum(rate(b[1m])) / sum(rate(t[1m]))", Bounds(most=7)),
        ('sum(rate(b{a="$interval"}[1m])) / sum(rate(t[1m]))', MOST),
        ("rate(sum_seconds[1m]) / avg(count_seconds[1m])", MOST),
        ("histogram_quantile(0.9, sum(rate(x_milliseconds_bucket[1m])) by (le))", Bounds(most=100)),
        ("histogram_quantile(0.9, sum(rate(x_bucket[1m])) by (le))", LEAST),
        ("histogram_quantile(0.9, x_bucket)", MOST),
        ("max_over_time(x[5m:1m])", MOST),
        ("sum(rate(b[1m]", MOST),
        ("sum(rate(b{x=[1m])) / 2", MOST),
        ("\x1b[2J", MOST),
    ],
)
def test_what_is_not_understood_is_not_guessed_at(query, bounds):
    assert metric_of("m", query, bounds, {}) is None


@pytest.mark.parametrize("query", ["", "(", "a +", "a b", 'a{x="', "a)", "sum by (x", "a{"])
def test_what_is_no_query_is_refused(query):
    with pytest.raises(NotReadError):
        parse(query)


@pytest.mark.parametrize(
    ("success", "failure", "bounds"),
    [
        ("result[0] >= 0.95", "", Bounds(least=0.95)),
        ("result[0] < 0.05", "", Bounds(most=0.05)),
        ("isNaN(result[0]) || result[0] <= 500", "", Bounds(most=500.0)),
        ("all(result, # > 0.9)", "", Bounds(least=0.9)),
        ("", "result[0] >= 0.05", Bounds(most=0.05)),
        ("", "result < 0.9", Bounds(least=0.9)),
        ("asFloat(result) == 1", "", Bounds()),
        ("", "", Bounds()),
    ],
)
def test_bounds_are_read_out_of_conditions(success, failure, bounds):
    assert bounds_in(success, failure) == bounds
