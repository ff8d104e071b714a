"""The router was read: is a write in effect, did somebody else move the weight, does another version run?"""

from __future__ import annotations

from engine import events as ev
from engine.events import ENGINE, SCRIPT
from engine.inputs import Observation, Observed
from engine.release.aftermath import observed_after
from engine.release.going_back import observed_going_back
from engine.release.turn import QUICK_S, REWRITE_S, Turn
from engine.release.writing import anothers, hand, in_effect, may_raise
from engine.state import FORWARD, GOING_BACK, Intent, Phase, State, runs

BY_HAND = "somebody"  # who moved the weight, when the router can't tell


def observed(turn: Turn, given: Observed) -> None:
    """One reading of the router, or the news that it can't be read."""
    seen, state = given.seen, turn.state
    say_seen(turn, given)
    if seen is None:
        return
    if state.phase in GOING_BACK:
        observed_going_back(turn, given.begun, seen)
    elif _rolled_back_by_script(state, seen):
        turn.roll_back(SCRIPT, "rollback.sh was run by hand")
    elif state.phase in FORWARD:
        _observed_going_forward(turn, given.begun, seen)
    elif state.phase is Phase.ROLLED_BACK:
        observed_after(turn, given.begun, seen)
    elif state.keep_until is not None and not anothers(state, seen):
        _taken_back_by_hand(turn, seen)


def say_seen(turn: Turn, given: Observed) -> None:
    """Say what the router shows where that differs from what is known, or that it can't be read any more."""
    seen, state = given.seen, turn.state
    if seen is None:
        if state.router_problem != given.problem:
            turn.say(ev.RouterLost(at=turn.at, reason=given.problem))
    elif state.observed_at is None or state.router_problem or _differs(state, seen):
        _say_seen(turn, seen)


def _say_seen(turn: Turn, seen: Observation) -> None:
    turn.say(
        ev.WeightObserved(
            at=turn.at,
            weight=seen.weight,
            generation=seen.generation,
            mark=seen.mark,
            by=seen.by,
            canary_ready=seen.canary_ready,
            stable_ready=seen.stable_ready,
            share=seen.share,
            pending=seen.pending,
            hand=seen.hand,
            canary_asked=seen.canary_asked,
            full=seen.full,
            finished=seen.finished,
            remark=seen.remark,
        )
    )


_SHOWN = ("generation", "mark", "canary_ready", "stable_ready", "share", "pending", "hand", "canary_asked", "full",
          "finished", "remark")  # fmt: skip


def _differs(state: State, seen: Observation) -> bool:
    if (state.observed, state.marked_by) != (seen.weight, seen.by):
        return True
    return any(getattr(state, name) != getattr(seen, name) for name in _SHOWN)


def _rolled_back_by_script(state: State, seen: Observation) -> bool:
    way_back = state.phase in FORWARD or state.keep_until is not None
    return way_back and state.moved and seen.by == SCRIPT and seen.marked_release == state.release


def _observed_going_forward(turn: Turn, begun: float, seen: Observation) -> None:
    if _changed_revision(turn, seen):
        return
    state = turn.state
    if state.shifting:
        _observed_shift(turn, begun, seen)
    elif state.phase is Phase.PREFLIGHT:
        _observed_preflight(turn, seen)
    elif seen.weight == state.desired:
        turn.release("drift")
    else:
        _moved_by_hand(turn, seen)


# --- somebody else's hand


def _taken_back_by_hand(turn: Turn, seen: Observation) -> bool:
    """All traffic put on stable by somebody else is their roll back: carried through, never undone."""
    if seen.weight != 0 or seen.pending or not turn.state.moved:
        return False
    who = hand(turn.state, seen)
    turn.roll_back(who or BY_HAND, f"all traffic was put on stable by {who or 'hand'}: taken as a roll back")
    return True


def _moved_by_hand(turn: Turn, seen: Observation) -> None:
    """Somebody else moved the weight: to 0 it is their roll back, anything else is shown with who and asked about."""
    if _taken_back_by_hand(turn, seen):
        return
    state = turn.state
    direction = "lowered" if seen.weight < state.desired else "raised"
    what = f"the weight was {direction} by {hand(state, seen) or 'hand'}"
    turn.hold("drift", f"{what} from {state.desired}% to {seen.weight:g}%: roll back, or retry")


# --- before the first stage


def _observed_preflight(turn: Turn, seen: Observation) -> None:
    state = turn.state
    if seen.weight != 0:
        turn.hold("target", f"the canary's side carries {seen.weight:g}% of the traffic before the release began")
        return
    turn.release("target")
    if state.canary or not seen.canary or not seen.stable:
        return
    if state.canary_wanted and seen.canary != state.canary_wanted:
        return
    if seen.canary_ready == 0:  # None: the router can't tell, or nothing is there before its traffic comes
        _wake_canary(turn)
        return
    say_canary(turn, seen)


def say_canary(turn: Turn, seen: Observation) -> None:
    """From now on these two versions are the revision."""
    turn.say(
        ev.CanarySeen(
            at=turn.at,
            canary=seen.canary,
            stable=seen.stable,
            canary_build=seen.canary_build,
            stable_build=seen.stable_build,
            canary_workload=seen.canary_workload,
            stable_workload=seen.stable_workload,
        )
    )


def _wake_canary(turn: Turn) -> None:
    """A canary that stands at nothing is brought to the size of the first weight that it gets; a preview is tested at
    the size that serves."""
    state = turn.state
    if state.rules.scale == "proportional" and (state.capacity is None or turn.due_again(state.capacity)):
        turn.await_capacity(next(stage.weight for stage in state.rules.stages if stage.weight))


# --- a write under way


def _observed_shift(turn: Turn, begun: float, seen: Observation) -> None:
    """A write is not yet read back: is it now, is it to be written again, or did somebody else move the weight?"""
    state, intent = turn.state, turn.state.intent
    assert intent is not None
    if in_effect(intent, begun, seen):
        turn.say(ev.ShiftConfirmed(at=turn.at, number=intent.number, weight=seen.weight))
        turn.release("stuck", "drift")
    elif intent.to_stable:
        on_its_way = seen.weight == 0 and seen.pending  # written over again it would only begin anew
        if not on_its_way and intent.answered_at is not None and turn.at - intent.answered_at >= QUICK_S:
            turn.intend(intent.weight)
    elif seen.weight == intent.base and seen.generation == intent.generation:
        if _failed_since(intent, turn.at) >= REWRITE_S and may_raise(state, intent.weight, turn.at):
            turn.intend(intent.weight)
    elif seen.weight not in (intent.base, intent.weight):
        _moved_by_hand(turn, seen)


def _failed_since(intent: Intent, at: float) -> float:
    """Seconds since a write was answered with no; 0 for one that was not."""
    return 0.0 if intent.answered_at is None or intent.ok else at - intent.answered_at


# --- another version


def _changed_revision(turn: Turn, seen: Observation) -> bool:
    """Another version than the one judged: its proof is worth nothing, its traffic goes back to stable."""
    state = turn.state
    if not state.canary:
        return False
    was = {"canary": (state.canary, state.canary_build), "stable": (state.stable, state.stable_build)}
    now = {
        "canary": (seen.canary or state.canary, seen.canary_build or state.canary_build),
        "stable": (seen.stable or state.stable, seen.stable_build or state.stable_build),
    }
    finishing = state.phase is Phase.FINISHING and state.finishing is not None
    if finishing:
        now["stable"] = was["stable"]  # the new version is on its way there: that is the finish
    side = next((side for side in now if now[side] != was[side]), "")
    if not side:
        return False
    changed = f"{side} changed from {runs(*was[side])} to {runs(*now[side])} in mid-release"
    if finishing:
        turn.roll_back(ENGINE, f"{changed}, while the {state.rules.finish} was under way")
    else:
        _void_proof(turn, now["canary"], now["stable"], changed, seen)
    return True


def _void_proof(turn: Turn, canary: tuple[str, str], stable: tuple[str, str], changed: str, seen: Observation) -> None:
    was = turn.state
    turn.say(
        ev.RevisionChanged(
            at=turn.at, canary=canary[0], stable=stable[0], canary_build=canary[1], stable_build=stable[1]
        )
    )
    if was.desired or (was.moved and seen.weight):  # what somebody put there before the release is not ours to take
        turn.intend(0)
    turn.hold("revision", f"{changed}: all proof is void; retry begins anew")
