"""Differences of raw counters: resets, instances that come and go, gaps, nonsense."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.metric import Counts, Metric, Sample, Threshold
from engine.plan.selector import Selector, Subject
from engine.sources.reading import Differences, Query, Reading, Side, latency_counts, quantile_of, unnamed

ANY = Selector("any")
ERRORS = Query(Metric("errors", "bad", (Threshold(0.02),)), total=ANY, part=ANY)
SALES = Query(Metric("sales", "good", (Threshold(0.9, above=False),)), total=ANY, part=ANY)
SLOW = Query(Metric("slow", "latency", (Threshold(0.4),), quantile=0.5), histogram=ANY, line=0.4)
POOL = Query(Metric("pool", "gauge", (Threshold(80.0),)), gauge=ANY)
IDLE = Query(Metric("idle", "gauge", (Threshold(5.0, above=False),)), gauge=ANY)
GATEWAY, ONE, TWO = "http://gw", "http://one", "http://two"

Values = dict[tuple[str, Side, str], dict[str, float]]


def errors(side: Side, total: float, bad: float, address: str = GATEWAY) -> Values:
    """One instance's counters of requests and of errors."""
    return {("errors", side, "total"): {f"{address} all": total}, ("errors", side, "part"): {f"{address} bad": bad}}


def merged(*parts: Values) -> Values:
    found: Values = {}
    for part in parts:
        for key, series in part.items():
            found.setdefault(key, {}).update(series)
    return found


class Scraper:
    """Feeds readings two seconds apart."""

    def __init__(self, *queries: Query) -> None:
        self.queries = queries or (ERRORS,)
        self.differences = Differences(self.queries)
        self.at = 100.0

    def read(self, *parts: Values, **said: object) -> dict[str, Sample]:
        self.at += 2.0
        reading = Reading(self.at, merged(*parts), **said)  # type: ignore[arg-type]  # the fields of a reading
        return {sample.metric: sample for sample in self.differences.since_last(reading)}

    def restart(self) -> None:
        """All that the next engine has is what JSON kept."""
        self.differences = Differences(self.queries, json.loads(json.dumps(self.differences.state())))


def counts(counted: Counts | None) -> tuple[float, float]:
    assert counted is not None
    return counted.total, counted.bad


def test_the_first_reading_is_no_sample_and_the_second_is_the_growth() -> None:
    scraper = Scraper()
    assert scraper.read(errors("stable", 1000, 10), errors("canary", 500, 5)) == {}
    sample = scraper.read(errors("stable", 1100, 12), errors("canary", 507, 6))["errors"]
    assert (counts(sample.stable), counts(sample.canary), sample.seconds) == ((100, 2), (7, 1), 2.0)
    assert sample.canary is not None
    assert sample.canary.value == pytest.approx(1 / 7)


def test_a_good_share_counts_what_is_missing_as_bad() -> None:
    scraper = Scraper(SALES)
    before: Values = {("sales", "canary", "total"): {"a x": 0.0}, ("sales", "canary", "part"): {"a x": 0.0}}
    after: Values = {("sales", "canary", "total"): {"a x": 10.0}, ("sales", "canary", "part"): {"a x": 7.0}}
    scraper.read(before)
    sample = scraper.read(after)["sales"]
    assert sample.canary == Counts(10.0, 3.0, 3.0, 0.7)


def test_a_counter_that_fell_was_reset_and_counts_from_nothing() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 1000, 10), errors("canary", 500, 50))
    sample = scraper.read(errors("stable", 1100, 10), errors("canary", 8, 2))["errors"]
    assert counts(sample.canary) == (8, 2)


def test_never_more_bad_events_than_events() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 1000, 10), errors("canary", 500, 5))
    sample = scraper.read(errors("stable", 1100, 10), errors("canary", 501, 9))["errors"]
    assert counts(sample.canary) == (1, 1)


def test_an_instance_that_is_gone_for_a_scrape_does_not_count_anew() -> None:
    scraper = Scraper()
    both = merged(errors("stable", 100, 0), errors("canary", 500, 5, ONE), errors("canary", 700, 7, TWO))
    scraper.read(both)
    scraper.read(errors("stable", 200, 0), errors("canary", 510, 5, ONE))
    back = merged(errors("stable", 300, 0), errors("canary", 520, 5, ONE), errors("canary", 740, 8, TWO))
    assert counts(scraper.read(back)["errors"].canary) == (10 + 40, 1)


def test_a_series_that_appears_where_others_were_read_began_at_nothing() -> None:
    """A gateway shows a version, or a status code, once it has counted one."""
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0))
    sample = scraper.read(errors("stable", 200, 0), errors("canary", 30, 4))["errors"]
    assert counts(sample.canary) == (30, 4)


def test_an_address_never_read_before_counts_from_its_first_sight() -> None:
    """A target that was down at the first reading brings its whole life along."""
    scraper = Scraper()
    stable = [errors("stable", 100 * n, 0) for n in range(1, 5)]
    scraper.read(stable[0], places=frozenset({GATEWAY}))
    both = frozenset({GATEWAY, ONE})
    assert counts(scraper.read(stable[1], errors("canary", 90_000, 900, ONE), places=both)["errors"].canary) == (0, 0)
    assert counts(scraper.read(stable[2], errors("canary", 90_010, 901, ONE), places=both)["errors"].canary) == (10, 1)


def test_where_a_source_saw_more_of_a_new_address_it_counts_from_there() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), places=frozenset({GATEWAY}))
    began = {("errors", "canary", "total"): {f"{ONE} all": 70.0}, ("errors", "canary", "part"): {f"{ONE} bad": 0.0}}
    parts = (errors("stable", 200, 0), errors("canary", 100, 4, ONE))
    assert counts(scraper.read(*parts, places=frozenset({GATEWAY, ONE}), began=began)["errors"].canary) == (30, 4)


def test_an_address_that_was_read_and_showed_nothing_shows_its_series_from_nothing() -> None:
    scraper = Scraper()
    both = frozenset({GATEWAY, ONE})
    scraper.read(errors("stable", 100, 0), places=both)
    scraper.restart()
    sample = scraper.read(errors("stable", 200, 0), errors("canary", 30, 4, ONE), places=both)["errors"]
    assert counts(sample.canary) == (30, 4)


def test_a_histogram_of_a_new_address_counts_from_its_first_sight() -> None:
    scraper = Scraper(SLOW)

    def buckets(address: str, fast: float, all_: float) -> Values:
        return {
            ("slow", "canary", "le:0.4"): {f"{address} s": fast},
            ("slow", "canary", "le:inf"): {f"{address} s": all_},
        }

    scraper.read(buckets(ONE, 5, 10), places=frozenset({ONE}))
    both = frozenset({ONE, TWO})
    first = scraper.read(merged(buckets(ONE, 6, 12), buckets(TWO, 500, 900)), places=both)["slow"]
    second = scraper.read(merged(buckets(ONE, 6, 12), buckets(TWO, 503, 910)), places=both)["slow"]
    assert (counts(first.canary), counts(second.canary)) == ((2, 1), (10, 7))


def test_nothing_is_compared_until_every_address_was_read_once() -> None:
    """What an address that was lost at first has counted for years is no news when it answers."""
    scraper = Scraper()
    stable = [errors("stable", 100 * n, 0) for n in range(1, 4)]
    assert "partly read" in scraper.read(stable[0], lost={ONE: "one: refused"})["errors"].problem
    assert scraper.read(stable[1], errors("canary", 90_000, 900, ONE)) == {}
    assert counts(scraper.read(stable[2], errors("canary", 90_010, 901, ONE))["errors"].canary) == (10, 1)


def test_counters_that_never_were_there_are_nothing_and_those_that_went_away_are_gone() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0))
    assert scraper.read(errors("stable", 200, 0))["errors"].canary == Counts()
    scraper.read(errors("stable", 300, 0), errors("canary", 5, 0))
    gone = scraper.read(errors("stable", 400, 0))["errors"]
    assert (gone.canary, counts(gone.stable)) == (None, (100, 0))


def test_a_side_that_comes_back_shows_what_it_counted_meanwhile_and_the_other_side_each_event_once() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 100, 0))
    missing = [scraper.read(errors("stable", total, 0))["errors"] for total in (200, 300)]
    back = scraper.read(errors("stable", 400, 0), errors("canary", 160, 6))["errors"]
    assert [counts(sample.stable)[0] for sample in (*missing, back)] == [100, 100, 100]
    assert counts(back.canary) == (60, 6)


def test_after_a_gap_the_sample_covers_it_on_both_sides() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0))
    silent = [scraper.read(problem="refused")["errors"] for _ in range(3)]
    assert [(s.stable, s.canary, s.problem, s.seconds) for s in silent] == [(None, None, "refused", 2.0)] * 3
    sample = scraper.read(errors("stable", 500, 4), errors("canary", 50, 2))["errors"]
    assert (counts(sample.stable), counts(sample.canary), sample.seconds) == ((400, 4), (40, 2), 8.0)


def test_seconds_without_an_answer_add_up_to_the_gap() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0))
    assert sum(scraper.read(problem="refused")["errors"].seconds for _ in range(5)) == 10.0


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_problem_and_changes_no_counter(number: float) -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0))
    sample = scraper.read(errors("stable", 200, 0), errors("canary", number, 0))["errors"]
    assert sample.stable is sample.canary is None
    assert "canary" in sample.problem
    assert counts(scraper.read(errors("stable", 300, 0), errors("canary", 30, 0))["errors"].stable) == (200, 0)


def test_a_doubt_of_the_source_is_a_problem_of_that_metric_alone() -> None:
    scraper = Scraper(ERRORS, POOL)
    pool: Values = {("pool", "canary", "gauge"): {"gw pool": 50.0}}
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0), pool)
    samples = scraper.read(errors("stable", 200, 0), errors("canary", 20, 0), pool, doubts={"errors": "a warning"})
    assert samples["errors"].problem == "a warning"
    assert not samples["pool"].problem


def test_a_side_that_is_read_in_part_is_no_proof() -> None:
    scraper = Scraper()
    first = merged(errors("stable", 100, 0), errors("canary", 500, 5, ONE), errors("canary", 700, 7, TWO))
    scraper.read(first)
    partly = merged(errors("stable", 200, 0), errors("canary", 510, 5, ONE))
    sample = scraper.read(partly, lost={TWO: "two: refused"})["errors"]
    assert (sample.stable, sample.canary, sample.problem) == (None, None, "partly read: two: refused")
    whole = merged(errors("stable", 300, 0), errors("canary", 520, 5, ONE), errors("canary", 760, 8, TWO))
    back = scraper.read(whole)["errors"]
    assert (counts(back.stable), counts(back.canary)) == ((200, 0), (80, 1))


def test_an_address_that_never_answered_may_hold_a_part_of_anything() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0), lost={ONE: "one: refused"})
    sample = scraper.read(errors("stable", 200, 0), errors("canary", 20, 0), lost={ONE: "one: refused"})["errors"]
    assert sample.problem == "partly read: one: refused"


def test_an_address_that_holds_other_metrics_is_no_doubt_of_this_one() -> None:
    scraper = Scraper(ERRORS, POOL)
    pool: Values = {("pool", "canary", "gauge"): {f"{ONE} pool": 50.0}}
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0), pool)
    samples = scraper.read(errors("stable", 200, 0), errors("canary", 20, 0), lost={ONE: "one: refused"})
    assert counts(samples["errors"].canary) == (10, 0)
    assert samples["pool"].canary is None


def test_what_a_selector_names_and_nobody_knows_is_a_reason_for_a_side_that_is_there() -> None:
    by_build = Query(ERRORS.metric, total=Selector.parse('x{hash="$build"}'), part=Selector.parse("y"))
    known = Subject("v1", build="7c9d")
    assert unnamed((by_build,), {"stable": known, "canary": Subject()}) == {}
    said = "$build of canary is not known: the router does not tell it"
    assert unnamed((by_build, ERRORS), {"stable": known, "canary": Subject("v2")}) == {"errors": said}


def test_a_gauge_shows_the_worst_instance_and_needs_no_reading_before() -> None:
    scraper = Scraper(POOL, IDLE)
    gauges: Values = {
        ("pool", "canary", "gauge"): {"a x": 20.0, "b x": 95.0},
        ("idle", "canary", "gauge"): {"a x": 20.0, "b x": 3.0},
    }
    samples = scraper.read(gauges)
    assert samples["pool"].canary == Counts(1, 1.0, 1.0, 95.0)
    assert samples["idle"].canary == Counts(1, 1.0, 1.0, 3.0)
    assert samples["pool"].stable is None


def test_what_was_kept_does_not_change_while_it_is_being_written() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0))
    kept = scraper.differences.state()
    before = json.dumps(kept)
    scraper.read(errors("stable", 900, 0), errors("canary", 90, 0), errors("canary", 1, 0, ONE))
    assert json.dumps(kept) == before


def test_a_restart_of_the_engine_loses_no_count() -> None:
    scraper = Scraper()
    scraper.read(errors("stable", 100, 0), errors("canary", 10, 0))
    scraper.restart()
    sample = scraper.read(errors("stable", 500, 4), errors("canary", 50, 2))["errors"]
    assert (counts(sample.stable), counts(sample.canary)) == ((400, 4), (40, 2))


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=3, max_size=3), min_size=2, max_size=12))
def test_every_event_that_was_to_be_seen_is_counted_once(growths: list[list[int | None]]) -> None:
    """Three instances, each of which counts, restarts (-> from 0) or is away in each interval; None is a restart."""
    scraper = Scraper()
    shown = [1000.0, 2000.0, 3000.0]
    scraper.read(*(errors("canary", value, 0, f"http://{i}") for i, value in enumerate(shown)), errors("stable", 1, 0))
    expected = counted = 0.0
    for growth in growths:
        for i, grown in enumerate(growth):
            shown[i] = 0.0 if grown is None else shown[i] + grown
            expected += grown or 0
        parts = [errors("canary", value, 0, f"http://{i}") for i, value in enumerate(shown)]
        counted += counts(scraper.read(*parts, errors("stable", 1, 0))["errors"].canary)[0]
    assert counted == expected


# --- histograms

BOUNDS = (0.1, 0.2, 0.4, 0.8, math.inf)


def cumulated(seconds: list[float], bounds: tuple[float, ...] = BOUNDS) -> dict[float, float]:
    return {bound: float(sum(one <= bound for one in seconds)) for bound in bounds}


def histogram(side: Side, seconds: list[float], address: str = GATEWAY) -> Values:
    return {("slow", side, f"le:{bound}"): {f"{address} x": n} for bound, n in cumulated(seconds).items()}


def brute_quantile(seconds: list[float], quantile: float) -> float:
    """Requests spread evenly over their bucket; what lies beyond the last finite bound counts as that bound."""
    wanted = quantile * len(seconds)
    lower = 0.0
    for bound in BOUNDS:
        up_to = sum(one <= bound for one in seconds)
        inside = sum(lower < one <= bound for one in seconds)
        if up_to >= wanted:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * ((wanted - (up_to - inside)) / inside if inside else 1.0)
        lower = bound
    raise AssertionError("everything is within the last bucket")


latencies = st.lists(st.floats(0.001, 2.0), min_size=1, max_size=60)


@given(latencies, st.floats(0.01, 0.99))
def test_a_quantile_is_what_counting_by_hand_gives(seconds: list[float], quantile: float) -> None:
    assert quantile_of(cumulated(seconds), quantile) == pytest.approx(brute_quantile(seconds, quantile))


@given(latencies, st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(seconds: list[float], quantile: float) -> None:
    exact = sorted(seconds)[min(len(seconds) - 1, math.ceil(quantile * len(seconds)) - 1)]
    lower = max((bound for bound in BOUNDS if bound < exact), default=0.0)
    upper = min(bound for bound in BOUNDS if bound >= exact)
    found = quantile_of(cumulated(seconds), quantile)
    assert found is not None
    assert lower <= found <= (upper if math.isfinite(upper) else lower)


@given(latencies, st.floats(0.01, 3.0))
def test_the_slow_requests_lie_between_the_two_estimates(seconds: list[float], line: float) -> None:
    found = latency_counts(cumulated(seconds), 0.5, line)
    slow = sum(one > line for one in seconds)
    assert found.bad <= slow <= found.bad_low <= found.total == len(seconds)


@pytest.mark.parametrize(
    ("line", "bad", "bad_low"),
    [(0.4, 2, 2), (0.3, 2, 3), (0.05, 4, 5), (5.0, 0, 1), (math.inf, 0, 0)],
    ids=["on a bound", "between two", "below the first", "beyond the last", "no line"],
)
def test_a_line_between_bounds_is_estimated_from_both_sides(line: float, bad: float, bad_low: float) -> None:
    found = latency_counts(cumulated([0.05, 0.15, 0.3, 0.7, 1.5]), 0.5, line)
    assert (found.bad, found.bad_low) == (bad, bad_low)


def test_a_histogram_without_requests_has_no_quantile() -> None:
    assert quantile_of(cumulated([]), 0.95) is None
    assert latency_counts({}, 0.95, 0.4) == Counts(0.0, 0.0, 0.0, None)


def test_a_histogram_without_its_infinite_bucket_counts_nothing() -> None:
    assert latency_counts({0.1: 5.0, 0.4: 9.0}, 0.95, 0.4) == Counts(0.0, 0.0, 0.0, None)


def test_an_instance_that_restarted_counts_all_its_buckets_anew() -> None:
    """Its small bucket has outgrown the old count already: by itself it would look as if it went on."""
    scraper = Scraper(SLOW)
    stable = histogram("stable", [0.05])
    scraper.read(stable, histogram("canary", [0.05, *[0.7] * 90]))
    restarted = [0.05, 0.05, 0.05, 0.7]
    sample = scraper.read(stable, histogram("canary", restarted))["slow"]
    assert counts(sample.canary) == (4, 1)


def test_instances_of_one_side_add_up() -> None:
    scraper = Scraper(SLOW)
    nothing = [histogram(side, [], address) for side in ("stable", "canary") for address in (ONE, TWO)]
    scraper.read(*nothing)
    sample = scraper.read(histogram("stable", []), histogram("canary", [0.7], ONE), histogram("canary", [0.05], TWO))
    assert counts(sample["slow"].canary) == (2, 1)
