"""What a release waits for, until when, what happens then, and which order acts: for cockpit and command line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.events import Step
from engine.gates import EITHER_LEAST_S, MISPLACED, blockers, enough_bake, refusal, to_ask_again
from engine.state import FAILING, FINAL, GOING_BACK, RINGING, Phase, State


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
        return Outlook(
            "; ".join(blockers(state, at)) or "the checks after the release", "promoted", None, _retry(state)
        )
    return _stage(state, at)


def _ended(state: State, at: float) -> Outlook:
    if state.phase is Phase.PROMOTED and state.keep_until is not None and at <= state.keep_until:
        return Outlook("promoted; the old side is kept", "it is no way back any more", state.keep_until, ("rollback",))
    why = f": {state.ending}" if state.ending else ""
    return Outlook(f"{state.phase.value.replace('_', ' ')}{why}", "nothing more happens", None, ())


def _going_back(state: State) -> Outlook:
    assert state.rollback is not None
    limit = state.rollback.accepted + state.rules.budget_s
    if state.late:
        return Outlook(f"{state.late}; by hand: {state.manual_rollback}", "it goes on trying", None, ("rollback",))
    if state.intent is None:
        return Outlook("nothing of stable is ready to take the traffic", "it goes back at once", limit, ("rollback",))
    said = "" if state.intent.ok or not state.intent.detail else f" ({state.intent.detail})"
    return Outlook(f"all traffic on stable, read twice{said}", "rolled back", limit, ())


def _held(state: State) -> Outlook:
    cause, reason = next(iter(state.holds.items()))
    orders = ["rollback"] if state.moved else []
    if cause in MISPLACED or cause == "revision" or _retry(state):
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
        return Outlook("; ".join(found), f"then {first}%", None, (*_retry(state), *waive, "cancel"))
    return Outlook("ready to start", f"{first}% of the traffic goes to the canary", None, ("advance", "cancel"))


def _stage(state: State, at: float) -> Outlook:
    rule, following = state.rule, state.next_weight
    assert rule is not None
    then = f"{following}%" if following is not None else "the release is finished"
    if state.step is Step.SHIFT:
        return Outlook(f"{state.desired}% in effect", "warmup", state.step_at + state.rules.converge_s, ())
    if state.step is Step.WARMUP:
        return Outlook("warmup, not judged yet", "bake", at + max(0.0, rule.warmup_s - state.warmed_s), ())
    if not enough_bake(state):
        return _baking(state, at, then)
    found = blockers(state, at)
    if found:
        return Outlook("; ".join(found), then, None, _retry(state))
    return Outlook(
        "ready", f"advance brings {then}" if following is not None else "advance finishes it", None, ("advance",)
    )


def _baking(state: State, at: float, then: str) -> Outlook:
    rule = state.rule
    assert rule is not None
    trouble = state.router_problem or state.source_problem
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
