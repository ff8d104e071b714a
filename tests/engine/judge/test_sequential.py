"""Properties of the test as a whole, as bounds: caps and stakes depend on time, phi on the data."""

from __future__ import annotations

import json
import random
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge import advance, evidence, sequential
from engine.judge.sequential import Limits, SequentialTest

LIMITS = Limits(share=0.005, ratio=2.0, alpha=0.002, beta=0.05, usual=0.001)
Scrape = tuple[float, float, float, float]  # n_s, x_s, n_c, x_c


def prepared(weight: float = 5, limits: Limits = LIMITS, *, past: int = 120, seconds: float = 5) -> SequentialTest:
    test = SequentialTest(limits)
    for _ in range(past):
        test.scrape(seconds, (1000, 1), (0, 0, 0))
    test.enter_stage(weight)
    return test


def feed(test: SequentialTest, scrapes: list[Scrape], seconds: float = 5) -> SequentialTest:
    for n_s, x_s, n_c, x_c in scrapes:
        test.scrape(seconds, (n_s, x_s), (n_c, x_c, x_c))
    return test


@st.composite
def traffic(draw: st.DrawFn, most: int = 400) -> Scrape:
    n_s, n_c = draw(st.integers(1, most)), draw(st.integers(1, most))
    return n_s, draw(st.integers(0, n_s // 4)), n_c, draw(st.integers(0, n_c // 4))


@given(st.lists(traffic(), min_size=2, max_size=30))
def test_exchanging_the_versions_never_turns_one_roll_back_into_two(scrapes: list[Scrape]) -> None:
    one = feed(prepared(50), scrapes)
    other = feed(prepared(50), [(n_c, x_c, n_s, x_s) for n_s, x_s, n_c, x_c in scrapes])
    assert min(one.evidence, other.evidence) < one.wanted


@given(traffic(), st.integers(2, 5))
def test_splitting_a_scrape_changes_the_log_evidence_by_at_most_one_cap(scrape: Scrape, parts: int) -> None:
    whole, split = prepared(), prepared()
    whole.scrape(5.0 * parts, (scrape[0] * parts, scrape[1] * parts), (scrape[2] * parts, *(scrape[3] * parts,) * 2))
    feed(split, [scrape] * parts)
    cap = 0.5 * whole.fast_cap
    assert whole.evidence <= exp(cap) * FAIR + 1
    assert log(whole.evidence) - log(split.evidence) <= cap + 1


FAIR = 1 + 1e-9


@given(st.lists(traffic(), min_size=1, max_size=20), st.sampled_from([1.0, 2.0, 2.5]))
def test_short_scrapes_say_what_longer_ones_say(scrapes: list[Scrape], seconds: float) -> None:
    parts = {1.0: 5, 2.0: 3, 2.5: 2}[seconds]
    many = [scrape for scrape in scrapes for _ in range(parts)]
    long = [tuple(number * parts for number in scrape) for scrape in scrapes]
    short = feed(prepared(), many[: len(long) * parts], seconds)
    assert short.held_s < 5
    if seconds == 2.5:
        assert short.evidence == pytest.approx(feed(prepared(), long).evidence, rel=1e-6)


SECONDS = (
    (evidence, "STAKE_S"),
    (advance, "WEIGHT_S"),
    *((sequential, name) for name in ("FAST_S", "SLOW_S", "BLOCK_S", "LONELY_S", "PATIENCE_S")),
)


@given(st.lists(traffic(), min_size=1, max_size=20), st.sampled_from([0.5, 3.0]), st.sampled_from([5, 100]))
def test_times_scale_when_every_constant_in_seconds_does(scrapes: list[Scrape], factor: float, weight: float) -> None:
    plain = feed(prepared(weight), scrapes)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in SECONDS:
            patch.setattr(module, name, getattr(module, name) * factor)
        scaled = feed(prepared(weight, seconds=5 * factor), scrapes, 5 * factor)
    assert scaled.evidence == pytest.approx(plain.evidence)
    assert scaled.line_progress() == pytest.approx(plain.line_progress())


def test_one_scrape_alone_is_never_a_verdict() -> None:
    for seconds in (5, 15, 60):
        test = prepared()
        test.scrape(seconds, (10**6, 0), (10**6, 10**6, 10**6))
        assert 1 < test.evidence < test.wanted
        test.scrape(seconds, (10**6, 0), (10**6, 10**6, 10**6))
        assert test.evidence >= test.wanted or seconds < 10


def test_what_hits_both_versions_alike_is_no_evidence() -> None:
    test = feed(prepared(25), [(7500, 8, 2500, 2)] * 60 + [(7500, 750, 2500, 250)] * 12)
    assert test.evidence < 10
    assert feed(prepared(25), [(7500, 8, 2500, 2)] * 60 + [(7500, 8, 2500, 125)] * 3).evidence >= test.wanted


def test_a_gap_of_one_side_is_compared_over_the_same_time() -> None:
    """A common incident that stable's scrapes missed comes with its next delta, and then cancels."""
    test = feed(prepared(50), [(500, 1, 500, 1)] * 20)
    feed(test, [(0, 0, 500, 100)] * 5 + [(3000, 505, 500, 1)])
    assert test.evidence < 1


def test_what_stable_had_in_a_warmup_does_not_face_what_canary_has_after_it() -> None:
    """Canary's warmup is kept from the test; stable's quiet minute would make a common blip a fault."""
    test = prepared(50)
    for _ in range(10):
        test.scrape(5, (500, 0), (0, 0, 0), judged=False)
    for _ in range(6):
        test.scrape(5, (500, 50), (500, 50, 50))
    assert test.evidence < 1


def test_a_canary_whose_stable_stays_silent_is_judged_against_its_line() -> None:
    test = feed(prepared(50), [(500, 1, 500, 1)] * 20 + [(0, 0, 500, 100)] * 120)
    assert test.evidence >= test.wanted
    healthy = feed(prepared(50), [(500, 1, 500, 1)] * 20 + [(0, 0, 500, 1)] * 120)
    assert healthy.evidence < 1


def test_without_a_control_a_short_blip_does_not_roll_back_and_lasting_harm_does() -> None:
    blip = feed(prepared(100), [(0, 0, 10000, 10)] * 60 + [(0, 0, 10000, 1000)] * 6 + [(0, 0, 10000, 10)] * 6)
    assert blip.evidence < 10
    lasting = feed(prepared(100), [(0, 0, 10000, 10)] * 60 + [(0, 0, 10000, 1000)] * 20)
    assert lasting.evidence >= lasting.wanted


def test_health_needs_both_proofs_where_they_are_due() -> None:
    first = feed(prepared(5), [(1900, 2, 100, 0)] * 30)
    assert first.healthy()
    second = feed(prepared(25), [(1500, 1, 500, 0)] * 8)
    assert second.line_progress() >= 1 > second.ratio_progress()
    assert feed(second, [(1500, 1, 500, 0)] * 60).healthy()


def test_health_of_unjudged_scrapes_is_not_counted_and_their_harm_is() -> None:
    test = prepared()
    for _ in range(50):
        test.scrape(5, (1900, 2), (100, 0, 0), judged=False)
    assert not test.healthy()
    for _ in range(4):
        test.scrape(5, (1900, 2), (100, 50, 50), judged=False)
    assert test.evidence >= test.wanted


def test_after_an_operator_went_on_harm_is_proven_anew() -> None:
    test = feed(prepared(), [(1900, 2, 100, 50)] * 5)
    assert test.evidence >= test.wanted
    test.forgive()
    assert test.evidence == 1
    assert feed(test, [(1900, 2, 100, 50)] * 5).evidence >= test.wanted


@given(st.lists(traffic(), min_size=1, max_size=12), st.integers(0, 11), st.sampled_from([2.0, 5.0]))
def test_state_survives_serialisation_at_any_point(scrapes: list[Scrape], stop: int, seconds: float) -> None:
    through, restarted = prepared(), prepared()
    for number, scrape in enumerate(scrapes):
        if number == stop:
            kept = json.loads(json.dumps(restarted.state(), allow_nan=False))
            restarted = SequentialTest(LIMITS)
            restarted.restore(kept)
        feed(through, [scrape], seconds)
        feed(restarted, [scrape], seconds)
        assert restarted.state() == through.state()


@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 1e6, 1e12])] * 4), max_size=20), st.sampled_from([0.0, 5.0, 1e6])
)
def test_nothing_overflows(raw: list[tuple[float, float, float, float]], seconds: float) -> None:
    for weight in (5, 100):
        test = prepared(weight)
        for n_s, x_s, n_c, x_c in raw:
            test.scrape(seconds, (n_s, min(n_s, x_s)), (n_c, min(n_c, x_c), min(n_c, x_c)))
        json.dumps(test.state(), allow_nan=False)
        assert test.evidence >= 0


def test_many_healthy_releases_are_left_alone_and_many_faulty_ones_caught() -> None:
    rng = random.Random(11)
    fair = [_release(rng, 0.01) for _ in range(40)]
    worse = [_release(rng, 0.05) for _ in range(40)]
    assert sum(fair) == 0
    assert sum(worse) == 40


def _release(rng: random.Random, p_c: float) -> bool:
    test = prepared(25, Limits(0.03, 2.0, 0.002, 0.05, 0.01), past=60)
    for _ in range(120):
        x_s = sum(rng.random() < 0.01 for _ in range(150))
        x_c = sum(rng.random() < p_c for _ in range(50))
        test.scrape(5, (150, x_s), (50, x_c, x_c))
        if test.evidence >= test.wanted:
            return True
    return False
