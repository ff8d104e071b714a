from __future__ import annotations

import json
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.judge import Counts, Judge, Outcome, Rules, Sample
from tests.engine.judge.builders import CHECKOUT, ERRORS_2X, P95, POOL, counted, judge_of, last

METRICS = (ERRORS_2X, CHECKOUT, P95, POOL)


@st.composite
def sides(draw: st.DrawFn) -> Counts | None:
    if draw(st.integers(0, 5)) == 0:
        return None
    total = draw(st.integers(0, 3000))
    bad = draw(st.integers(0, total))
    return Counts(total=total, bad=bad, bad_low=draw(st.integers(bad, total)), value=draw(st.floats(0, 200)))


scrapes = st.lists(
    st.tuples(st.lists(st.tuples(sides(), sides()), min_size=4, max_size=4), st.booleans()), min_size=1, max_size=12
)


def samples(pairs: list[tuple[Counts | None, Counts | None]]) -> list[Sample]:
    return [Sample(metric.name, 5.0, *pair) for metric, pair in zip(METRICS, pairs, strict=True)]


@settings(max_examples=50, deadline=None)
@given(
    scrapes=scrapes,
    stop=st.integers(0, 11),
    weight=st.sampled_from([5.0, 50.0, 100.0]),
    rule=st.sampled_from(["sequential", "threshold"]),
)
def test_a_restored_judge_judges_on_as_if_nothing_had_happened(
    scrapes: list, stop: int, weight: float, rule: Literal["sequential", "threshold"]
) -> None:
    through = judge_of(*METRICS, weight=weight, min_requests=100, judge=rule)
    restarted = judge_of(*METRICS, weight=weight, min_requests=100, judge=rule)
    for number, (pairs, judged) in enumerate(scrapes):
        if number == stop:
            kept = json.loads(json.dumps(restarted.state(), allow_nan=False))
            restarted = Judge.restore(Rules(METRICS, judge=rule), kept)
        look = {"weight": weight, "judged": judged}
        assert restarted.look(samples(pairs), **look) == through.look(samples(pairs), **look)
        if number % 5 == 4:
            through.enter_stage(number // 5 + 1, weight, 100)
            restarted.enter_stage(number // 5 + 1, weight, 100)


@settings(max_examples=50, deadline=None)
@given(scrapes=scrapes, rule=st.sampled_from(["sequential", "threshold"]))
def test_nothing_passes_without_canary_data(scrapes: list, rule: Literal["sequential", "threshold"]) -> None:
    judge = judge_of(*METRICS, judge=rule)
    for pairs, judged in scrapes:
        hidden = [(stable, Counts() if judged else None) for stable, _ in pairs]
        verdicts = judge.look(samples(hidden), weight=5, judged=judged)
        assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.PASS]


@settings(deadline=None)
@given(
    n_c=st.integers(1, 5000),
    n_s=st.integers(1, 5000),
    share_s=st.floats(0, 0.2),
    bad=st.integers(0, 5000),
    more=st.integers(1, 500),
)
def test_more_errors_never_turn_a_failure_into_health(n_c: int, n_s: int, share_s: float, bad: int, more: int) -> None:
    fewer, most = min(bad, n_c), min(bad + more, n_c)
    stable = (n_s, int(n_s * share_s))
    at = [last(judge_of(ERRORS_2X, weight=50), counted("errors", (n_c, x), stable), looks=4) for x in (fewer, most)]
    assert not (at[0].outcome is Outcome.FAIL and at[1].outcome is Outcome.PASS)
    assert at[1].outcome is not Outcome.PASS or at[0].outcome is not Outcome.FAIL
    assert at[0].numbers["line_progress"] >= at[1].numbers["line_progress"]


@settings(deadline=None)
@given(size=st.sampled_from([1e6, 1e9, 1e12]), share=st.floats(0.021, 1))
def test_enormous_counts_neither_overflow_nor_mislead(size: float, share: float) -> None:
    broken = counted("errors", (size, float(int(size * share))), (size, 0.0))
    assert last(judge_of(ERRORS_2X), broken, looks=3).outcome is Outcome.FAIL
    assert last(judge_of(ERRORS_2X), counted("errors", (size, 0.0), (size, 0.0)), looks=3).outcome is Outcome.PASS
