from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as ev
from engine.events import TYPES, CheckOutcome, Event, Step
from engine.judge.metric import Outcome, Verdict
from tests.tui import rehearsal
from tui.wording import noteworthy, sentence, tone

RULES = rehearsal.rules()
EXAMPLES: dict[type[Event], tuple[Event, str]] = {
    type(event): (event, words)
    for event, words in [
        (
            ev.Created(
                at=0, release="shop-1", service="shop", summary="faster", target="t", plan_digest="d",
                canary_wanted="", who="ann", rules=RULES, manual_rollback="sh x",
            ),
            "ann created release shop-1 of shop: faster",
        ),
        (ev.EngineTook(at=0, epoch=3), "an engine holds the release (epoch 3)"),
        (ev.JournalLate(at=0, reason="disk full"), "the journal does not answer, the record is kept aside: disk full"),
        (ev.CanarySeen(at=0, canary="v2", stable="v1"), "canary v2 is there, stable is v1"),
        (ev.PastRead(at=0, seconds=3600, remarks=("so much",)), "the judge has seen 3,600 s of stable's past: so much"),
        (
            ev.RevisionChanged(at=0, canary="v3", stable="v1"),
            "another version runs now: canary v3, stable v1; proof is void",
        ),
        (ev.OrderAccepted(at=0, order="1", verb="rollback", who="ann"), "ann ordered roll back"),
        (
            ev.OrderRefused(at=0, order="1", verb="advance", who="ann", why="not yet"),
            "advance of ann refused: not yet",
        ),
        (
            ev.GlassBroken(at=0, who="eve", where="10.0.0.7", reason="it burns"),
            "GLASS BROKEN by eve from 10.0.0.7: it burns",
        ),
        (ev.GateReached(at=0, stage=0), "stage 1 (5%): at its gate"),
        (ev.Approved(at=0, who="ann", stage=0, revision="r"), "stage 1 (5%) approved by ann"),
        (ev.ApprovalsVoided(at=0, reason="errors fail"), "approvals are void: errors fail"),
        (ev.GateExpired(at=0, stage=0, then="hold", reason="nobody decided"), "nobody decided"),
        (ev.Paused(at=0, who="ann"), "paused by ann; still guarded"),
        (ev.Resumed(at=0, who="ann"), "resumed by ann"),
        (ev.Noted(at=0, who="ann", text="all quiet"), "ann: all quiet"),
        (ev.ItemTicked(at=0, item="smoke", who="laneshift", evidence="200"), "smoke ticked by laneshift: 200"),
        (ev.ItemUnticked(at=0, item="smoke", who="ann"), "smoke unticked by ann"),
        (ev.ItemWaived(at=0, item="smoke", who="ann", reason="none"), "smoke waived by ann: none"),
        (ev.ItemNotApplicable(at=0, item="flags", reason="no flags"), "flags does not apply: no flags"),
        (ev.ChecksStarted(at=0, list="stage", names=("a", "b"), attempt=2), "checks started: a, b (again)"),
        (
            ev.CheckFinished(at=0, list="stage", name="a", attempt=1, outcome=CheckOutcome.ERROR, summary="late"),
            "check a could not run: late",
        ),
        (
            ev.StageEntered(at=0, stage=1, who="ann", override="known"),
            "stage 2 (25%) entered by ann, without proof: known",
        ),
        (ev.StepEntered(at=0, step=Step.BAKE), "stage 2 (25%): bakes"),
        (ev.ShiftIntended(at=0, number="1.1", weight=25, base=5.0, generation="g"), "writes weight 25% (now 5%)"),
        (ev.ShiftAnswered(at=0, number="1.1", ok=False, detail="503"), "the write failed: 503"),
        (ev.ShiftConfirmed(at=0, number="1.1", weight=25.0), "25% is in effect"),
        (
            ev.WeightObserved(at=0, weight=25.0, generation="g", mark="m", by="bob", canary_ready=2, stable_ready=None),
            "the router shows 25%, ready: canary 2, stable ?, by bob",
        ),
        (ev.CapacityAwaited(at=0, weight=25, scale=True), "both sides are to carry 25%: they are scaled"),
        (ev.ScaleAnswered(at=0, weight=25, ok=False, detail="forbidden"), "scaling failed: forbidden"),
        (ev.WayBackTried(at=0, ok=False, detail="forbidden"), "THE WAY BACK FAILS: forbidden"),
        (ev.FinishIntended(at=0, number="1.9"), "the swap goes on"),
        (ev.FinishAnswered(at=0, number="1.9", ok=False, detail="no"), "the swap failed: no"),
        (ev.LetGoIntended(at=0, canary_to_zero=False), "gives back what it held of the target"),
        (ev.LetGoAnswered(at=0, ok=True, detail="minimum 2"), "given back: minimum 2"),
        (
            ev.Disturbed(at=0, weight=5, hand="argocd", times=4, put_back=False),
            "argocd put 5% on the canary after the roll back, time 4: not taken back any more: look into it",
        ),
        (ev.Superseded(at=0, by="shop-2"), "shop-2 has the target now"),
        (ev.WeightFollowed(at=0, weight=25, who="argo-rollouts"), "25% on the canary, by argo-rollouts"),
        (ev.WouldHave(at=0, act="rollback", reason="2.9%"), "laneshift would have rolled back: 2.9%"),
        (ev.RouterLost(at=0, reason="refused"), "the router cannot be read: refused"),
        (
            ev.Ticked(at=0, good_s=2, weight=5.0, requests=1200, samples=(), verdicts=()),
            "looked: 1,200 canary requests in this stage",
        ),
        (
            ev.VerdictChanged(at=0, verdict=Verdict("errors", Outcome.NO_DATA, "silence"), was="pass"),
            "errors no data (was pass): silence",
        ),
        (ev.AlertRaised(at=0, metric="errors", reason="2.9%"), "ALERT errors: 2.9%"),
        (ev.AlertCleared(at=0, metric="errors"), "alert of errors is over"),
        (ev.Held(at=0, cause="drift", reason="moved by hand"), "held: moved by hand"),
        (ev.HoldReleased(at=0, cause="drift"), "no longer held for drift"),
        (ev.Asked(at=0, metric="errors", question="roll back?", due=120), "roll back?"),
        (ev.QuestionAnswered(at=0, metric="errors", who="ann", answer="keep"), "ann answered for errors: keep"),
        (ev.RollbackStarted(at=0, asked_at=0, who="ann", reason="errors"), "ROLLING BACK, by ann: errors"),
        (ev.RollbackSeen(at=0, begun=0), "all traffic seen on stable"),
        (ev.RollbackLate(at=0, failed=True, reason="300 s"), "ROLLBACK FAILED: 300 s"),
        (ev.LapRecorded(at=0, lap="recovered", when=0), "errors are back to normal"),
        (ev.RolledBack(at=0), "rolled back: all traffic is on stable v1.4.0"),
        (ev.FinishStarted(at=0, who="ann"), "finishing, by ann"),
        (ev.Promoted(at=0, keep_until=10), "promoted: v1.5.0 serves all traffic; the old side is kept"),
        (ev.OldSideReleased(at=0, reason="1h"), "the old side is no way back any more: 1h"),
        (ev.Cancelled(at=0, who="ann", reason="wrong plan"), "cancelled by ann: wrong plan"),
    ]
}  # fmt: skip
STATE = rehearsal.baking().state


@pytest.mark.parametrize("name", TYPES)
def test_every_kind_of_event_has_its_sentence(name: str) -> None:
    event, words = EXAMPLES[TYPES[name]]
    assert sentence(event, STATE) == words
    assert tone(event) in ("", "dim", "good", "warn", "bad")


def test_a_short_log_leaves_out_what_another_line_says() -> None:
    quiet = {name for name, kind in TYPES.items() if not noteworthy(EXAMPLES[kind][0])}
    looks = {"Ticked", "WeightObserved", "RollbackSeen"}
    assert quiet == looks | {"OrderAccepted", "ChecksStarted", "GateExpired", "FinishIntended", "LetGoIntended"}


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [("", "no_data", False), ("inconclusive", "pass", False), ("pass", "inconclusive", True), ("pass", "fail", True)],
)
def test_verdicts_that_a_stage_begins_with_are_not_news(was: str, now: str, said: bool) -> None:
    assert noteworthy(ev.VerdictChanged(at=0, verdict=Verdict("m", Outcome(now), ""), was=was)) is said


@given(st.text())
def test_whatever_people_write_is_passed_on(text: str) -> None:
    assert text in sentence(ev.Noted(at=0, who="ann", text=text), STATE)
