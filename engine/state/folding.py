"""Events become a state: the engine, the cockpit, reports and tests fold alike."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from engine import events as ev
from engine.state import ending, gate, people, stages, traffic, watch
from engine.state.folds import Folds
from engine.state.model import ItemState, State

FOLDS = Folds({**stages.FOLDS, **people.FOLDS, **gate.FOLDS, **traffic.FOLDS, **watch.FOLDS, **ending.FOLDS})


def created(event: ev.Created) -> State:
    """The state that a release begins with."""
    return State(
        release=event.release,
        service=event.service,
        summary=event.summary,
        target=event.target,
        plan_digest=event.plan_digest,
        canary_wanted=event.canary_wanted,
        who=event.who,
        rules=event.rules,
        manual_rollback=event.manual_rollback,
        created_at=event.at,
        where=event.where,
        entered_by=event.who,
        entered_at=event.at,
        step_at=event.at,
        items={item.id: ItemState(item) for item in event.rules.items},
    )


def fold(events: Iterable[ev.Event]) -> State | None:
    """The state after `events`, of which the first is `Created`; None when there are none."""
    iterator = iter(events)
    first = next(iterator, None)
    if first is None:
        return None
    if not isinstance(first, ev.Created):
        raise TypeError(f"a release begins with Created, not {type(first).__name__}")
    return reduce(apply, iterator, created(first))


def apply(state: State, event: ev.Event) -> State:
    """The state after one more event."""
    return FOLDS[type(event)](state, event)
