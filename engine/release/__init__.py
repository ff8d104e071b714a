"""The release state machine: `decide(state, input) -> events`. Pure: no I/O, no clock, no randomness.

Every input carries its time. What follows from an input is a list of events; `engine.state.apply` folds them. The
controller records the events first and then does what the intents among them say (`ShiftIntended`, `ChecksStarted`,
`CapacityAwaited`, `FinishIntended`, `LetGoIntended`).

    state            input                                 outcome
    ---------------  ------------------------------------  ------------------------------------------------------
    preflight        canary ready at the wanted version    both versions become the revision; the pre checks start
                     the canary stands at no replicas      brought to the size of its first weight, where laneshift
                                                           scales
                     not there within wait_for_canary      cancelled
                     the route carries canary traffic      held until it does not
                     advance, with all pre items settled   stage 1: a raise is intended
                     nothing but people is missing         the gate is reached, its time runs (as after a stage's
                                                           checks); a gate that says rollback cancels when it expires
    before traffic   cancel                                cancelled: in preflight, in a preview, while waiting
    moved
    stage: shift     a side too small for the weight       waits, and asks for the size where laneshift scales; held
                                                           as capacity after capacity_s, until both sides carry it
                     both sides carry it                   the raise is intended, unless held, paused or pending
                     weight read back as intended          warmup
                     the weight of a preview, 0            warmup; nothing is written, no verdicts are needed
                     the weight is still what it was       a raise that failed is written again, unless held
                     nothing of both within converge       held: stuck; `retry` writes again
                     shown, but pending                    not in effect, no bake: stuck after converge
    stage, finish    somebody else's 0                     their roll back, carried through
                     any other weight                      held: drift, with who; never undone by itself
    stage: warmup    good time is enough                   bake
    stage: bake      good time and requests are enough,
                     every verdict passes                  the stage's checks start
    stage: checks    a no                                  asked once more; a second no fails as a metric does
                     cannot run                            stands until `retry`
                     the answer to an earlier question     nothing
                     all yes                               gate
    stage: gate      advance, nothing in the way           the next stage, or finishing after the last
                     the source counts another share of    in the way, as is a way back that was tried and fails
                     requests than the router shows
                     approvals are missing                 in the way, of an override too; with auto the last one
                                                           lets the release go on
                     not decided in time, paused or not    held as gate until retry opens it anew, or rolls back
    any stage        a metric or check turns bad           what was approved is void
                     advance with override and reason      the next stage, proof or not; never over a weight unread or
                                                           not yet written; what fails on is held or asked about anew
    finishing        with a holdback                       the last raise, to 100
                     copy, handover                        intended, and again every few seconds until it is seen to
                                                           be complete; stable's version may change then
                     another canary in mid-copy            rolls back
                     post checks say yes, the weight read  promoted; the old side is kept for keep_old
    promoted         somebody else's 0 within keep_old     their roll back, carried through
                     keep_old is over, or the next release
                     begins on this target                 the old side is no way back any more
    forward states   an alert neither proven nor over      held after 5 minutes: roll back, or resume to wait on
                     a metric fails                        rolls back, or holds, or asks and rolls back unanswered
                     nothing can be read for blind.after   holds, or rolls back
                     another version runs                  weight to 0, all proof void, preflight, held
                     the mark of rollback.sh               rolls back; a promoted release within keep_old too
                     pause / resume                        stops advancing, and nothing else
    nearly any       roll back                             rolling back: stable's weight is written at once, and again
                                                           every second until it is in effect; stable's size beside it
    rolling back     nothing of stable ready               waits for it, unless a copy or handover has begun
                     two observations of 0, not pending,
                     begun after the answer, and no raise
                     nor step of a finish unanswered       rolled back
                     past budget / hard limit              said loudly / rollback_failed; it goes on trying
    rolled back      somebody puts traffic on the canary   put back three times within guard_s, then only said; not
                     again                                 what the next release on this target does
                     roll back                             written again if the canary has traffic
    any end          what was held of the target           given back after keep_old or drain_s, and with nothing under
                                                           way, tried again while that fails; the canary goes to
                                                           nothing after a roll back, where the plan says so and
                                                           nobody put traffic on it
                     the next release on this target       nothing is guarded or given back any more
    watched only     something else moves the traffic      followed: the stage whose weight is reached
                     proven, or failing                    what laneshift would have done is recorded, once a stage
                     all traffic on stable again           rolled back, by whoever did it
                     the new version is stable, or 100%
                     of the traffic is on it, proven       promoted
    any              another engine takes over             nothing is raised before the weight is read; an unfinished
                                                           write of stable's weight is repeated at once; nothing is
                                                           raised while the engine before may still write
                     an order of who may not               refused; a roll back with a reason breaks the glass
                     an order meant for another moment     refused, with what happened meanwhile

A bake is a sum: each look adds at most two scrape intervals, and only while the weight read is the weight wanted and in
effect everywhere, both sides can be read and the release is held by an engine, at this look and since the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import events as ev
from engine.events import Event
from engine.inputs import (
    Answered,
    Checked,
    Clock,
    FinishTried,
    Input,
    JournalSlow,
    LetGo,
    Looked,
    Observed,
    Order,
    PastLearned,
    Rehearsed,
    Scaled,
    SupersedeOld,
    Took,
)
from engine.release import answers, forward, watched
from engine.release.aftermath import LET_GO_TRIES, give_back
from engine.release.going_back import pursue_rollback
from engine.release.looks import looked
from engine.release.orders import VERBS, ordered
from engine.release.sightings import observed
from engine.release.turn import Turn
from engine.state import FINAL, FORWARD, GOING_BACK, Phase, State

__all__ = ["LET_GO_TRIES", "VERBS", "decide"]


def decide(state: State, given: Input) -> list[Event]:
    """The events that follow from one input, in order."""
    turn = Turn(state, given.at)
    if state.rules.watched and isinstance(given, Observed):
        watched.observed(turn, given)
    else:
        _HANDLERS[type(given)](turn, given)
    if state.rules.watched:
        watched.go_on(turn)
    else:
        _go_on(turn)
    return turn.events


def _go_on(turn: Turn) -> None:
    """What follows by itself, now that this is known and so late."""
    if turn.state.phase in FORWARD:
        forward.withstand(turn)
    if turn.state.phase is Phase.PREFLIGHT:
        forward.preflight(turn)
    elif turn.state.phase is Phase.STAGE:
        forward.stage(turn)
    if turn.state.phase is Phase.FINISHING:
        forward.finish(turn)
    if turn.state.phase in GOING_BACK:
        pursue_rollback(turn)
    keep_until = turn.state.keep_until
    if keep_until is not None and turn.at > keep_until:
        turn.say(ev.OldSideReleased(at=turn.at, reason="kept as long as the plan says"))
    if turn.state.phase in FINAL:
        give_back(turn)


def _clock(_turn: Turn, _given: Clock) -> None:
    """Only `_go_on` has something to do."""


_HANDLERS: dict[type[Input], Callable[[Turn, Any], None]] = {
    Took: answers.took,
    Order: ordered,
    Observed: observed,
    Looked: looked,
    Answered: answers.answered,
    Scaled: answers.scaled,
    FinishTried: answers.finish_tried,
    LetGo: answers.let_go,
    Rehearsed: answers.rehearsed,
    Checked: answers.checked,
    Clock: _clock,
    JournalSlow: answers.journal_slow,
    SupersedeOld: answers.supersede_old,
    PastLearned: answers.past_learned,
}
