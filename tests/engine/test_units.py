"""Quantities: what people write is read, what is shown reads back, everything else is refused with a reason."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.metric import Threshold
from engine.plan.units import (
    DURATION_PATTERN,
    LONGEST_S,
    PERCENT_PATTERN,
    READING,
    SIZE_PATTERN,
    NotUnderstoodError,
    parse_duration,
    parse_percent,
    parse_reading,
    parse_threshold,
    show_duration,
    show_percent,
    show_reading,
    show_threshold,
    threshold_pattern,
)

KINDS = st.sampled_from(["bad", "good", "latency", "gauge"])
ANYTHING = st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.text()))
durations = st.integers(min_value=0, max_value=int(LONGEST_S) * 1_000_000).map(lambda us: us / 1_000_000)
REGEX_DURATIONS = st.from_regex(DURATION_PATTERN.replace("(?=.)", ""), fullmatch=True).filter(bool)
percentages = st.decimals(min_value=0, max_value=100, places=6)


def refusal_of(parse, written):
    """Why `parse` refuses it; None when it does not."""
    try:
        parse(written)
    except NotUnderstoodError as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("15m", 900), ("1h30m", 5400), ("90s", 90), ("500ms", 0.5), ("1.5s", 1.5), ("250us", 0.00025), ("2d", 172800)],
)
def test_durations_are_read_in_seconds(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (900, "15m"), (90, "1m30s"), (0.25, "250ms"), (1.5, "1.5s"), (5400, "1h30m"), (0.0000025, "2us")],
)
def test_durations_are_shown_as_people_write_them(seconds, shown):
    assert show_duration(seconds) == shown


@given(durations)
def test_a_shown_duration_reads_back(seconds):
    assert parse_duration(show_duration(seconds)) == seconds


@pytest.mark.parametrize(
    "written", ["", "15", "m", "-5s", "5 m", "30s1h", "1m1m", "1e3s", "0.0000001s", "400d", "15min", "5M"]
)
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(NotUnderstoodError) as refusal:
        parse_duration(written)
    assert "15m" in refusal.value.allowed


@pytest.mark.parametrize("written", [15, 2.5, "15"])
def test_a_bare_number_of_a_duration_is_told_its_unit_is_missing(written):
    with pytest.raises(NotUnderstoodError) as refusal:
        parse_duration(written)
    assert refusal.value.hint == f"a bare number has no unit: write {written}s"


@pytest.mark.parametrize(("written", "fraction"), [("0.1%", 0.001), ("98%", 0.98), ("0%", 0.0), ("100%", 1.0)])
def test_percentages_are_read_as_fractions(written, fraction):
    assert parse_percent(written) == fraction


@given(percentages)
def test_a_shown_percentage_reads_back(percentage):
    fraction = parse_percent(f"{percentage:f}%")
    assert fraction == float(percentage / 100)
    assert Decimal(show_percent(fraction).removesuffix("%")) == percentage
    assert parse_percent(show_percent(fraction)) == fraction


@pytest.mark.parametrize("written", [0.1, "0.1", "101%", "-1%", "%", "1 %", "nan%"])
def test_what_is_no_percentage_is_refused(written):
    with pytest.raises(NotUnderstoodError):
        parse_percent(written)


@pytest.mark.parametrize(
    ("written", "reading"), [(80, 80), ("80", 80), (0.8, 0.8), ("2GiB", 2**31), ("1.5kB", 1500), (-3, -3)]
)
def test_readings_are_numbers_or_sizes(written, reading):
    assert parse_reading(written) == reading


@given(st.from_regex(SIZE_PATTERN, fullmatch=True) | st.from_regex(f"^{READING}$", fullmatch=True))
def test_a_shown_reading_reads_back(written):
    reading = parse_reading(written)
    assert parse_reading(show_reading(reading)) == reading


@pytest.mark.parametrize("written", [math.nan, math.inf, True, None, "2 apples", "2Gib", "80%", ""])
def test_what_is_no_reading_is_refused(written):
    with pytest.raises(NotUnderstoodError):
        parse_reading(written)


@pytest.mark.parametrize(
    ("written", "kind", "line"),
    [
        ("> 0.5%", "bad", Threshold(0.005)),
        (">0.5%", "bad", Threshold(0.005)),
        ("> 2x baseline", "bad", Threshold(2, relative=True)),
        ("< 96%", "good", Threshold(0.96, above=False)),
        ("< 0.98x baseline", "good", Threshold(0.98, relative=True, above=False)),
        ("> 250ms", "latency", Threshold(0.25)),
        ("> 1.5 x baseline", "latency", Threshold(1.5, relative=True)),
        ("> 80", "gauge", Threshold(80)),
        ("< 5", "gauge", Threshold(5, above=False)),
        ("> 2GiB", "gauge", Threshold(2**31)),
    ],
)
def test_thresholds_are_read_in_the_metrics_own_unit(written, kind, line):
    assert parse_threshold(written, kind) == line


@pytest.mark.parametrize(
    ("written", "kind", "why"),
    [
        ("< 0.5%", "bad", "worse when there are more"),
        ("> 96%", "good", "worse when there are fewer"),
        ("> 2x baseline", "good", "worse when there are fewer"),
        ("< 250ms", "latency", "worse when it is longer"),
        ("> 1x baseline", "bad", "1x"),
        ("> 0.5x baseline", "latency", "1x"),
        ("< 1.2x baseline", "good", "1x"),
        ("< 0x baseline", "gauge", "1x"),
        ("> 250", "latency", "no unit"),
        ("0.5%", "bad", "begins with > or <"),
        (0.5, "bad", "no unit"),
    ],
)
def test_lines_that_would_fire_on_a_healthy_canary_or_mean_nothing_are_refused(written, kind, why):
    with pytest.raises(NotUnderstoodError) as refusal:
        parse_threshold(written, kind)
    assert why in refusal.value.hint


@given(st.data(), KINDS)
def test_whatever_the_schema_allows_reads_and_reads_back_from_what_is_shown(data, kind):
    written = data.draw(st.from_regex(threshold_pattern(kind), fullmatch=True))
    refusal = refusal_of(lambda text: parse_threshold(text, kind), written)
    if refusal is None:
        line = parse_threshold(written, kind)
        assert parse_threshold(show_threshold(line, kind), kind) == line
    else:
        bounds = ("100%", "1us", "366d", "above 1", "between 0 and 1")  # what no pattern can say
        assert any(bound in refusal.hint + refusal.allowed for bound in bounds)


@given(REGEX_DURATIONS)
def test_what_matches_the_schemas_duration_is_refused_for_its_size_only(written):
    refusal = refusal_of(parse_duration, written)
    assert refusal is None or "1us" in refusal.hint or "at most" in refusal.hint


@given(st.from_regex(PERCENT_PATTERN, fullmatch=True))
def test_what_matches_the_schemas_percentage_is_refused_for_its_size_only(written):
    refusal = refusal_of(parse_percent, written)
    assert refusal is None or refusal.hint == "100% at most"


@given(ANYTHING, KINDS)
def test_no_value_does_more_than_be_refused(written, kind):
    for parse in (parse_duration, parse_percent, parse_reading, lambda value: parse_threshold(value, kind)):
        refusal = refusal_of(parse, written)
        assert refusal is None or refusal.allowed
