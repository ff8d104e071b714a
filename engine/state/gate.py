"""Gates: reached, approved by people, expired."""

from __future__ import annotations

from dataclasses import replace

from engine import events as ev
from engine.state.folds import Folds
from engine.state.model import Approval, State

FOLDS = Folds()


@FOLDS.of(ev.GateReached)
def _gate_reached(state: State, event: ev.GateReached) -> State:
    return replace(state, gate_at=event.at, gate_until=event.until, gate_expired=False)


@FOLDS.of(ev.Approved)
def _approved(state: State, event: ev.Approved) -> State:
    return replace(state, approvals=(*state.approvals, Approval(event.who, event.at, event.stage, event.revision)))


@FOLDS.of(ev.ApprovalsVoided)
def _approvals_voided(state: State, _event: ev.ApprovalsVoided) -> State:
    return replace(state, approvals=())


@FOLDS.of(ev.GateExpired)
def _gate_expired(state: State, _event: ev.GateExpired) -> State:
    return replace(state, approvals=(), gate_until=None, gate_expired=True)


def without_gate(state: State) -> State:
    """The gate is behind the release, with all that was said at it."""
    return replace(state, approvals=(), gate_at=None, gate_until=None, gate_expired=False)
