"""`laneshift prune` asks the engine; without one it does it itself."""

from __future__ import annotations

import time
from pathlib import Path

from engine.journal.records import Record
from engine.journal.store import Journal
from tests.engine.journal_builders import tick, with_release

DAY_S = 86_400.0


def ended_releases(path: Path, ages: dict[str, float], last: str = "RolledBack") -> None:
    """Releases that came to their last event so many days ago, each with a tick or two before."""
    with Journal.open(path) as journal:
        for release, days in ages.items():
            at = time.time() - days * DAY_S
            with_release(journal, release)
            journal.append(release, [tick(1, at=at), tick(2, at=at), Record(3, at, last, {})])


def ids(path: Path) -> set[str]:
    with Journal.open(path) as journal:
        return {row.id for row in journal.releases()}


def test_the_engine_is_asked(laneshift, engine) -> None:
    answer = {"releases": ["shop-1"], "ticks": 7, "freed": 1_500_000, "dry_run": True}
    engine.answers["POST", "/v1/prune"] = (200, answer)
    ended = laneshift("prune", "--older-than", "90d", "--dry-run")
    assert ended.code == 0
    assert ended.out == "would forget 1 release: shop-1; 7 ticks of others; about 1.5 MB\n"
    (asked,) = engine.bodies
    assert (asked["releases"], asked["dry_run"]) == ("7776000s", True)


def test_without_an_engine_it_forgets_what_ended_long_ago(laneshift, home: Path) -> None:
    path = home / "journal.db"
    ended_releases(path, {"shop-1": 100, "shop-2": 95, "shop-3": 2, "checkout-1": 300})
    ended_releases(path, {"pay-1": 300, "pay-2": 1}, last="Promoted")
    dry = laneshift("prune", "--older-than", "90d", "--dry-run", "--json")
    assert dry.json["releases"] == ["shop-1", "shop-2"]
    assert len(ids(path)) == 6
    done = laneshift("prune", "--older-than", "90d", "--json")
    assert {**done.json, "dry_run": True} == dry.json
    # The newest of a service stays, and what has not ended for good: pay-1 is promoted, its old side still kept.
    assert ids(path) == {"shop-3", "checkout-1", "pay-1", "pay-2"}


def test_engine_yaml_says_what_is_kept(laneshift, home: Path) -> None:
    ended_releases(home / "journal.db", {"shop-1": 500, "shop-2": 95})
    nothing = laneshift("prune")
    assert nothing.code == 2
    assert "--older-than" in nothing.err
    (home / "engine.yaml").write_text("retention: {releases: 400d, ticks: 30d}\n")
    assert laneshift("prune").out.startswith("forgot 1 release: shop-1; 1 tick of others")


def test_a_time_that_is_none_is_said(laneshift, home: Path) -> None:
    ended = laneshift("prune", "--older-than", "soon")
    assert ended.code == 2
    assert "soon" in ended.err


def test_without_a_journal_nothing_is_made(laneshift, home: Path) -> None:
    assert laneshift("prune", "--older-than", "90d").code == 2
    assert not (home / "journal.db").exists()
