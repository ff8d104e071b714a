from __future__ import annotations

import json
import random

import pytest

from engine.judge import Counts, Rules, Sample
from engine.judge.backtest import Fault, StagePlan, backtest, binomial
from tests.engine.judge.builders import CHECKOUT, ERRORS, POOL, read

STAGES = (StagePlan(25, 60, 100), StagePlan(50, 60, 100))
RULES = Rules((ERRORS, CHECKOUT, POOL))


def chances(releases: int) -> list[random.Random]:
    return [random.Random(number) for number in range(releases)]


@pytest.fixture
def recorded() -> list[list[Sample]]:
    rng = random.Random(5)
    scrapes = []
    for _ in range(260):
        errors, sales = (float(sum(rng.random() < share for _ in range(400))) for share in (0.002, 0.02))
        counts = [("errors", Counts(2000, errors, errors)), ("checkout", Counts(400, sales, sales))]
        events = [Sample(name, 5.0, stable, None) for name, stable in counts]
        scrapes.append([*events, read("pool", None, 50 + rng.gauss(0, 3))])
    return scrapes


def test_a_past_without_a_release_gets_through(recorded: list[list[Sample]]) -> None:
    found = backtest(RULES, STAGES, recorded, past=60, chances=chances(4))
    assert (found.releases, found.passed, found.failed) == (4, 4, {})
    assert all(60 <= seconds <= 300 for seconds in found.first_stage_s)
    assert json.loads(json.dumps(found.to_json()))["fault"] is None


def test_an_injected_fault_is_caught_and_timed(recorded: list[list[Sample]]) -> None:
    found = backtest(RULES, STAGES, recorded, past=60, chances=chances(4), fault=Fault("errors", 100))
    assert found.failed == {"errors": 4}
    assert max(found.seconds) <= 60
    sales = backtest(RULES, STAGES, recorded, past=60, chances=chances(4), fault=Fault("checkout", 8))
    assert sales.failed == {"checkout": 4}


def test_too_little_recorded_is_said(recorded: list[list[Sample]]) -> None:
    with pytest.raises(ValueError, match="60 scrapes are recorded; the history alone takes 60"):
        backtest(RULES, STAGES, recorded[:60], past=60, chances=chances(1))
    short = backtest(RULES, STAGES, recorded[:65], past=60, chances=chances(2))
    assert short.undecided == 2


def test_what_could_not_be_read_then_passes_nothing_now(recorded: list[list[Sample]]) -> None:
    blind = [[Sample(sample.metric, 5.0, None, None) for sample in scrape] for scrape in recorded]
    assert backtest(RULES, STAGES, blind, past=60, chances=chances(1)).passed == 0


@pytest.mark.parametrize(("total", "share"), [(40, 0.1), (40, 0.9), (10_000, 0.3), (5, 0), (5, 1), (0, 0.5)])
def test_a_split_has_the_mean_it_should_have(total: int, share: float) -> None:
    rng = random.Random(1)
    counts = [binomial(rng, total, share) for _ in range(2000)]
    assert min(counts) >= 0
    assert max(counts) <= total
    assert sum(counts) / 2000 == pytest.approx(total * share, rel=0.05)
