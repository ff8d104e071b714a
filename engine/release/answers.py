"""What the engine is told of its own doings: writes, sizes, checks and trials answered, the release taken."""

from __future__ import annotations

from engine import events as ev
from engine.events import CheckOutcome
from engine.inputs import (
    Answered,
    Checked,
    FinishTried,
    JournalSlow,
    LetGo,
    PastLearned,
    Rehearsed,
    Scaled,
    SupersedeOld,
    Took,
)
from engine.release.looks import failed, recovered
from engine.release.turn import Turn
from engine.state import FINAL, FORWARD, Phase


def took(turn: Turn, given: Took) -> None:
    """A new engine: an unfinished way back is repeated before anything is read, the running checks are asked again."""
    turn.say(ev.EngineTook(at=turn.at, epoch=given.epoch, engine=given.engine, raise_after=given.raise_after))
    state, intent = turn.state, turn.state.intent
    unfinished = intent is not None and intent.to_stable and not intent.ok
    if unfinished and (state.phase not in FINAL or state.guarded(turn.at)):
        turn.intend(0)
    if state.phase not in FORWARD:
        return
    running = [check for check in state.checks.values() if check.outcome is None]
    for check in running:
        turn.say(ev.ChecksStarted(at=turn.at, list=check.list, names=(check.name,), attempt=check.attempt))


def journal_slow(turn: Turn, given: JournalSlow) -> None:
    """The journal is late, or in time again."""
    turn.say(ev.JournalLate(at=turn.at, reason=given.reason))


def past_learned(turn: Turn, given: PastLearned) -> None:
    """What the judge knows of stable's past is said when it is news."""
    if (given.seconds, given.remarks) != (turn.state.past_s, turn.state.remarks):
        turn.say(ev.PastRead(at=turn.at, seconds=given.seconds, remarks=given.remarks))


def supersede_old(turn: Turn, given: SupersedeOld) -> None:
    """The target is the next release's: this one keeps nothing, guards nothing and gives nothing back any more."""
    if turn.state.phase in (Phase.PROMOTED, Phase.ROLLED_BACK) and not turn.state.superseded:
        turn.say(ev.Superseded(at=turn.at, by=given.by))


def answered(turn: Turn, given: Answered) -> None:
    """A write was answered; what an earlier engine's was, or comes twice, is nothing."""
    intent = turn.state.intent
    current = intent is not None and intent.number == given.number
    if not current and given.number not in turn.state.raises_out:
        return  # known already, or an engine's before this one
    if intent is not None and current and intent.answered_at is not None and given.number not in turn.state.raises_out:
        return  # a repeated answer
    turn.say(ev.ShiftAnswered(at=turn.at, number=given.number, ok=given.ok, detail=given.detail))
    if current and given.conflict and turn.state.shifting and turn.state.phase in FORWARD:
        turn.hold("stuck", f"the route changed before the weight could be written: {given.detail}")


def scaled(turn: Turn, given: Scaled) -> None:
    """Only the answer to the last wish counts."""
    effort = turn.state.capacity
    if effort is not None and effort.weight == given.weight and effort.answered_at is None:
        turn.say(ev.ScaleAnswered(at=turn.at, weight=given.weight, ok=given.ok, detail=given.detail))


def finish_tried(turn: Turn, given: FinishTried) -> None:
    """A step of a copy or a handover: what was seen of a way back before it proves nothing."""
    if given.number in turn.state.raises_out:
        turn.say(ev.FinishAnswered(at=turn.at, number=given.number, ok=given.ok, detail=given.detail))


def let_go(turn: Turn, given: LetGo) -> None:
    """What was held was given back, or could not be."""
    effort = turn.state.letting_go
    if effort is not None and effort.answered_at is None:
        turn.say(ev.LetGoAnswered(at=turn.at, ok=given.ok, detail=given.detail))


def rehearsed(turn: Turn, given: Rehearsed) -> None:
    """The way back was tried without effect."""
    turn.say(ev.WayBackTried(at=turn.at, ok=given.ok, detail=given.detail))


def checked(turn: Turn, given: Checked) -> None:
    """The answer to the last question; a first no is asked once more, a second fails as a metric does."""
    check = turn.state.check(given.list, given.name)
    if check is None or check.outcome is not None or check.attempt != given.attempt:
        return
    turn.say(
        ev.CheckFinished(
            at=turn.at,
            list=given.list,
            name=given.name,
            attempt=given.attempt,
            outcome=given.outcome,
            summary=given.summary,
            evidence=given.evidence,
        )
    )
    if turn.state.phase not in FORWARD:
        return
    if given.outcome is CheckOutcome.PASS:
        recovered(turn, f"check {given.name}", "it says yes now")
    elif given.outcome is CheckOutcome.FAIL and not check.again:
        turn.ask(given.list, given.name)
    elif given.outcome is CheckOutcome.FAIL and given.list != "pre":
        no = f"check {given.name} said no twice: {given.summary}"
        turn.void_approvals(no)
        failed(turn, f"check {given.name}", no)
