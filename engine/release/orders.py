"""What people order: refused in a sentence, or done."""

from __future__ import annotations

from collections.abc import Callable

from engine import events as ev
from engine.approvals import EXPIRED
from engine.events import Step
from engine.gates import blockers, refusal, to_ask_again
from engine.inputs import Order
from engine.release.forward import expire_gate, go_forward, open_gate
from engine.release.turn import Turn
from engine.state import FAILING, GOING_BACK, MISPLACED, RINGING, Phase


def ordered(turn: Turn, given: Order) -> None:
    """A person's order; one that comes again with its id is nothing: it was answered, see `State.answer_to`."""
    if turn.state.answer_to(given.id) is not None:
        return
    expire_gate(turn)
    why = _why_not(turn, given)
    if why:
        refused = ev.OrderRefused(
            at=turn.at, order=given.id, verb=given.verb, who=given.who, why=why, where=given.where
        )
        turn.say(refused)
        return
    if given.forbidden:
        turn.say(ev.GlassBroken(at=turn.at, who=given.who, where=given.where, reason=given.reason))
    accepted = ev.OrderAccepted(
        at=turn.at, order=given.id, verb=given.verb, who=given.who, reason=given.reason, where=given.where
    )
    turn.say(accepted)
    _ORDERS[given.verb](turn, given)


def _why_not(turn: Turn, given: Order) -> str:
    """Why it is refused. Who may not roll back may break the glass, and says why."""
    if given.forbidden:
        if given.verb != "rollback" or not given.break_glass:
            return given.forbidden
        if not given.reason.strip():
            return f"{given.forbidden}; to break the glass needs a reason: it is recorded"
    return refusal(
        turn.state,
        given.verb,
        turn.at,
        stage=given.stage,
        revision=given.revision,
        item=given.item,
        reason=given.reason,
        override=given.override,
        who=given.who,
    )


def _approve(turn: Turn, given: Order) -> None:
    state = turn.state
    turn.say(ev.Approved(at=turn.at, who=given.who, stage=state.stage, revision=state.revision, where=given.where))


def _advance(turn: Turn, given: Order) -> None:
    needed = given.override and blockers(turn.state, turn.at)  # with all the proof there is nothing to override
    go_forward(turn, given.who, given.reason if needed else "")


def _pause(turn: Turn, given: Order) -> None:
    turn.say(ev.Paused(at=turn.at, who=given.who))


def _resume(turn: Turn, given: Order) -> None:
    for question in tuple(turn.state.questions.values()):
        answer = ev.QuestionAnswered(at=turn.at, metric=question.metric, who=given.who, answer=given.reason)
        turn.say(answer)
        turn.hold(FAILING + question.metric, question.text)
    turn.release(*(cause for cause in turn.state.holds if cause.startswith(RINGING)))
    if turn.state.paused_by:
        turn.say(ev.Resumed(at=turn.at, who=given.who))


def _rollback(turn: Turn, given: Order) -> None:
    state = turn.state
    if state.phase is Phase.ROLLED_BACK:
        if state.moved and state.observed and not state.superseded:
            turn.intend(0)  # somebody put traffic on the canary again
    elif state.phase in GOING_BACK:
        if state.intent is not None and state.intent.answered_at is not None:
            turn.intend(0)
    else:
        turn.roll_back(given.who, given.reason or "ordered by hand", asked_at=given.asked_at)


def _retry(turn: Turn, _given: Order) -> None:
    state = turn.state
    if state.phase in GOING_BACK:
        turn.intend(0)
        return
    turn.release("revision")
    if state.gate_expired:
        turn.release(EXPIRED)
        open_gate(turn)
    if state.rule is not None and state.holds.keys() & set(MISPLACED):
        turn.release(*MISPLACED)
        if state.phase is Phase.STAGE:
            turn.say(ev.StepEntered(at=turn.at, step=Step.SHIFT))
        turn.go_to(state.wanted_weight)
    for check in to_ask_again(state):
        turn.release(f"{FAILING}check {check.name}")
        turn.ask(check.list, check.name)


def _cancel(turn: Turn, given: Order) -> None:
    turn.say(ev.Cancelled(at=turn.at, who=given.who, reason=given.reason or f"cancelled by {given.who}"))


def _tick(turn: Turn, given: Order) -> None:
    turn.say(ev.ItemTicked(at=turn.at, item=given.item, who=given.who, note=given.reason))


def _untick(turn: Turn, given: Order) -> None:
    turn.say(ev.ItemUnticked(at=turn.at, item=given.item, who=given.who))
    if turn.state.phase is Phase.PREFLIGHT and turn.state.items[given.item].item.list == "pre":
        turn.void_approvals(f"{given.item} is open again")


def _waive(turn: Turn, given: Order) -> None:
    turn.say(ev.ItemWaived(at=turn.at, item=given.item, who=given.who, reason=given.reason))


def _note(turn: Turn, given: Order) -> None:
    turn.say(ev.Noted(at=turn.at, who=given.who, text=given.reason))


_ORDERS: dict[str, Callable[[Turn, Order], None]] = {
    "advance": _advance,
    "approve": _approve,
    "pause": _pause,
    "resume": _resume,
    "rollback": _rollback,
    "retry": _retry,
    "cancel": _cancel,
    "tick": _tick,
    "untick": _untick,
    "waive": _waive,
    "note": _note,
}

VERBS = tuple(_ORDERS)
