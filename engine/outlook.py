"""What a release waits for, until when, what happens then, and which order acts: for cockpit and command line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.approvals import EXPIRED, missing, too_soon
from engine.capacity import short_of
from engine.events import Step
from engine.gates import (
    EITHER_LEAST_S,
    blockers,
    enough_bake,
    finish_done,
    refusal,
    to_ask_again,
    unproven,
    unready_route,
)
from engine.release.aftermath import PUT_BACK
from engine.state import FAILING, FINAL, GOING_BACK, MISPLACED, RINGING, Phase, State


@dataclass(frozen=True, slots=True)
class Outlook:
    """`waits_for` and `then` are sentences; `until` is a time in seconds since the epoch, None when it hangs on
    something else than time; `orders` are the verbs that help now, the most natural first."""

    waits_for: str
    then: str
    until: float | None = None
    orders: tuple[str, ...] = ()


def outlook(state: State, at: float) -> Outlook:
    """The next thing to happen, as seen at `at`."""
    found = _next(state, at)
    return replace(found, orders=tuple(verb for verb in found.orders if not _refused(state, verb, at)))


def _refused(state: State, verb: str, at: float) -> str:
    """Would the order be refused, whatever reason is given with it?"""
    item = next((item.item.id for item in state.open_items("pre")), "")
    return refusal(
        state, verb, at, stage=state.stage, revision=state.revision, item=item, reason="given", override=True
    )


def _next(state: State, at: float) -> Outlook:
    if state.phase in FINAL:
        return _ended(state, at)
    if state.phase in GOING_BACK:
        return _going_back(state)
    if state.rules.watched:
        return _watched(state, at)
    if state.questions:
        question = min(state.questions.values(), key=lambda asked: asked.due)
        return Outlook(question.text, "rolls back by itself", question.due, ("rollback", "resume"))
    if state.holds:
        return _held(state)
    if state.paused_by:
        return Outlook(f"paused by {state.paused_by}", "stands until it is resumed; still guarded", None, ("resume",))
    if state.phase is Phase.PREFLIGHT:
        return _preflight(state, at)
    if state.phase is Phase.FINISHING:
        return _finishing(state, at)
    return _stage(state, at)


def _watched(state: State, at: float) -> Outlook:
    """Of a release that something else drives: what it does is watched until it ends."""
    rule = state.rule
    if not state.canary:
        until = state.created_at + state.rules.wait_for_canary_s
        return Outlook("waits for a new version", "ends if none comes", until, ("cancel",))
    if rule is None:
        return Outlook("waits for traffic on the new version", "judged from then on", None, ("cancel",))
    would = [said for said in state.would if said.stage == state.stage]
    if would:
        verb = {"advance": "advanced", "rollback": "rolled back"}[would[-1].act]
        return Outlook(f"laneshift would have {verb}: {would[-1].reason}", "only watched", None, ("cancel",))
    left = max(0.0, rule.bake_s - state.baked_s) + max(0.0, rule.warmup_s - state.warmed_s)
    missing = unproven(state, at)
    return Outlook("; ".join(missing) or "bake", "only watched", at + left if left else None, ("cancel",))


def _ended(state: State, at: float) -> Outlook:
    if state.phase is Phase.PROMOTED and state.keep_until is not None and at <= state.keep_until:
        return Outlook("promoted; the old side is kept", "it is no way back any more", state.keep_until, ("rollback",))
    why = f": {state.ending}" if state.ending else ""
    ended = f"{state.phase.value.replace('_', ' ')}{why}"
    if state.phase is Phase.ROLLED_BACK and state.moved and state.observed and not state.superseded:
        return _disturbed(state, ended, at)
    effort = state.letting_go
    if effort is not None and effort.answered_at is not None and not effort.ok:
        ended += f"; what it held of the target could not be given back: {effort.detail}"
    elif effort is None and _holds_still(state):
        ended += "; what it held of the target is not given back yet"
    if state.guarded(at) and state.ended_at is not None:
        ended += "; guarded"
        return Outlook(ended, "traffic put on the canary is no longer taken back", state.ended_at + state.rules.guard_s)
    return Outlook(ended, "nothing more happens", None, ())


def _holds_still(state: State) -> bool:
    return state.rules.holds_target and state.keep_until is None


def _disturbed(state: State, ended: str, at: float) -> Outlook:
    """Traffic is on the canary again after a roll back."""
    who = f" by {state.hand}" if state.hand else ""
    said = f"{ended}; {state.observed:g}% were put on the canary again{who}"
    taken_back = state.guarded(at) and state.shifting and state.disturbed <= PUT_BACK
    then = "it is being taken back" if taken_back else "nobody takes it back"
    return Outlook(said, then, None, ("rollback",))


def _going_back(state: State) -> Outlook:
    assert state.rollback is not None
    limit = state.rollback.accepted + state.rules.budget_s
    if state.late:
        why = _not_back(state)
        late = f"{state.late}{f' ({why})' if why else ''}; by hand: {state.manual_rollback}"
        return Outlook(late, "it goes on trying", None, ("rollback",))
    if state.intent is None:
        said = _asked_for(state)
        return Outlook(
            f"nothing of stable is ready to take the traffic{said}", "it goes back at once", limit, ("rollback",)
        )
    said = _not_back(state)
    return Outlook(f"all traffic on stable, read twice{f' ({said})' if said else ''}", "rolled back", limit, ())


def _not_back(state: State) -> str:
    """Why a roll back is not done yet; empty when it is only on its way."""
    intent = state.intent
    refused = intent.detail if intent is not None and not intent.ok else ""
    out = "an earlier write is not answered yet" if state.raises_out else ""
    return refused or state.router_problem or state.pending or out


def _asked_for(state: State) -> str:
    """What became of the wish for another size."""
    effort = state.capacity
    if effort is None or not effort.detail:
        return ""
    return f" ({effort.detail})" if effort.ok else f" (refused: {effort.detail})"


def _held(state: State) -> Outlook:
    cause, reason = next(iter(state.holds.items()))
    orders = ["rollback"] if state.moved else []
    if cause in MISPLACED or cause in ("revision", EXPIRED) or _retry(state):
        orders.append("retry")
    if cause.startswith(RINGING):
        orders.append("resume")
    if cause.startswith(FAILING):
        orders.append("advance")  # with an override and a reason
    return Outlook(f"held: {reason}", "stands until somebody decides; still guarded", None, tuple(orders))


def _retry(state: State) -> tuple[str, ...]:
    return ("retry",) if to_ask_again(state) else ()


def _preflight(state: State, at: float) -> Outlook:
    if not state.canary:
        until = state.created_at + state.rules.wait_for_canary_s
        return Outlook(blockers(state, at)[-1], "cancelled if it does not come", until, ("cancel",))
    first = state.rules.stages[0].weight
    found = blockers(state, at)
    if found:
        waive = ("tick", "waive") if state.open_items("pre") else ()
        orders = (*_approve(state), *_retry(state), *waive, "cancel")
        return _at_gate(state, Outlook("; ".join(found), f"{first}%", None, orders))
    ready = Outlook("ready to start", f"{first}% of the traffic goes to the canary", None, ("advance", "cancel"))
    return _at_gate(state, ready)


def _approve(state: State) -> tuple[str, ...]:
    return ("approve",) if state.gate_at is not None and missing(state) else ()


def _at_gate(state: State, ahead: Outlook) -> Outlook:
    """What happens when nobody decides, where the gate expires: that has a time, what people do has none."""
    gate = state.gate
    if gate is None or state.gate_until is None:
        return ahead
    back = "rolls back" if state.stage >= 0 or state.moved else "is cancelled"
    then = back if gate.then == "rollback" else "is held"
    ready = "" if missing(state) else f": {ahead.then}"
    return replace(
        ahead, waits_for=f"{ahead.waits_for}{ready}", then=f"the gate expires: it {then}", until=state.gate_until
    )


def _stage(state: State, at: float) -> Outlook:
    rule, following = state.rule, state.next_weight
    assert rule is not None
    then = f"{following}%" if following is not None else "the release is finished"
    if state.step is Step.SHIFT:
        return _shift(state, at, "warmup")
    if state.step is Step.WARMUP:
        return Outlook("warmup, not judged yet", "bake", at + max(0.0, rule.warmup_s - state.warmed_s), ())
    if not enough_bake(state):
        return _baking(state, at, then)
    found = blockers(state, at)
    if found:
        return _at_gate(state, Outlook("; ".join(found), then, None, (*_approve(state), *_retry(state))))
    said = f"advance brings {then}" if following is not None else "advance finishes it"
    return _at_gate(state, Outlook("ready", said, None, ("advance",)))


def _shift(state: State, at: float, then: str) -> Outlook:
    """The wanted weight is under way, or waits for something before it is written."""
    weight = state.wanted_weight
    if state.shifting and too_soon(state, at):
        return Outlook(f"{state.desired}% in effect; {too_soon(state, at)}", then, state.raise_after, ())
    if state.shifting:
        said = f": {state.pending}" if state.pending else ""
        return Outlook(f"{state.desired}% in effect{said}", then, state.step_at + state.rules.converge_s, ())
    short = short_of(state, weight)
    if short:
        until = state.step_at + state.rules.capacity_s
        return Outlook(f"{short}{_asked_for(state)}", f"{weight}% is written; else it is held", until, ("cancel",))
    unready = unready_route(state)
    if not unready and too_soon(state, at):
        return Outlook(too_soon(state, at), f"{weight}% is written", state.raise_after, ("cancel",))
    return Outlook(unready[0] if unready else f"{weight}% is to be written", f"{weight}% is written", None, ("cancel",))


def _finishing(state: State, at: float) -> Outlook:
    if state.shifting or state.desired != state.wanted_weight:
        return _shift(state, at, f"the {state.rules.finish}" if state.rules.finish != "swap" else "the checks after it")
    if state.rules.finish != "swap" and not finish_done(state):
        effort = state.finishing
        said = f": {effort.detail}" if effort is not None and effort.detail else ""
        return Outlook(f"the {state.rules.finish} is under way{said}", "the checks after it", None, ("rollback",))
    found = blockers(state, at)
    return Outlook("; ".join(found) or "the checks after the release", "promoted", None, _retry(state))


def _baking(state: State, at: float, then: str) -> Outlook:
    rule = state.rule
    assert rule is not None
    trouble = state.router_problem or state.source_problem or state.pending
    if trouble:
        return Outlook(f"bake, which stands still: {trouble}", then, None, ())
    counted = state.requests >= rule.min_requests
    enough_s = min(EITHER_LEAST_S, rule.bake_s) if counted and state.rules.until == "either" else rule.bake_s
    left = max(0.0, enough_s - state.baked_s)
    if left:
        return Outlook("bake", then, at + left, ())
    missing = f"{state.requests:.0f} of {rule.min_requests} requests"
    return Outlook(f"enough requests: {missing}", then, _when_enough(state, at), ())


def _when_enough(state: State, at: float) -> float | None:
    """When the stage has its requests at the rate so far; None while none have come."""
    rule = state.rule
    assert rule is not None
    if not state.requests or not state.baked_s:
        return None
    return at + (rule.min_requests - state.requests) * state.baked_s / state.requests
