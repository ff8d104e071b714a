"""The fairness of every bet, by summing over all outcomes: what the error rates of the judge rest on."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge.advance import InsideLine, InsideRatio
from engine.judge.evidence import Harm, Stakes, ratios_to_bet_on

FAIR = 1 + 1e-9
sizes = st.integers(1, 12)
shares = st.floats(0.001, 0.5)
phis = st.sampled_from([1.0, 1.7, 4.0])


def chances(total: int, share: float) -> list[float]:
    return [comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]


def mean(n_c: int, n_s: int, p_c: float, p_s: float, wealth: Callable[[int, int], float]) -> float:
    both = ((x_c, x_s, a * b) for x_c, a in enumerate(chances(n_c, p_c)) for x_s, b in enumerate(chances(n_s, p_s)))
    return sum(chance * wealth(x_c, x_s) for x_c, x_s, chance in both)


@given(n_c=sizes, n_s=sizes, p_s=shares, part=st.floats(0, 1), phi=phis, cap=st.sampled_from([0.5, 3.0, 50.0]))
def test_a_canary_no_worse_than_stable_never_gains_on_average(
    n_c: int, n_s: int, p_s: float, part: float, phi: float, cap: float
) -> None:
    def wealth(x_c: int, x_s: int) -> float:
        harm = Harm(2.0, 0.05)
        harm.compare((n_c, x_c), (n_s, x_s), stake=harm.stakes.put(5, stage_begins=True), phi=phi, cap=cap)
        return harm.evidence

    assert mean(n_c, n_s, part * p_s, p_s, wealth) <= FAIR


@given(size=st.integers(1, 8), n_c=sizes, n_s=sizes, p=shares)
def test_clusters_no_larger_than_phi_never_gain_on_average(size: int, n_c: int, n_s: int, p: float) -> None:
    """Accidents hit canary and stable by their traffic alone, and each brings `size` bad events at once."""

    def wealth(hits: int, others: int) -> float:
        harm = Harm(2.0, 0.05)
        stake = harm.stakes.put(5, stage_begins=True)
        harm.compare((n_c, hits * size), (n_s, others * size), stake=stake, phi=size, cap=50.0)
        return harm.evidence

    assert mean(n_c, n_s, p, p, wealth) <= FAIR


@given(n=sizes, line=st.floats(0.01, 0.4), part=st.floats(0, 1), phi=phis)
def test_a_canary_below_the_line_never_gains_on_average_without_a_control(
    n: int, line: float, part: float, phi: float
) -> None:
    def wealth(x_c: int, _: int) -> float:
        harm = Harm(2.0, line)
        harm.against_line((n, x_c), stake=harm.stakes.put(5, stage_begins=True), phi=1.0, cap=3.0 / phi)
        return harm.evidence

    assert mean(n, 1, part * line, 0.0, wealth) <= FAIR


@given(n=sizes, line=st.floats(0.01, 0.4), excess=st.floats(1, 2), usual=st.floats(0, 0.5), phi=phis)
def test_a_canary_past_the_line_is_never_proven_inside_on_average(
    n: int, line: float, excess: float, usual: float, phi: float
) -> None:
    def proof(x_c: int, _: int) -> float:
        inside = InsideLine(line)
        inside.look((n, x_c), usual, 5, phi)
        return inside.proof + inside.left

    assert mean(n, 1, line * excess, 0.0, proof) <= FAIR


@given(n_c=sizes, n_s=sizes, p_s=st.floats(0.001, 0.3), excess=st.floats(1, 1.5), phi=phis)
def test_a_canary_past_the_ratio_is_never_proven_inside_on_average(
    n_c: int, n_s: int, p_s: float, excess: float, phi: float
) -> None:
    def proof(x_c: int, x_s: int) -> float:
        inside = InsideRatio(2.0)
        inside.look((n_c, x_c), (n_s, x_s), phi)
        return float(2.718281828459045**inside.nats)

    assert mean(n_c, n_s, min(1.0, 2 * excess * p_s), p_s, proof) <= FAIR


@given(st.lists(st.tuples(st.floats(0, 7200), st.booleans()), max_size=300))
def test_stakes_never_sum_to_more_than_one(scrapes: list[tuple[float, bool]]) -> None:
    stakes = Stakes()
    put = sum(stakes.put(seconds, stage_begins=begins) for seconds, begins in scrapes)
    assert put + stakes.left == pytest.approx(1)
    assert stakes.left >= 0


@given(st.floats(1.15, 50))
def test_the_smallest_bet_loses_at_ten_percent_more_and_wins_at_the_limit(limit: float) -> None:
    r = ratios_to_bet_on(limit)[0]
    where_it_gains = (r - 1) / log(r)
    assert 1 < where_it_gains < limit
    assert where_it_gains > 1.1 or limit < 1.2


@given(n_c=sizes, n_s=sizes, x_s=st.integers(0, 12), x_c=st.integers(0, 11), phi=phis)
def test_more_bad_events_of_canary_never_lower_the_evidence(n_c: int, n_s: int, x_s: int, x_c: int, phi: float) -> None:
    def wealth(bad: int) -> float:
        harm = Harm(2.0, 0.05)
        harm.compare((n_c, bad), (n_s, min(x_s, n_s)), stake=0.6, phi=phi, cap=4.0)
        return harm.evidence

    assert wealth(min(x_c, n_c)) <= wealth(min(x_c + 1, n_c)) * FAIR
