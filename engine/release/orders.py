"""What people order: refused in a sentence, or done."""

from __future__ import annotations

from collections.abc import Callable

from engine import events as ev
from engine.events import Step
from engine.gates import blockers, refusal, to_ask_again
from engine.inputs import Order
from engine.release.forward import go_forward
from engine.release.turn import Turn
from engine.state import FAILING, GOING_BACK, MISPLACED, RINGING, Phase


def ordered(turn: Turn, given: Order) -> None:
    """A person's order; one that comes again with its id is nothing."""
    if given.id in turn.state.orders:
        return  # a repeat: accepted once
    why = refusal(
        turn.state,
        given.verb,
        turn.at,
        stage=given.stage,
        revision=given.revision,
        item=given.item,
        reason=given.reason,
        override=given.override,
    )
    if why:
        turn.say(ev.OrderRefused(at=turn.at, order=given.id, verb=given.verb, who=given.who, why=why))
        return
    turn.say(ev.OrderAccepted(at=turn.at, order=given.id, verb=given.verb, who=given.who, reason=given.reason))
    _ORDERS[given.verb](turn, given)


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


def _waive(turn: Turn, given: Order) -> None:
    turn.say(ev.ItemWaived(at=turn.at, item=given.item, who=given.who, reason=given.reason))


def _note(turn: Turn, given: Order) -> None:
    turn.say(ev.Noted(at=turn.at, who=given.who, text=given.reason))


_ORDERS: dict[str, Callable[[Turn, Order], None]] = {
    "advance": _advance,
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
