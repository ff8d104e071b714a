"""The way back: stable's weight is written at once and until it is proven, whatever else is broken."""

from __future__ import annotations

from engine import events as ev
from engine.capacity import short_of
from engine.inputs import Observation
from engine.release.turn import HASTE_S, QUICK_S, REWRITE_S, SLOW_S, Turn
from engine.release.writing import written
from engine.state import Phase


def observed_going_back(turn: Turn, begun: float, seen: Observation) -> None:
    """A reading begun after the write's answer proves it, or shows that it was lost."""
    intent = turn.state.intent
    if intent is None or intent.answered_at is None or not intent.ok or begun <= intent.answered_at:
        return
    if written(intent, seen):
        turn.say(ev.RollbackSeen(at=turn.at, begun=begun))
    elif not (seen.weight == 0 and seen.pending) and turn.at - intent.answered_at >= REWRITE_S:
        turn.intend(0)  # answered as done, and it is not


def pursue_rollback(turn: Turn) -> None:
    """What a roll back does by itself as time passes."""
    state = turn.state
    if state.rollback_sightings >= 2 and not state.raises_out:
        turn.say(ev.RolledBack(at=turn.at))
        return
    _write_stable(turn)
    _size_stable(turn)
    _notice_late(turn)


def _write_stable(turn: Turn) -> None:
    """Stable's weight at once, and again while the answer is missing or no."""
    state, intent, watch = turn.state, turn.state.intent, turn.state.rollback
    assert watch is not None
    if intent is None:
        # With nothing of stable ready all users would get errors: wait for it. Not once a copy or a handover has
        # begun: stable's old version only comes back by the write.
        if state.stable_ready != 0 or state.finishing is not None:
            turn.intend(0)
        return
    pause = QUICK_S if turn.at - watch.accepted < HASTE_S else SLOW_S
    if intent.answered_at is not None and not intent.ok and turn.at - intent.answered_at >= pause:
        turn.intend(0)


def _size_stable(turn: Turn) -> None:
    """Stable's size beside the write, asked for again while it is not there."""
    effort = turn.state.capacity
    if effort is not None and (not effort.ok or short_of(turn.state, 0)) and turn.due_again(effort):
        turn.await_capacity(0)


def _notice_late(turn: Turn) -> None:
    state, watch = turn.state, turn.state.rollback
    assert watch is not None
    waited = turn.at - watch.accepted
    limit, budget = state.rules.hard_limit_s, state.rules.budget_s
    if waited >= limit and state.phase is Phase.ROLLING_BACK:
        turn.say(ev.RollbackLate(at=turn.at, failed=True, reason=f"not in effect after {limit:.0f} s; still trying"))
    elif waited >= budget and not state.late:
        turn.say(ev.RollbackLate(at=turn.at, failed=False, reason=f"not in effect within its budget of {budget:.0f} s"))
