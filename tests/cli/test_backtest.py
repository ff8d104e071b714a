"""`laneshift backtest`: what it says of a journal and of a Prometheus, and what it needs."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from engine.codec import encode
from engine.journal.records import Record
from engine.journal.store import Journal
from engine.judge import Counts, Sample
from engine.plan.model import Plan
from tests.support.programs import need
from tests.support.prometheus_process import running_prometheus
from tests.support.sandbox_process import running_sandbox

ERRORS = {
    "total": 'http_requests_total{version="$version"}',
    "bad": 'http_requests_total{version="$version",code=~"[45].."}',
    "baseline": "0.2%",
    "alert": "> 2%",
}
PLAN = {
    "service": "shop",
    "router": {"sandbox": {"url": "http://127.0.0.1:1", "stable": "shop-a", "canary": "shop-b"}},
    "source": {"scrape": {"urls": ["http://127.0.0.1:1/metrics"], "interval": "2s", "timeout": "1s"}},
    "stages": [{"weight": 25, "bake": "20s", "min_requests": 50}, {"weight": 100, "bake": "20s"}],
    "metrics": {"error_rate": ERRORS},
}


def plan_in(folder: Path, **changes) -> str:
    path = folder / "plan.yaml"
    path.write_text(json.dumps(PLAN | changes))
    return str(path)


def record(home: Path, looks: int, *, bad_share: float = 0.002) -> None:
    """A release whose stable served 200 requests/s, half an hour ago."""
    rng, begun = random.Random(3), time.time() - 1800
    metrics = Plan.model_validate(PLAN).judge_metrics()
    records = [Record(1, begun, "Created", {"rules": {"metrics": encode(metrics)}})]
    for seq in range(2, looks + 2):
        bad = float(sum(rng.random() < bad_share for _ in range(400)))
        sample = Sample("error_rate", 2.0, Counts(400, bad, bad, bad / 400), Counts())
        records.append(Record(seq, begun + 2 * seq, "Ticked", {"samples": encode([sample])}))
    with Journal.open(home / "journal.db") as journal:
        journal.create_release("shop-1", "shop", "shop", begun)
        journal.append("shop-1", records)


def test_what_a_journal_shows_is_told_in_80_columns(laneshift, home, tmp_path):
    record(home, 100)
    ended = laneshift("backtest", plan_in(tmp_path), "--releases", "10", "--version", "v1")
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    for words in (
        "the journal: 1 release of shop",
        "3 min in 100 scrapes, 200 requests/s",
        "would have rolled back 0 of 10 healthy releases",
        "at most 25.9% (95% confidence)",
        "would have promoted 10 of 10 healthy releases",
        "20s at 25% are enough in 100% of the replays",
        "the scrape source has no past of v1",
    ):
        assert words in ended.out
    assert ended.err == ""


def test_json_has_the_same_in_numbers(laneshift, home, tmp_path):
    record(home, 100)
    found = laneshift("backtest", plan_in(tmp_path), "--releases", "10", "--json").json
    assert found["recorded"]["scrapes"] == 100
    [remark] = found["remarks"]
    assert remark.startswith("only the journal was read: ")
    assert remark.endswith("--version V names whose past the source may keep")
    assert found["healthy"]["releases"] == 10
    assert found["healthy"]["rolled_back"] == {}
    assert found["first_stage"]["enough_in"] == 1.0
    assert found["first_stage"]["median_s"] == pytest.approx(20, abs=4)
    grave = found["faults"][-1]
    assert (grave["metric"], grave["times"], grave["rolled_back"]) == ("error_rate", 20, {"error_rate": 1})
    assert 0 < grave["median_s"] <= 40
    assert found["took_s"] < 60


def test_a_line_that_fires_for_nothing_is_named(laneshift, home, tmp_path):
    """A literal line at what is usual, and one look."""
    record(home, 100, bad_share=0.02)
    literal = plan_in(tmp_path, judge="threshold", looks=1)
    found = laneshift("backtest", literal, "--releases", "10", "--json").json
    fired = found["healthy"]["rolled_back"]["error_rate"]
    assert 5 <= fired <= 10
    said = laneshift("backtest", literal, "--releases", "10").out
    assert f"rolled back {fired} of 10 healthy releases: error_rate {fired}" in said


def test_a_stage_that_never_has_its_requests_is_not_long_enough(laneshift, home, tmp_path):
    record(home, 100)
    stages = [{"weight": 25, "bake": "20s", "min_requests": 1_000_000}, {"weight": 100, "bake": "20s"}]
    said = laneshift("backtest", plan_in(tmp_path, stages=stages), "--releases", "5").out
    assert "20s at 25% are enough in 0% of the replays" in said
    assert "none of the 5 passed it" in said
    assert "5 neither: held" in said


def test_too_little_is_recorded_ends_with_2_and_how_much_is_needed(laneshift, home, tmp_path):
    ended = laneshift("backtest", plan_in(tmp_path))
    assert (ended.code, "there is no journal at" in ended.err) == (2, True)
    assert "--version V names whose past the source may keep" in ended.err
    record(home, 10)
    ended = laneshift("backtest", plan_in(tmp_path), "--json")
    assert ended.code == 2
    assert ended.json["error"].startswith("20s of stable are recorded, and replaying this plan takes 53s or more")
    assert "the journal: 1 release of shop" in ended.json["error"]
    assert laneshift("backtest", plan_in(tmp_path), "--since", "10m").code == 2


def test_a_plan_or_a_secret_that_is_missing_ends_with_2(laneshift, home, tmp_path):
    assert laneshift("backtest", str(tmp_path / "none.yaml")).code == 2
    source = {"prometheus": {"url": "http://127.0.0.1:1", "bearer_token": "${env:NOT_THERE}"}}
    ended = laneshift("backtest", plan_in(tmp_path, source=source), "--version", "v1")
    assert (ended.code, "${env:NOT_THERE} is not in" in ended.err) == (2, True)


def test_a_history_that_does_not_answer_is_an_error_and_no_silence(laneshift, home, tmp_path):
    record(home, 100)
    source = {"prometheus": {"url": "http://127.0.0.1:1", "interval": "2s"}}
    ended = laneshift("backtest", plan_in(tmp_path, source=source), "--version", "v1", "--since", "1h")
    assert (ended.code, "the prometheus source can't be read" in ended.err) == (2, True)


@pytest.mark.real
def test_the_past_in_a_real_prometheus_is_replayed(laneshift, home, tmp_path):
    """The router says which version is stable; the half hour before the server was there is no part of the past."""
    need("prometheus")
    stages = [{"weight": 50, "bake": "4s", "min_requests": 20}, {"weight": 100, "bake": "2s"}]
    with running_sandbox(rps=100) as shop, running_prometheus({"gateway": [shop.gateway]}) as server:
        router = {"sandbox": {"url": shop.gateway, "stable": "shop-a", "canary": "shop-b"}}
        source = {"prometheus": {"url": server.url, "interval": "1s", "timeout": "900ms"}}
        plan = plan_in(tmp_path, stages=stages, router=router, source=source, history="10s")
        deadline = time.monotonic() + 50
        while (ended := laneshift("backtest", plan, "--releases", "10", "--json")).code and time.monotonic() < deadline:
            time.sleep(2)
    assert ended.code == 0, ended.err
    assert ended.json["recorded"]["from"].startswith("prometheus: v1.4.0 in one stretch")
    assert ended.json["recorded"]["requests_per_s"] == pytest.approx(100, rel=0.2)
    assert ended.json["healthy"]["releases"] == 10
    assert ended.json["healthy"]["rolled_back"] == {}
