"""What people ordered, the checklist and the checks."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from engine import events as ev
from engine.events import CheckOutcome
from engine.state.folds import Folds, put
from engine.state.model import CheckState, ItemState, State, check_key

FOLDS = Folds()


REFUSALS_KEPT = 1000  # a repeat of one of so many last refused orders is answered as it was the first time


@FOLDS.of(ev.Noted, ev.GlassBroken)
def _unchanged(state: State, _event: ev.Noted | ev.GlassBroken) -> State:
    return state


@FOLDS.of(ev.OrderAccepted)
def _order_accepted(state: State, event: ev.OrderAccepted) -> State:
    return replace(state, orders=state.orders | {event.order})


@FOLDS.of(ev.OrderRefused)
def _order_refused(state: State, event: ev.OrderRefused) -> State:
    kept = dict(islice(state.refused.items(), max(0, len(state.refused) + 1 - REFUSALS_KEPT), None))
    return replace(state, refused=put(kept, event.order, event.why))


@FOLDS.of(ev.Paused)
def _paused(state: State, event: ev.Paused) -> State:
    return replace(state, paused_by=event.who)


@FOLDS.of(ev.Resumed)
def _resumed(state: State, _event: ev.Resumed) -> State:
    return replace(state, paused_by="")


@FOLDS.of(ev.ItemTicked)
def _item_ticked(state: State, event: ev.ItemTicked) -> State:
    item = state.items[event.item].item
    ticked = ItemState(item, "done", event.who, event.at, event.note, event.evidence)
    return replace(state, items=put(state.items, event.item, ticked))


@FOLDS.of(ev.ItemUnticked)
def _item_unticked(state: State, event: ev.ItemUnticked) -> State:
    reopened = ItemState(state.items[event.item].item, who=event.who, at=event.at)
    return replace(state, items=put(state.items, event.item, reopened))


@FOLDS.of(ev.ItemWaived)
def _item_waived(state: State, event: ev.ItemWaived) -> State:
    waived = ItemState(state.items[event.item].item, "waived", event.who, event.at, event.reason)
    return replace(state, items=put(state.items, event.item, waived))


@FOLDS.of(ev.ItemNotApplicable)
def _item_not_applicable(state: State, event: ev.ItemNotApplicable) -> State:
    unneeded = ItemState(state.items[event.item].item, "n/a", ev.ENGINE, event.at, evidence=event.reason)
    return replace(state, items=put(state.items, event.item, unneeded))


@FOLDS.of(ev.ChecksStarted)
def _checks_started(state: State, event: ev.ChecksStarted) -> State:
    started = {check_key(event.list, name): _started(state, event, name) for name in event.names}
    attempts = dict.fromkeys(started, event.attempt)
    return replace(state, checks={**state.checks, **started}, attempts={**state.attempts, **attempts})


def _started(state: State, event: ev.ChecksStarted, name: str) -> CheckState:
    before = state.check(event.list, name)
    if before is None:
        again = False
    elif before.attempt == event.attempt:  # the same question, by the next engine
        again = before.again
    else:
        again = before.outcome is CheckOutcome.FAIL and not before.again
    return CheckState(event.list, name, event.attempt, again)


@FOLDS.of(ev.CheckFinished)
def _check_finished(state: State, event: ev.CheckFinished) -> State:
    key = check_key(event.list, event.name)
    done = replace(state.checks[key], outcome=event.outcome, summary=event.summary, evidence=event.evidence)
    return replace(state, checks=put(state.checks, key, done))
