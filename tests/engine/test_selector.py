"""Selectors: Prometheus' rules for labels, the version in its place, and everything that is no selector refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.selector import Matcher, Selector, Subject
from engine.plan.units import NotUnderstoodError


@pytest.mark.parametrize(
    "text",
    [
        'requests_total{version="$version",code=~"5.."}',
        " requests_total { version = '$version' , code=~`5..`, } ",
        '{__name__="requests_total",version="$version",code=~"5.."}',
    ],
)
def test_the_usual_writings_mean_the_same(text):
    selector = Selector.parse(text)
    assert selector.name == "requests_total"
    assert selector.names_its_side
    assert selector.matches("requests_total", {"version": "v2", "code": "503"}, Subject("v2"))
    assert not selector.matches("requests_total", {"version": "v1", "code": "503"}, Subject("v2"))
    assert not selector.matches("other_total", {"version": "v2", "code": "503"}, Subject("v2"))


def test_a_name_alone_is_read_names_its_side_and_empty_braces_are_not():
    assert str(Selector.parse("pool_in_use")) == 'pool_in_use{version="$version"}'
    shared = Selector.parse("pool_in_use{}")
    assert not shared.names_its_side
    assert shared.matches("pool_in_use", {}, Subject("v2"))


@pytest.mark.parametrize(
    ("matcher", "labels", "met"),
    [
        ('code="200"', {"code": "200"}, True),
        ('code!="200"', {"code": "200"}, False),
        ('code!="200"', {}, True),
        ('code=""', {}, True),
        ('code=~"5.."', {"code": "5031"}, False),
        ('code=~"4..|5.."', {"code": "404"}, True),
        ('code!~"5.."', {"code": "200"}, True),
        ('code=~".*"', {}, True),
        ('path="a\\"b\\\\c\\n"', {"path": 'a"b\\c\n'}, True),
        ('path=~"\\\\d+"', {"path": "12"}, True),
        ("path=~`\\d+`", {"path": "12"}, True),
        ('path="\\x41\\u00e9\\101"', {"path": "AéA"}, True),
    ],
)
def test_labels_are_matched_as_prometheus_does(matcher, labels, met):
    assert Selector.parse(f"x{{{matcher}}}").matches("x", labels, Subject("v1")) is met


def test_each_placeholder_stands_for_its_own_value_of_the_side():
    subject = Subject("v2", build="7c9d", workload="checkout-canary")
    selector = Selector.parse('x{pod=~"$workload-.*",hash="$build",version!="$version"}')
    assert selector.names_its_side
    assert selector.matches("x", {"pod": "checkout-canary-7c9d-x2", "hash": "7c9d", "version": "v1"}, subject)
    assert not selector.matches("x", {"pod": "checkout-canary-7c9d-x2", "hash": "7c9d", "version": "v2"}, subject)
    assert not selector.matches("x", {"pod": "checkout-stable-7c9d-x2", "hash": "7c9d"}, subject)


@pytest.mark.parametrize("text", ['x{a!="$version"}', 'x{a!~"$build.*"}', 'x{a="version"}'])
def test_what_only_leaves_a_side_out_does_not_name_it(text):
    assert not Selector.parse(text).names_its_side


def test_what_is_not_known_of_a_side_is_said():
    selector = Selector.parse('x{pod=~"$workload-.*",hash="$build",version="$version"}')
    assert selector.lacks(Subject("v2")) == ("$workload", "$build")
    assert selector.lacks(Subject("v2", "7c9d", "checkout")) == ()
    assert not Subject().known


def test_a_version_stands_for_itself_in_a_regular_expression():
    selector = Selector.parse('x{image=~".*:$version"}')
    assert selector.matches("x", {"image": "shop:v1.2+b"}, Subject("v1.2+b"))
    assert not selector.matches("x", {"image": "shop:v112bb"}, Subject("v1.2+b"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rate(x[5m])", "rate() extrapolates"),
        ("increase(x)", "takes the differences itself"),
        ("sum by (code) (x)", "adds up"),
        ("histogram_quantile(0.9, x)", "is a function"),
        ("x[5m]", "no range"),
        ('x{a="b"}[5m]', "no range"),
        ("x / y", "nothing may follow"),
        ("x offset 5m", "nothing may follow"),
        ("", "begins with the name"),
        ("{}", "begins with the name"),
        ('{a="b"}', "begins with the name"),
        ('{__name__=~"a.*"}', "one name"),
        ('x{__name__="y"}', "one name"),
        ('x{a="b"', "commas"),
        ('x{a="b" c="d"}', "commas"),
        ("x{a}", "followed by"),
        ("x{a=b}", "in quotes"),
        ('x{="b"}', "name is missing"),
        ('x{a=~"("}', "not a regular expression"),
        ('x{a=~"(?=b)"}', "look-around"),
        ('x{a=~"(b)\\\\1"}', "back references"),
        ('x{a=~"[[:alpha:]]"}', "not a regular expression"),
        ('x{a=~"b{99999999999}"}', "not a regular expression"),
        ('x{a="\\d"}', "written twice"),
        ('x{a="\\ud800"}', "no character"),
        ('x{a="$verison"}', "did you mean $version?"),
        ('x{a="$biuld"}', "the placeholders are $version, $build, $workload, not $biuld; did you mean $build?"),
        ('x{a="$versions"}', "did you mean $version?"),
        ('x{a="' + "b" * 2000 + '"}', "characters at most"),
    ],
)
def test_what_is_no_selector_is_refused_with_the_reason(text, why):
    with pytest.raises(NotUnderstoodError) as refusal:
        Selector.parse(text)
    assert why in refusal.value.hint


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$"), max_size=20)


@given(st.lists(st.builds(Matcher, st.just("a") | st.just("b_1"), st.sampled_from(["=", "!="]), values), max_size=4))
def test_a_selector_reads_back_from_what_it_shows(matchers):
    selector = Selector("x:y", tuple(matchers))
    assert Selector.parse(str(selector)) == selector


@given(st.text(alphabet=st.sampled_from("x{}[]()\"'`\\$=~!,a1 .+*?|"), max_size=30))
def test_no_text_does_more_than_be_refused(text):
    try:
        selector = Selector.parse(text)
    except NotUnderstoodError:
        return
    assert selector.matches("x", {"a": "a"}, Subject("v")) in (True, False)
