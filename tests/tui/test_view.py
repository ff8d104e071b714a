"""View models, from states made by the state machine; no Textual."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.events import Held, Step, Ticked, WayBackTried, WeightObserved
from engine.judge.metric import Counts, Metric, Outcome, Threshold
from tests.tui import rehearsal
from tests.tui.rehearsal import MANUAL, Rehearsal
from tui.feed import Link
from tui.story import Reading, Story
from tui.times import clock, span
from tui.view import Scene, View, look
from tui.view_metrics import Scale, tightest
from widgets.glyphs import UNICODE


def seen(release: Rehearsal, link: Link = Link.CONNECTED, **other: object) -> View:
    """What the screen shows of it."""
    story = Story()
    for event in release.events:
        story.hear(event)
    scene = Scene(story, release.at, link, UNICODE, heard_at=release.at, **other)  # type: ignore[arg-type]  # its fields
    view = look(scene)
    assert view is not None
    return view


def acts(view: View) -> list[str]:
    return [key for key, _ in view.coming.keys]


def test_before_the_first_event_there_is_nothing_to_look_at() -> None:
    assert look(Scene(Story(), 0.0, Link.CONNECTING, UNICODE)) is None


@pytest.mark.parametrize(
    ("scene", "phase", "keys"),
    [
        (rehearsal.preflight, "PREFLIGHT", ["t", "w", "x"]),
        (rehearsal.ready_to_start, "READY TO START", ["a", "x"]),
        (rehearsal.baking, "BAKING", ["R"]),
        (rehearsal.ready, "READY", ["a", "R"]),
        (rehearsal.paused, "PAUSED", ["p", "R"]),
        (rehearsal.rolling_back, "ROLLING BACK", []),
        (rehearsal.late, "ROLLING BACK", ["R"]),
        (rehearsal.rolled_back, "ROLLED BACK", ["c"]),
        (rehearsal.promoted, "PROMOTED", ["R", "c"]),
    ],
)
def test_the_phase_in_a_word_and_the_keys_that_act(scene, phase: str, keys: list[str]) -> None:
    view = seen(scene())
    assert view.status.phase == phase
    assert acts(view) == keys


def test_a_countdown_runs_between_two_looks_and_not_beyond() -> None:
    release = rehearsal.baking()
    at_look = seen(release).stages[1].word
    release.at += 1
    one_later = seen(release).stages[1].word
    release.at += 30
    much_later = seen(release).stages[1].word
    assert at_look == "bake 0:38"
    assert one_later == "bake 0:37"
    assert much_later == "bake 0:36"  # one interval at most: what was not looked at is no bake


def test_a_bake_stands_still_while_the_weight_is_not_where_it_should_be() -> None:
    release = rehearsal.baking()
    release.weight = 5.0
    release.observe()
    release.at += 1
    view = seen(release)
    assert view.status.phase == "HELD"
    assert view.status.weight == "5% observed, 25% desired"
    assert view.stages[1].word == "bake 0:38"
    assert "r" in acts(view)


def test_requests_are_counted_when_the_time_is_over() -> None:
    stages = tuple(replace(stage, min_requests=5000) for stage in rehearsal.STAGES)
    release = Rehearsal(rules=rehearsal.rules(stages=stages))
    release.wait(2)
    release.observe()
    release.check("smoke")
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id)
    release.order("advance")
    release.write()
    for _ in range(40):
        release.look()
    cell = seen(release).stages[0]
    assert cell.word == f"{release.state.requests:.0f}/5000 req"
    assert cell.progress == release.state.requests / 5000


def test_only_what_hangs_on_a_person_is_said_to() -> None:
    release = rehearsal.baking()
    assert seen(release).coming.then == "50%, once you advance"
    while release.state.step is not Step.CHECKS:
        release.look()
    release.check("healthz")
    release.order("advance")
    release.write()
    assert release.state.step is Step.WARMUP
    assert seen(release).coming.then == "bake"


def test_stages_are_done_now_next_and_undone() -> None:
    assert [cell.place for cell in seen(rehearsal.baking()).stages] == ["done", "now", "next", "ahead"]
    assert [cell.place for cell in seen(rehearsal.rolled_back()).stages] == ["undone", "undone", "ahead", "ahead"]
    assert {cell.place for cell in seen(rehearsal.promoted()).stages} == {"done"}


def test_a_silent_engine_makes_everything_old() -> None:
    view = seen(rehearsal.baking(), Link.GONE, lost="connection refused")
    assert view.banner is not None
    assert view.banner.title == "NO ENGINE: nothing is guarded."
    assert MANUAL in view.banner.text
    assert view.coming.waits_for.startswith("a word from the engine, last heard at")
    assert view.status.detail == "as of 14:01:36"
    assert acts(view) == ["R"]
    dimmed = {hint.name for hint in view.keys if not hint.live}
    assert "advance" in dimmed
    assert "roll back" not in dimmed


def test_no_command_by_hand_where_nothing_is_to_be_undone() -> None:
    for release in (rehearsal.preflight(), rehearsal.rolled_back()):
        view = seen(release, Link.GONE, lost="gone")
        assert view.banner is not None
        assert MANUAL not in view.banner.text


def test_a_late_rollback_shouts_with_the_command() -> None:
    view = seen(rehearsal.late())
    assert view.banner is not None
    assert view.banner.title == "ROLLBACK LATE."
    assert MANUAL in view.banner.text
    assert view.panel is not None
    assert "2:02 of 2:00 budget" in view.panel.title


def test_the_stopwatch_shows_what_is_still_to_come() -> None:
    panel = seen(rehearsal.rolling_back()).panel
    assert panel is not None
    rows = " ".join(row.text for row in panel.rows)
    assert "written ... → observed ..." in rows
    ended = seen(rehearsal.rolled_back()).panel
    assert ended is not None
    assert "..." not in " ".join(row.text for row in ended.rows)


def test_a_promoted_release_says_how_long_the_way_back_is_open() -> None:
    release = rehearsal.promoted()
    panel = seen(release).panel
    assert panel is not None
    assert "R rolls back at once" in panel.rows[0].text
    release.wait(601)
    later = seen(release).panel
    assert later is not None
    assert later.rows[0].text == f"not kept any more; by hand: {MANUAL}"


def test_a_cancelled_release_says_why() -> None:
    release = rehearsal.preflight()
    release.order("cancel", reason="wrong plan")
    view = seen(release)
    assert view.panel is not None
    assert "wrong plan" in view.panel.rows[0].text


def test_a_hold_by_the_plan_offers_the_override() -> None:
    release = Rehearsal(rules=rehearsal.rules(on_fail="hold"))
    release.wait(2)
    release.observe()
    release.check("smoke")
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id)
    release.order("advance")
    release.write()
    release.looks_until(Step.BAKE)
    release.look(bad={"error_rate": (0.05, Outcome.FAIL, rehearsal.FAILING)})
    view = seen(release)
    assert view.status.phase == "HELD"
    assert acts(view) == ["R", "A"]


def test_a_journal_that_hangs_is_said() -> None:
    release = rehearsal.baking()
    release.record(Held(at=release.at, cause="blind", reason="nothing can be read for 120 s"))
    assert seen(release).coming.waits_for == "held: nothing can be read for 120 s"
    view = seen(release, notices=("the journal does not answer",))
    assert view.banner is not None
    assert view.banner.text == "the journal does not answer"


def test_the_way_back_says_when_it_was_tried_last_and_shouts_when_it_fails() -> None:
    release = rehearsal.baking()
    assert seen(release).status.way_back == ""
    release.record(WayBackTried(at=release.at - 12, ok=True))
    assert seen(release).status.way_back == "way back ok, 12 s ago"
    release.record(WayBackTried(at=release.at, ok=False, detail="403: patch is forbidden"))
    view = seen(release)
    assert view.status.way_back_tone == "alarm"
    assert view.banner is not None
    assert "403: patch is forbidden" in view.banner.text
    assert MANUAL in view.banner.text


def test_a_share_that_pods_allow_is_said_beside_the_weight() -> None:
    release = rehearsal.baking()
    shown = WeightObserved(
        at=release.at, weight=5.0, generation="g", mark="", by="", canary_ready=1, stable_ready=9, share=100 / 11,
        canary_asked=1, full=10,
    )  # fmt: skip
    release.record(shown)
    view = seen(release)
    assert view.status.weight == "5% (truly 9.09%) observed, 25% desired"
    assert (view.lanes.stable_note, view.lanes.canary_note) == ("9 of 10 ready", "1 ready")


def test_checklist_rows_say_who_and_how() -> None:
    rows = {row.id: row for row in seen(rehearsal.preflight()).checklist.rows}
    assert rows["regression"].by == "ann: CI run 4711 is green"
    assert (rows["performance"].mark, rows["security"].mark) == ("waived", "open")


# --- metrics


def test_a_gap_in_the_data_is_a_gap() -> None:
    release = rehearsal.baking()
    release.look(bad={"error_rate": (math.nan, Outcome.ERROR, "no number")})
    row = seen(release).metrics.rows[0]
    assert row.shares[-1] is None
    assert row.canary == "-"


def test_a_share_is_shown_over_the_stage_and_not_of_one_look() -> None:
    release = rehearsal.baking()
    verdict = release.state.verdicts["error_rate"]
    judged = replace(verdict, canary=Counts(1000, 29), stable=Counts(9000, 9))
    release.record(Ticked(at=release.at, good_s=0, weight=25, requests=1000, samples=(), verdicts=(judged,)))
    row = seen(release).metrics.rows[0]
    assert (row.canary, row.stable) == ("2.90%", "0.10%")


def test_a_source_that_shows_nothing_keeps_the_last_numbers_and_says_so() -> None:
    release = rehearsal.baking()
    release.look(problem="connection refused")
    assert "connection refused" in seen(release).coming.waits_for


@pytest.mark.parametrize(
    ("metric", "value", "share"),
    [
        (Metric("e", "bad", (Threshold(0.02),)), 0.01, 0.5),
        (Metric("e", "bad", (Threshold(0.02), Threshold(2, relative=True)), baseline=0.001), 0.001, 0.5),
        (Metric("s", "good", (Threshold(0.9, above=False),)), 0.95, 0.5),
        (Metric("s", "good", (Threshold(0.9, above=False),)), 0.8, 2.0),
        (Metric("l", "latency", (Threshold(0.4),), quantile=0.95), 0.8, 2.0),
        (Metric("g", "gauge", (Threshold(20, above=False),), limit=100), 60, 0.5),
        (Metric("i", "gauge", (), baseline=50), 50, 0.5),
        (Metric("i", "gauge", (), limit=100), 500, 1.0),
    ],
)
def test_the_line_is_one_and_the_best_value_zero(metric: Metric, value: float, share: float) -> None:
    assert Scale(metric, ()).share(value) == pytest.approx(share)


def test_without_a_line_the_scale_ends_at_a_round_number() -> None:
    metric = Metric("i", "gauge", (), weight="informational")
    scale = Scale(metric, (Reading(0.0, 33.0, 41.0),))
    assert scale.share(25.0) == pytest.approx(0.5)
    assert Scale(metric, ()).share(math.inf) == 1.0


def test_the_tightest_line_counts() -> None:
    both = (Threshold(0.02), Threshold(2, relative=True))
    assert tightest(Metric("e", "bad", both, baseline=0.001)) == (both[1], 0.002)
    assert tightest(Metric("e", "bad", both)) == (both[0], 0.02)
    assert tightest(Metric("e", "bad", ())) is None


def test_the_chart_is_of_the_chosen_metric_in_its_unit() -> None:
    view = seen(rehearsal.baking(), chosen_metric=1)
    assert view.chart is not None
    assert view.chart.title.startswith("latency_p95 (ms)")
    assert view.chart.line == 400
    assert view.chart.seconds[-1] == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (-3, "0:00"), (41.2, "0:42"), (725, "12:05"), (3723, "1:02:03")]
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_clock_is_local_time() -> None:
    assert clock(rehearsal.START) == "14:00:00"
