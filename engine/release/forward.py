"""What a release does by itself on its way forward, as time passes and proof comes in."""

from __future__ import annotations

from engine import events as ev
from engine.approvals import EXPIRED, expiry
from engine.capacity import short_of
from engine.events import ENGINE, CheckList, CheckOutcome, Step
from engine.gates import blockers, enough_bake, finish_done, ready_but_people
from engine.release.looks import ASK_S
from engine.release.turn import AGAIN_S, Turn
from engine.release.writing import may_raise
from engine.state import FAILING, RINGING, Effort, Phase, State

DECIDE_S = 300.0  # an alert that is neither proven nor over by then asks a person, and again after as long


def withstand(turn: Turn) -> None:
    """Unanswered questions and blindness: a release that is not guarded does not just stand there."""
    expire_gate(turn)
    state = turn.state
    for question in state.questions.values():
        if turn.at >= question.due:
            turn.roll_back(ENGINE, f"unanswered for {ASK_S:.0f} s: {question.text}", metric=question.metric)
            return
    for metric, since in state.alert_since.items():
        if turn.at - since >= DECIDE_S and RINGING + metric not in state.holds:
            rung = f"{metric} rings for {DECIDE_S / 60:.0f} min, not proven and not over"
            turn.hold(RINGING + metric, f"{rung}: roll back, or resume to wait on")
    _withstand_blindness(turn)


def expire_gate(turn: Turn) -> None:
    """Nobody decided in time at the gate: whatever else holds the release, its time is up."""
    state, gate = turn.state, turn.state.gate
    if gate is None or state.gate_until is None or turn.at < state.gate_until:
        return
    reason = expiry(state)
    turn.say(ev.GateExpired(at=turn.at, stage=state.stage, then=gate.then, reason=reason))
    if gate.then == "hold":
        otherwise = "roll back" if state.moved else "cancel"
        turn.hold(EXPIRED, f"{reason}: retry opens it anew, or {otherwise}")
    elif state.phase is Phase.PREFLIGHT and not state.moved:
        turn.say(ev.Cancelled(at=turn.at, who=ENGINE, reason=reason))
    else:
        turn.roll_back(ENGINE, reason)


def _reach_gate(turn: Turn) -> None:
    """All the proof is there: from now on it is people's turn, and their time runs."""
    if turn.state.gate is not None and turn.state.gate_at is None:
        open_gate(turn)


def open_gate(turn: Turn) -> None:
    """The time to decide begins, for the first time or anew."""
    gate = turn.state.gate
    expires_s = gate.expires_s if gate is not None else None
    until = None if expires_s is None else turn.at + expires_s
    turn.say(ev.GateReached(at=turn.at, stage=turn.state.stage, until=until))


def _withstand_blindness(turn: Turn) -> None:
    state, rules = turn.state, turn.state.rules
    if state.blind_since is None:
        turn.release("blind")
    elif state.moved and turn.at - state.blind_since >= rules.blind_after_s:
        reason = f"nothing can be read for {rules.blind_after_s:.0f} s: {state.source_problem}"
        if rules.blind_then == "rollback":
            turn.roll_back(ENGINE, reason, metric="blind")
        elif "blind" not in state.holds:
            turn.hold("blind", reason)


def go_forward(turn: Turn, who: str, override: str = "") -> None:
    """The next stage, or the finish after the last; `override` is the reason when proof is missing."""
    if override:
        _take_responsibility(turn, who, override)
    state = turn.state
    if state.next_weight is None:
        turn.say(ev.FinishStarted(at=turn.at, who=who, override=override))
    else:
        turn.say(ev.StageEntered(at=turn.at, stage=state.stage + 1, who=who, override=override))
    if turn.state.wanted_weight != state.desired:
        turn.go_to(turn.state.wanted_weight)


def _take_responsibility(turn: Turn, who: str, reason: str) -> None:
    """An override answers for what fails in this stage; what fails on in the next is held or asked about anew."""
    for metric in tuple(turn.state.questions):
        turn.say(ev.QuestionAnswered(at=turn.at, metric=metric, who=who, answer=reason))
    turn.release(*(cause for cause in turn.state.holds if cause.startswith(FAILING)))


# --- before the first stage


def preflight(turn: Turn) -> None:
    """Wait for the canary; then the checks before the release, and the first stage where nobody has to be asked."""
    state = turn.state
    if not state.canary:
        looked = state.observed_at is not None or state.router_problem
        if looked and turn.at - state.created_at >= state.rules.wait_for_canary_s:
            wanted = state.canary_wanted or "a canary"
            waited = f"{wanted} was not ready within {state.rules.wait_for_canary_s:.0f} s"
            turn.say(ev.Cancelled(at=turn.at, who=ENGINE, reason=waited))
        return
    if "revision" in state.holds or state.shifting:
        return
    _start_missing_checks(turn, "pre")
    if ready_but_people(turn.state, turn.at):
        _reach_gate(turn)
    if state.rules.auto_advance and not blockers(turn.state, turn.at):
        go_forward(turn, ENGINE)


def _start_missing_checks(turn: Turn, listed: CheckList) -> None:
    names = turn.state.rules.checks.get(listed, ())
    missing = [name for name in names if turn.state.check(listed, name) is None]
    if missing:
        turn.ask(listed, *missing)


# --- a stage


def stage(turn: Turn) -> None:
    """From step to step: shift, warmup, bake, checks, gate."""
    rule = turn.state.rule
    assert rule is not None
    if turn.state.step is Step.SHIFT:
        _bring_about(turn)
        if _in_place(turn.state):
            turn.say(ev.StepEntered(at=turn.at, step=Step.WARMUP))
    else:
        _keep_size(turn)
    if turn.state.step is Step.WARMUP and turn.state.warmed_s >= rule.warmup_s:
        turn.say(ev.StepEntered(at=turn.at, step=Step.BAKE))
    if turn.state.step is Step.BAKE and enough_bake(turn.state) and not blockers(turn.state, turn.at, proof_only=True):
        turn.say(ev.StepEntered(at=turn.at, step=Step.CHECKS))
    if turn.state.step is Step.CHECKS:
        _start_missing_checks(turn, "stage")
        if all(check.outcome is CheckOutcome.PASS for check in turn.state.checks_of("stage")):
            turn.say(ev.StepEntered(at=turn.at, step=Step.GATE))
    if turn.state.step is Step.GATE:
        _reach_gate(turn)
    if turn.state.step is Step.GATE and turn.state.rules.auto_advance and not blockers(turn.state, turn.at):
        go_forward(turn, ENGINE)


def _in_place(state: State) -> bool:
    """The wanted weight is written and was read; a preview has nothing to write."""
    weight = state.wanted_weight
    return not state.shifting and state.desired == weight and weight in (0, state.observed)


def _bring_about(turn: Turn) -> None:
    """The wanted weight is not in effect: under way, waiting for capacity, or lost with a damaged journal."""
    state, weight = turn.state, turn.state.wanted_weight
    if state.shifting:
        _notice_stuck(turn)
    elif state.desired == weight:
        return  # written once; if somebody moved it since, that is said already
    elif state.capacity is not None and state.capacity.weight == weight:
        _await_capacity(turn, weight, state.capacity)
    else:
        turn.hold("stuck", f"the shift to {weight}% was never recorded: retry, or roll back")


def _await_capacity(turn: Turn, weight: int, effort: Effort) -> None:
    """The next weight is written once both sides carry it; after `capacity_s` that is somebody's question."""
    state = turn.state
    short = short_of(state, weight)
    if not short:
        turn.release("capacity")
        if may_raise(turn.state, weight, turn.at) and state.observed == state.desired:
            turn.intend(weight)
        return
    if turn.due_again(effort):
        turn.await_capacity(weight)
    if turn.at - state.step_at >= state.rules.capacity_s and "capacity" not in state.holds:
        said = f"; {effort.detail}" if effort.detail and not effort.ok else ""
        turn.hold("capacity", f"{short}, for {state.rules.capacity_s:.0f} s{said}: retry, or roll back")


def _keep_size(turn: Turn) -> None:
    """A size that was refused is asked for again: stable is the way back."""
    effort = turn.state.capacity
    if effort is not None and effort.answered_at is not None and not effort.ok and turn.due_again(effort):
        turn.await_capacity(effort.weight)


def _notice_stuck(turn: Turn) -> None:
    state = turn.state
    since = max(state.step_at, state.raise_after)  # it could not be written again before
    if not state.holds and turn.at - since >= state.rules.converge_s:
        turn.hold("stuck", _why_stuck(state))


def _why_stuck(state: State) -> str:
    intent = state.intent
    seen = "the router cannot be read" if state.router_problem else f"it shows {state.observed or 0:g}%"
    also = state.pending or short_of(state, state.desired)
    said = f"; the write was answered: {intent.detail}" if intent is not None and intent.detail else ""
    why = f"{seen}, {also}" if also else seen
    return f"{state.desired}% was not in effect within {state.rules.converge_s:.0f} s: {why}{said}"


# --- the finish


def finish(turn: Turn) -> None:
    """The last weight, the copy or handover, the checks after the release; then it is promoted."""
    state = turn.state
    if not _in_place(state):
        _bring_about(turn)
        return
    if state.rules.finish != "swap" and not finish_done(state):
        if _wants_finish(state, turn.at):
            turn.say(ev.FinishIntended(at=turn.at, number=f"{state.epoch}.{state.intents + 1}"))
        return
    _start_missing_checks(turn, "post")
    if not blockers(turn.state, turn.at):
        turn.say(ev.Promoted(at=turn.at, keep_until=turn.at + turn.state.rules.keep_old_s))


def _wants_finish(state: State, at: float) -> bool:
    """Begun, or carried on, by an engine that has read the weight; never while something stands in its way."""
    stands = state.holds or state.questions or state.paused_by or state.router_problem or state.observed_at is None
    stands = stands or at < state.raise_after
    effort = state.finishing
    answered = effort is None or (effort.answered_at is not None and at - effort.answered_at >= AGAIN_S)
    return answered and not stands
