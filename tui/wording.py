"""Every event of a release as a sentence, for the cockpit's log and for the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from engine import events as ev
from engine.events import CheckOutcome, Event
from engine.judge.metric import Outcome
from engine.state import State

Tone = Literal["", "dim", "good", "warn", "bad"]

_ANSWERS = {CheckOutcome.PASS: "says yes", CheckOutcome.FAIL: "says no", CheckOutcome.ERROR: "could not run"}
_STEPS = {
    ev.Step.SHIFT: "traffic shifts",
    ev.Step.WARMUP: "warmup, not judged yet",
    ev.Step.BAKE: "bakes",
    ev.Step.CHECKS: "its checks run",
    ev.Step.GATE: "ready, at the gate",
}
_LAPS = {"last_canary_request": "the canary answered its last request", "recovered": "errors are back to normal"}

_WOULD = {"advance": "advanced", "rollback": "rolled back"}

_SAY: dict[type[Event], Callable[[Any, State], str]] = {
    ev.Created: lambda e, _s: f"{e.who} created release {e.release} of {e.service}" + _because(e.summary),
    ev.EngineTook: lambda e, _s: f"{e.engine or 'an engine'} holds the release (epoch {e.epoch})",
    ev.JournalLate: lambda e, _s: f"the journal does not answer, the record is kept aside: {e.reason}",
    ev.CanarySeen: lambda e, _s: f"canary {e.canary} is there, stable is {e.stable}",
    ev.PastRead: lambda e, _s: _past(e),
    ev.RevisionChanged: lambda e, _s: f"another version runs now: canary {e.canary}, stable {e.stable}; proof is void",
    ev.OrderAccepted: lambda e, _s: f"{e.who} ordered {_verb(e.verb)}" + _because(e.reason),
    ev.OrderRefused: lambda e, _s: f"{_verb(e.verb)} of {e.who} refused: {e.why}",
    ev.GlassBroken: lambda e, _s: f"GLASS BROKEN by {e.who}{_from(e.where)}: {e.reason}",
    ev.GateReached: lambda e, s: f"{_stage(e.stage, s)}: at its gate" + _until_approved(s),
    ev.Approved: lambda e, s: f"{_stage(e.stage, s)} approved by {e.who}{_from(e.where)}" + _until_approved(s),
    ev.ApprovalsVoided: lambda e, _s: f"approvals are void: {e.reason}",
    ev.GateExpired: lambda e, _s: e.reason,
    ev.Paused: lambda e, _s: f"paused by {e.who}; still guarded",
    ev.Resumed: lambda e, _s: f"resumed by {e.who}",
    ev.Noted: lambda e, _s: f"{e.who}: {e.text}",
    ev.ItemTicked: lambda e, _s: f"{e.item} ticked by {e.who}" + _because(e.evidence or e.note),
    ev.ItemUnticked: lambda e, _s: f"{e.item} unticked by {e.who}",
    ev.ItemWaived: lambda e, _s: f"{e.item} waived by {e.who}: {e.reason}",
    ev.ItemNotApplicable: lambda e, _s: f"{e.item} does not apply: {e.reason}",
    ev.ChecksStarted: lambda e, _s: f"checks started: {', '.join(e.names)}" + (" (again)" if e.attempt > 1 else ""),
    ev.CheckFinished: lambda e, _s: f"check {e.name} {_ANSWERS[e.outcome]}" + _because(e.summary),
    ev.StageEntered: lambda e, s: f"{_stage(e.stage, s)} entered by {e.who}" + _override(e.override),
    ev.StepEntered: lambda e, s: f"{_stage(s.stage, s)}: {_STEPS[e.step]}",
    ev.ShiftIntended: lambda e, _s: f"writes weight {e.weight}%" + ("" if e.base is None else f" (now {e.base:g}%)"),
    ev.ShiftAnswered: lambda e, _s: ("the write was answered" if e.ok else "the write failed") + _because(e.detail),
    ev.ShiftConfirmed: lambda e, _s: f"{e.weight:g}% is in effect",
    ev.WeightObserved: lambda e, _s: f"the router shows {e.weight:g}%" + _ready(e) + (f", by {e.by}" if e.by else ""),
    ev.CapacityAwaited: lambda e, _s: _capacity(e),
    ev.ScaleAnswered: lambda e, _s: ("asked for another size" if e.ok else "scaling failed") + _because(e.detail),
    ev.WayBackTried: lambda e, _s: ("the way back was tried" if e.ok else "THE WAY BACK FAILS") + _because(e.detail),
    ev.WeightFollowed: lambda e, _s: f"{e.weight}% on the canary, by {e.who}",
    ev.WouldHave: lambda e, _s: f"laneshift would have {_WOULD[e.act]}: {e.reason}",
    ev.RouterLost: lambda e, _s: f"the router cannot be read: {e.reason}",
    ev.Ticked: lambda e, _s: f"looked: {e.requests:,.0f} canary requests in this stage" + _because(e.problem),
    ev.VerdictChanged: lambda e, _s: f"{e.verdict.metric} {_outcome(e.verdict.outcome.value)}" + _was(e),
    ev.AlertRaised: lambda e, _s: f"ALERT {e.metric}: {e.reason}",
    ev.AlertCleared: lambda e, _s: f"alert of {e.metric} is over",
    ev.Held: lambda e, _s: f"held: {e.reason}",
    ev.HoldReleased: lambda e, _s: f"no longer held for {e.cause}",
    ev.Asked: lambda e, _s: e.question,
    ev.QuestionAnswered: lambda e, _s: f"{e.who} answered for {e.metric}: {e.answer}",
    ev.RollbackStarted: lambda e, _s: f"ROLLING BACK, by {e.who}: {e.reason}",
    ev.RollbackSeen: lambda _e, _s: "all traffic seen on stable",
    ev.RollbackLate: lambda e, _s: ("ROLLBACK FAILED: " if e.failed else "the rollback is late: ") + e.reason,
    ev.LapRecorded: lambda e, _s: _LAPS.get(e.lap, e.lap),
    ev.RolledBack: lambda _e, s: f"rolled back: all traffic is on stable {s.stable}".rstrip(),
    ev.FinishStarted: lambda e, _s: f"finishing, by {e.who}" + _override(e.override),
    ev.FinishIntended: lambda _e, s: f"the {s.rules.finish} goes on",
    ev.FinishAnswered: lambda e, s: (f"the {s.rules.finish}" + ("" if e.ok else " failed")) + _because(e.detail),
    ev.LetGoIntended: lambda _e, _s: "gives back what it held of the target",
    ev.LetGoAnswered: lambda e, _s: ("given back" if e.ok else "could not be given back") + _because(e.detail),
    ev.Disturbed: lambda e, _s: _disturbed(e),
    ev.Superseded: lambda e, _s: f"{e.by} has the target now",
    ev.Promoted: lambda _e, s: f"promoted: {s.canary} serves all traffic; the old side is kept",
    ev.OldSideReleased: lambda e, _s: f"the old side is no way back any more: {e.reason}",
    ev.Cancelled: lambda e, _s: f"cancelled by {e.who}: {e.reason}",
}

_TONES: dict[type[Event], Tone] = {
    ev.JournalLate: "bad",
    ev.RevisionChanged: "bad",
    ev.OrderRefused: "warn",
    ev.GlassBroken: "bad",
    ev.Approved: "good",
    ev.ApprovalsVoided: "warn",
    ev.GateExpired: "warn",
    ev.ItemWaived: "warn",
    ev.ShiftConfirmed: "good",
    ev.RouterLost: "bad",
    ev.AlertRaised: "warn",
    ev.Held: "warn",
    ev.Asked: "warn",
    ev.RollbackStarted: "bad",
    ev.RollbackLate: "bad",
    ev.RolledBack: "good",
    ev.Disturbed: "bad",
    ev.Promoted: "good",
}

# What another line of the log says too, or what happens at every look.
_QUIET = (
    ev.Ticked,
    ev.OrderAccepted,
    ev.GateExpired,
    ev.WeightObserved,
    ev.RollbackSeen,
    ev.ChecksStarted,
    ev.FinishIntended,
    ev.LetGoIntended,
)
_ANSWERED = (ev.ShiftAnswered, ev.ScaleAnswered, ev.FinishAnswered, ev.WayBackTried)  # said only when the answer is no


def sentence(event: Event, state: State) -> str:
    """What happened, in words; `state` is the release after it."""
    return _SAY[type(event)](event, state)


def tone(event: Event) -> Tone:
    """How it matters: a role for its line."""
    if isinstance(event, ev.CheckFinished):
        return "" if event.outcome is CheckOutcome.PASS else "bad"
    if isinstance(event, (*_ANSWERED, ev.LetGoAnswered)):
        return "" if event.ok and not isinstance(event, ev.ShiftAnswered) else "bad"
    if isinstance(event, ev.VerdictChanged):
        return {"pass": "good", "fail": "bad"}.get(event.verdict.outcome.value, "")  # type: ignore[return-value]  # a dict of literals
    return _TONES.get(type(event), "")


def noteworthy(event: Event) -> bool:
    """Does a line of a short log say it?"""
    if isinstance(event, _ANSWERED):
        return not event.ok
    if isinstance(event, ev.VerdictChanged):  # every stage begins with too few data and ends with a pass
        return event.was == "pass" or event.verdict.outcome in (Outcome.FAIL, Outcome.ERROR)
    return not isinstance(event, _QUIET)


def _verb(verb: str) -> str:
    return "roll back" if verb == "rollback" else verb


def _past(event: ev.PastRead) -> str:
    if not event.seconds:
        return "the source keeps no past: the judge learns stable's usual values from now on"
    return f"the judge has seen {event.seconds:,.0f} s of stable's past" + _because("; ".join(event.remarks))


def _capacity(event: ev.CapacityAwaited) -> str:
    if event.weight == 0:
        return "stable is scaled to carry all traffic"
    return f"both sides are to carry {event.weight}%" + (": they are scaled" if event.scale else "")


def _disturbed(event: ev.Disturbed) -> str:
    who = event.hand or "somebody"
    then = "taken back" if event.put_back else "not taken back any more: look into it"
    return f"{who} put {event.weight:g}% on the canary after the roll back, time {event.times}: {then}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _from(where: str) -> str:
    return f" from {where}" if where else ""


def _until_approved(state: State) -> str:
    """How many approvals are there, of how many."""
    needed = state.gate.approvers if state.gate is not None else 0
    return f", {len(state.approvals)} of {needed} approvals" if needed else ""


def _override(reason: str) -> str:
    return f", without proof: {reason}" if reason else ""


def _ready(event: ev.WeightObserved) -> str:
    if event.canary_ready is None and event.stable_ready is None:
        return ""
    shown = ["?" if ready is None else str(ready) for ready in (event.canary_ready, event.stable_ready)]
    return f", ready: canary {shown[0]}, stable {shown[1]}"


def _stage(stage: int, state: State) -> str:
    if stage < 0:
        return "before the first stage"
    rules = state.rules.stages
    return f"stage {stage + 1}" + (f" ({rules[stage].weight}%)" if stage < len(rules) else "")


def _outcome(outcome: str) -> str:
    return outcome.replace("_", " ")


def _was(event: ev.VerdictChanged) -> str:
    was = f" (was {_outcome(event.was)})" if event.was else ""
    return f"{was}: {event.verdict.reason}"
