"""A release that something else drives, a Rollout, a Canary or a person: judged like any other, and never touched.

The stage is that of the plan whose weight is reached; what laneshift would have done, and when, is recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine import events as ev
from engine.events import ENGINE, Step
from engine.gates import enough_bake, unproven
from engine.inputs import Observation, Observed
from engine.release.sightings import say_canary, say_seen
from engine.release.turn import Turn
from engine.state import FINAL, Phase, State, runs

OWNER = "its owner"  # who moved the traffic, when the router can't tell
_OF_A_SIDE = ("", "_build", "_workload", "_ready")


def observed(turn: Turn, given: Observed) -> None:
    """One reading of what something else moves."""
    seen = _as_released(turn.state, given.seen)
    say_seen(turn, replace(given, seen=seen))
    if seen is None or turn.state.phase in FINAL:
        return
    if not turn.state.canary:
        _look_for_canary(turn, seen)
    elif _finished(turn.state, seen):
        if turn.state.desired != 100:
            _follow(turn, seen)
        _end_well(turn, f"{_who(seen)} finished it")
    elif seen.canary and (seen.canary, seen.canary_build) != (turn.state.canary, turn.state.canary_build):
        _give_up(turn, f"{runs(seen.canary, seen.canary_build)} took the canary's place", seen)
    elif not (seen.canary or seen.remark or turn.state.moved):
        _give_up(turn, f"{turn.state.canary} was taken away before it had traffic", seen)
    elif seen.weight == 0 and turn.state.moved and not seen.pending:
        _end_badly(turn, given.begun, seen)
    elif seen.weight != turn.state.desired:
        _follow(turn, seen)


def _as_released(state: State, seen: Observation | None) -> Observation | None:
    """The reading with this release's sides: its canary may be stable by now, and an update that is undone on its way
    shows the old version as the new."""
    if seen is None or not state.canary:
        return seen
    if seen.canary_build and (seen.canary_build, seen.stable_build) == (state.stable_build, state.canary_build):
        share = None if seen.share is None else 100 - seen.share
        back = seen.remark or f"{_who(seen)} takes {state.canary} back"
        return replace(seen, weight=100 - seen.weight, share=share, remark=back, vitals={}, **_exchanged(seen))
    return replace(seen, weight=100.0, share=None) if _finished(state, seen) else seen


def _exchanged(seen: Observation) -> dict[str, Any]:
    """Each side's values under the other's name."""
    sides = (("canary", "stable"), ("stable", "canary"))
    return {f"{one}{part}": getattr(seen, f"{other}{part}") for one, other in sides for part in _OF_A_SIDE}


def _give_up(turn: Turn, reason: str, seen: Observation) -> None:
    turn.say(ev.Cancelled(at=turn.at, who=_who(seen), reason=reason))


def _who(seen: Observation) -> str:
    return seen.hand or seen.by or OWNER


def _look_for_canary(turn: Turn, seen: Observation) -> None:
    new = (seen.canary, seen.canary_build) != (seen.stable, seen.stable_build)
    wanted = turn.state.canary_wanted
    if not (seen.canary and seen.stable and new and seen.canary_ready) or (wanted and seen.canary != wanted):
        return
    say_canary(turn, seen)


def _finished(state: State, seen: Observation) -> bool:
    """The new version is what its owner calls stable now."""
    return (seen.stable, seen.stable_build) == (state.canary, state.canary_build) or seen.finished


def _follow(turn: Turn, seen: Observation) -> None:
    state, weight = turn.state, round(seen.weight)
    reached = max((number for number, rule in enumerate(state.rules.stages) if rule.weight <= weight), default=0)
    if weight and (state.phase is Phase.PREFLIGHT or reached != state.stage):
        turn.say(ev.StageEntered(at=turn.at, stage=reached, who=_who(seen)))
        turn.say(ev.StepEntered(at=turn.at, step=Step.WARMUP))
    turn.say(ev.WeightFollowed(at=turn.at, weight=weight, who=_who(seen)))


def _end_badly(turn: Turn, begun: float, seen: Observation) -> None:
    turn.say(
        ev.RollbackStarted(
            at=turn.at, asked_at=turn.at, who=_who(seen), reason=f"all traffic is on stable again, by {_who(seen)}"
        )
    )
    turn.say(ev.RollbackSeen(at=turn.at, begun=begun))
    turn.say(ev.RolledBack(at=turn.at))


def _end_well(turn: Turn, reason: str) -> None:
    turn.say(ev.Promoted(at=turn.at, keep_until=turn.at))
    turn.say(ev.OldSideReleased(at=turn.at, reason=f"only watched: {reason}"))


def go_on(turn: Turn) -> None:
    """What follows by itself: the steps of a stage, what laneshift would do now, and the end of watching."""
    state, rule = turn.state, turn.state.rule
    if state.phase is Phase.PREFLIGHT and not state.canary and state.observed_at is not None:
        if turn.at - state.created_at >= state.rules.wait_for_canary_s:
            nothing = f"no new version came within {state.rules.wait_for_canary_s:.0f} s: nothing to watch"
            turn.say(ev.Cancelled(at=turn.at, who=ENGINE, reason=nothing))
        return
    if state.phase is not Phase.STAGE or rule is None:
        return
    if turn.state.step is Step.WARMUP and turn.state.warmed_s >= rule.warmup_s:
        turn.say(ev.StepEntered(at=turn.at, step=Step.BAKE))
    proven = enough_bake(turn.state) and not unproven(turn.state, turn.at)
    if turn.state.step is Step.BAKE and proven:
        turn.say(ev.StepEntered(at=turn.at, step=Step.GATE))
        turn.would("advance", f"{rule.weight}% is proven: {turn.state.requests:.0f} requests in {state.baked_s:.0f} s")
        if state.desired == 100:
            _end_well(turn, "all traffic is on the new version, and it is proven")
