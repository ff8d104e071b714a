from __future__ import annotations

import random

import pytest

from engine.judge.dispersion import Dispersion


def after(scrapes: list[tuple[float, float]]) -> Dispersion:
    dispersion = Dispersion()
    for total, bad in scrapes:
        dispersion.stable(total, bad)
        dispersion.settle()
    return dispersion


def iid(rng: random.Random, mean: float, scrapes: int) -> list[tuple[float, float]]:
    """Counts as scattered as chance makes them (a sum of many coins)."""
    return [(5000, sum(rng.random() < mean / 200 for _ in range(200))) for _ in range(scrapes)]


def clustered(rng: random.Random, mean: float, size: int, scrapes: int) -> list[tuple[float, float]]:
    return [(total, bad * size) for total, bad in iid(rng, mean / size, scrapes)]


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


def test_independent_events_are_hardly_tempered(rng: random.Random) -> None:
    assert after(iid(rng, 5, 400)).phi < 1.4


def test_clusters_are_tempered_by_about_their_size(rng: random.Random) -> None:
    assert 4 < after(clustered(rng, 12, 6, 400)).phi < 9


def test_an_incident_of_three_scrapes_drops_out(rng: random.Random) -> None:
    quiet = iid(rng, 5, 400)
    with_incident = [*quiet[:200], *[(5000, 500.0)] * 6, *quiet[200:]]
    assert after(with_incident).phi == pytest.approx(after(quiet).phi, rel=0.1)


def test_one_bad_scrape_in_the_past_does_not_blind_the_judge(rng: random.Random) -> None:
    quiet = iid(rng, 5, 400)
    assert after([*quiet[:200], (5000, 5000.0), *quiet[200:]]).phi < 1.5
    assert after([*[(5000.0, 0.0)] * 100, (5000.0, 5000.0), *[(5000.0, 0.0)] * 100]).phi < 6


def test_without_a_past_evidence_is_tempered_and_recovers() -> None:
    assert Dispersion().phi > 3
    assert after([(5000, 5.0)] * 60).phi < 1.2


def test_bursts_that_hit_both_sides_alike_cancel(rng: random.Random) -> None:
    bursty = after(clustered(rng, 30, 15, 200))
    before = bursty.phi
    for _ in range(200):
        bursty.both(4.0, 76.0, 0.05)
    bursty.settle()
    assert bursty.phi < before / 2
