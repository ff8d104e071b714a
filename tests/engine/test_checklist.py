from __future__ import annotations

import pytest

from engine import events as ev
from engine.checklist import POST, PRE, default_items, not_applicable, with_proofs
from engine.events import CheckOutcome, Item, StageRule
from engine.inputs import Looked
from engine.judge import Counts, Metric, Outcome, Sample, Threshold
from engine.vitals import VITALS
from tests.engine.release_driver import CPU, ERRORS, LATENCY, Driver, rules, sample, verdict

FOUR = tuple(StageRule(weight, 60, bake, 1000) for weight, bake in ((5, 900), (25, 900), (50, 900), (100, 3600)))
CHECKOUT = Metric("checkout", "good", (Threshold(0.96, above=False),))
ITEMS = default_items(FOUR, (ERRORS, LATENCY, CHECKOUT, CPU))


def with_items(*items: Item) -> Driver:
    return Driver(rules(items=items))


def mark(release: Driver, item: str) -> str:
    return release.state.items[item].mark


def test_the_default_lists_have_the_24_items_of_release_management() -> None:
    assert len(ITEMS) == len({item.id for item in ITEMS}) == 24
    assert [item.id for item in ITEMS if item.list == "pre"] == [name for name, _ in PRE]
    assert [item.id for item in ITEMS if item.list == "post"] == [name for name, _ in POST]
    texts = [item.text for item in ITEMS if item.list == "during"]
    assert texts[0] == "start at 5% and watch 15+ minutes"
    assert texts[5:8] == ["25%, watched again", "50%, watched again", "100%, watched for 1 h"]


def test_an_item_of_metrics_names_those_of_its_kind_that_are_judged() -> None:
    proofs = {item.id: item.proof for item in ITEMS}
    assert proofs["errors"] == ("metrics:errors",)
    assert proofs["business"] == ("metrics:checkout",)
    silent = Metric("logins", "good", (), weight="informational")
    assert {i.id: i.proof for i in default_items(FOUR, (ERRORS, silent))}["business"] == ()


def test_a_check_that_says_yes_ticks_its_item_with_its_words() -> None:
    release = Driver().after(1)
    release.observe()
    release.checked("smoke")
    item = release.state.items["smoke"]
    assert (item.mark, item.who, item.evidence) == ("done", "laneshift", "smoke pass")


@pytest.mark.parametrize("outcome", [CheckOutcome.FAIL, CheckOutcome.ERROR])
def test_a_check_that_does_not_say_yes_ticks_nothing(outcome: CheckOutcome) -> None:
    release = Driver().after(1)
    release.observe()
    release.checked("smoke", outcome)
    assert mark(release, "smoke") == "open"


def test_an_item_on_two_checks_needs_both() -> None:
    items = with_proofs((Item("safe", "pre", "safe"),), (("safe", "scan"), ("safe", "unit")))
    release = Driver(rules(items=items, checks={"pre": ("scan", "unit")})).after(1)
    release.observe()
    release.checked("scan")
    assert mark(release, "safe") == "open"
    release.checked("unit")
    assert release.state.items["safe"].evidence == "scan pass; unit pass"


def test_what_a_person_unticks_stays_open_until_a_person_ticks_it() -> None:
    release = with_items(Item("dashboards", "pre", "dashboards ready", ("answers",))).after(1)
    release.observe()
    release.look()
    assert mark(release, "dashboards") == "done"
    release.order("untick", item="dashboards")
    release.after(5).look()
    assert mark(release, "dashboards") == "open"
    release.order("tick", item="dashboards")
    assert release.state.items["dashboards"].who == "ada"


def test_dashboards_are_ready_when_every_judged_metric_shows_a_value_for_stable() -> None:
    release = with_items(Item("dashboards", "pre", "dashboards ready", ("answers",))).after(1)
    release.observe()
    silent = Sample("latency", 5.0, Counts(), Counts())
    for samples in ((sample("errors"),), (sample("errors"), silent)):
        release.tell(Looked(at=release.now, weight=0.0, samples=samples, verdicts=()))
        assert mark(release, "dashboards") == "open"
    release.look()
    assert release.state.items["dashboards"].evidence == "2 metrics answer, 2 lines set"


def test_of_the_canarys_pods_a_value_for_the_canary_is_enough() -> None:
    items = (Item("dashboards", "pre", "dashboards ready", ("answers",)),)
    release = Driver(rules(items=items, metrics=(ERRORS, VITALS["restarts"]))).after(1)
    release.observe()
    for samples in ((), (Sample("canary_restarts", 5.0, None, None),)):
        release.tell(Looked(at=release.now, weight=0.0, samples=(sample("errors"), *samples), verdicts=()))
        assert mark(release, "dashboards") == "open"
    shown = (sample("errors"), Sample("canary_restarts", 5.0, None, Counts(1, 0, 0, 0.0)))
    release.tell(Looked(at=release.now, weight=0.0, samples=shown, verdicts=()))
    assert mark(release, "dashboards") == "done"


def test_a_stage_that_ends_with_its_proof_ticks_its_item() -> None:
    release = Driver().at_gate()
    assert mark(release, "stage-5") == "open"
    release.order("advance")
    assert release.state.items["stage-5"].evidence == "baked 10 s, 1000 requests, 3 verdicts pass"


def test_a_stage_left_by_an_override_proves_nothing() -> None:
    release = Driver().at_gate()
    release.look(verdict("errors", Outcome.NO_DATA))
    release.order("advance", override=True, reason="known")
    assert release.state.stage == 1
    assert mark(release, "stage-5") == "open"


def test_at_the_end_the_metrics_that_passed_and_the_checks_of_the_last_stage_tick_theirs() -> None:
    release = with_items(
        Item("errors", "during", "errors", ("metrics:errors",)), Item("smoke-after", "during", "smoke", ("ended",))
    )
    release.at_gate().next_gate().next_gate()
    assert mark(release, "errors") == mark(release, "smoke-after") == "open"
    release.order("advance")
    assert release.state.items["errors"].evidence == "errors: pass"
    assert release.state.items["smoke-after"].evidence == "health: health pass"


def test_a_metric_that_rings_at_the_end_ticks_nothing() -> None:
    release = with_items(Item("errors", "during", "errors", ("metrics:errors",)))
    release.at_gate().next_gate().next_gate()
    release.look(verdict("errors", alert=True))
    release.order("advance")
    assert mark(release, "errors") == "open"


def test_what_the_plan_makes_pointless_is_named_with_the_reason() -> None:
    assert set(not_applicable("none", (), ITEMS)) == {"migration", "flags"}
    assert not_applicable("reversible", ("retry",), ITEMS) == {}
    assert not_applicable("none", (), ()) == {}


def test_an_item_that_does_not_apply_is_settled_with_the_reason() -> None:
    release = with_items(Item("flags", "pre", "flags tested"))
    applied = ev.ItemNotApplicable(at=release.now, item="flags", reason="the plan names no flags")
    release.events.append(applied)
    release.restart()
    assert (mark(release, "flags"), release.state.items["flags"].evidence) == ("n/a", "the plan names no flags")
