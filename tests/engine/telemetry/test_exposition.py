"""What /metrics shows: counts by state, series of live releases only, names as Prometheus asks."""

from __future__ import annotations

import subprocess

import pytest

from engine import events as ev
from engine.journal.records import JournalUnavailable
from engine.registry import SOURCES, resolve
from engine.state import Phase, Stopwatch
from engine.telemetry import Vital, exposition
from tests.engine.telemetry.shown import NOW, ShownHost, series_of, state
from tests.support.programs import need


def test_releases_are_counted_by_phase_and_by_trouble() -> None:
    host = ShownHost(
        Vital(
            states=[
                state(phase=Phase.STAGE, holds={"stuck": "not in effect"}),
                state(phase=Phase.STAGE, holds={"blind": "nothing"}, blind_since=NOW),
                state(phase=Phase.ROLLBACK_FAILED, rollback=Stopwatch(NOW - 400, NOW - 400, "ada", "bad")),
                state(phase=Phase.ROLLED_BACK),
            ]
        )
    )
    shown = series_of(host)
    phases = {phase.value: shown["laneshift_releases", (("phase", phase.value),)] for phase in Phase}
    assert phases == dict.fromkeys((phase.value for phase in Phase), 0) | {
        "stage": 2,
        "rollback_failed": 1,
        "rolled_back": 1,
    }
    names = ("releases_stuck", "releases_blind", "releases_held", "rollback_failed", "rollback_running_seconds")
    assert [shown[f"laneshift_{name}", ()] for name in names] == [1, 1, 2, 1, 430]


def test_series_of_a_release_go_when_it_has_ended() -> None:
    live = ShownHost(Vital(states=[state(phase=Phase.STAGE, desired=5, observed=5.0, way_back_at=NOW + 10)]))
    shown = series_of(live)
    assert shown["laneshift_way_back_check_age_seconds", (("release", "shop-1"),)] == 20
    assert shown["laneshift_release_weight_ratio", (("release", "shop-1"), ("weight", "observed"))] == 0.05
    live.vital_now = Vital(states=[state(phase=Phase.ROLLED_BACK)])
    assert not [labels for _, labels in series_of(live) if "release" in dict(labels)]


def test_a_promoted_release_lives_while_its_old_side_does() -> None:
    kept = ShownHost(Vital(states=[state(phase=Phase.PROMOTED, keep_until=NOW + 60)]))
    assert ("laneshift_way_back_check_age_seconds", (("release", "shop-1"),)) in series_of(kept)
    kept.vital_now = Vital(states=[state(phase=Phase.PROMOTED)])
    assert ("laneshift_way_back_check_age_seconds", (("release", "shop-1"),)) not in series_of(kept)


def test_a_way_back_that_was_never_tried_ages_from_the_beginning() -> None:
    shown = series_of(ShownHost(Vital(states=[state(phase=Phase.STAGE)])))
    assert shown["laneshift_way_back_check_age_seconds", (("release", "shop-1"),)] == 30


def test_what_stands_for_the_journal_the_store_and_people() -> None:
    shown = series_of(
        ShownHost(
            Vital([], behind_s=3.0, waiting=4, journal_silent_s=5.0, lease_left_s=6.5, store_away="no", attached=7)
        )
    )
    names = ("journal_behind_seconds", "spooled_records", "journal_silent_seconds", "lease_left_seconds", "store_up")
    assert [shown[f"laneshift_{name}", ()] for name in names] == [3, 4, 5, 6.5, 0]
    assert shown["laneshift_attached_clients", ()] == 7
    assert shown["laneshift_engine_start_time_seconds", ()] == NOW - 100


def test_what_is_said_of_leases_is_left_out_where_there_are_none() -> None:
    assert ("laneshift_lease_left_seconds", ()) not in series_of(ShownHost())


def test_orders_looks_and_roll_backs_are_counted_as_they_are_recorded() -> None:
    host, told = ShownHost(), state(rollback=Stopwatch(NOW, NOW, "ada", "bad", observed=NOW + 1.5))
    accepted = ev.OrderAccepted(at=NOW, order="1", verb="rollback", who="ada")
    refused = ev.OrderRefused(at=NOW, order="2", verb="advance", who="ada", why="stale")
    broken = ev.GlassBroken(at=NOW, who="eve", where="", reason="fire")
    tick = ev.Ticked(at=NOW, good_s=0, weight=0, requests=0, samples=(), verdicts=())
    host.watcher.recorded([accepted, broken, ev.RolledBack(at=NOW + 2)], told, 0.004, NOW + 2)
    host.watcher.recorded([refused], told, 0.004, NOW)
    host.watcher.recorded([tick], told, 0.2, NOW + 0.5)
    shown = series_of(host)
    assert shown["laneshift_orders_total", (("outcome", "accepted"), ("verb", "rollback"))] == 1
    assert shown["laneshift_orders_total", (("outcome", "refused"), ("verb", "advance"))] == 1
    assert shown["laneshift_break_glass_total", ()] == 1
    assert shown["laneshift_rollback_seconds_sum", ()] == 1.5
    assert shown["laneshift_decision_lag_seconds_bucket", (("input", "order"), ("le", "0.005"))] == 2
    assert shown["laneshift_decision_lag_seconds_sum", (("input", "look"),)] == 0.2
    assert shown["laneshift_sample_age_seconds_sum", ()] == pytest.approx(0.3)


def test_the_way_back_is_counted_at_its_budget_and_its_hard_limit() -> None:
    shown = series_of(ShownHost())
    assert {"120.0", "300.0"} <= {
        dict(labels).get("le") for name, labels in shown if name.startswith("laneshift_rollback_s")
    }


def test_a_source_that_fails_is_counted_by_the_name_that_plans_give_it() -> None:
    host = ShownHost()
    for kind in SOURCES:
        host.watcher.read(object.__new__(resolve("source", kind)), "it does not answer")
        host.watcher.read(object.__new__(resolve("source", kind)), "")
    shown = series_of(host)
    assert {kind: shown["laneshift_source_errors_total", (("source", kind),)] for kind in (*SOURCES, "other")} == {
        **dict.fromkeys(SOURCES, 1),
        "other": 0,
    }


def test_appends_are_timed_by_what_became_of_them() -> None:
    host = ShownHost()
    host.watcher.appended(0.002, None)
    host.watcher.appended(3.0, JournalUnavailable("full"))
    host.watcher.appended(0.001, ValueError("no"))
    shown = series_of(host)
    outcomes = ("stored", "unavailable", "refused", "fenced")
    counts = {one: shown["laneshift_journal_append_seconds_count", (("outcome", one),)] for one in outcomes}
    assert counts == {"stored": 1, "unavailable": 1, "refused": 1, "fenced": 0}


def test_two_engines_of_one_process_share_nothing() -> None:
    one, other = ShownHost(), ShownHost()
    one.watcher.fenced()
    assert (series_of(one)["laneshift_fenced_total", ()], series_of(other)["laneshift_fenced_total", ()]) == (1, 0)


def test_text_from_outside_stays_a_label() -> None:
    odd = 'v2"} 1\nlaneshift_rollback_failed 9 \x1b[31m' + "x" * 500
    shown = series_of(ShownHost(Vital(states=[state(phase=Phase.STAGE, canary=odd)])))
    assert shown["laneshift_rollback_failed", ()] == 0
    [labels] = [dict(labels) for name, labels in shown if name == "laneshift_release_info"]
    assert labels["canary"] == odd[:120]


@pytest.mark.real
def test_names_and_words_are_as_prometheus_wants_them() -> None:
    need("promtool")
    text = exposition(ShownHost(Vital(states=[state(phase=Phase.STAGE, observed=5.0)], lease_left_s=1.0)))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
