"""What stands between a release and its next step, and which orders are refused: pure questions about a state.

The state machine decides with them, and the cockpit dims its keys and explains itself with the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.approvals import EXPIRED, ago, awaited, contested, expired, expiry, missing, stage_name, standing, too_soon
from engine.capacity import short_of
from engine.checklist import checks_behind
from engine.events import CheckOutcome, Step
from engine.judge.share import disagreement
from engine.meanwhile import meant_for_another, over
from engine.state import FORWARD, GOING_BACK, MISPLACED, RINGING, CheckState, Phase, State, worst

EITHER_LEAST_S = 120.0  # with `until: either` a stage still bakes this long, if its bake is not shorter


def enough_bake(state: State) -> bool:
    """The stage has its time and its requests, as the plan's `until` says."""
    rule = state.rule
    if rule is None:
        return False
    timed, counted = state.baked_s >= rule.bake_s, state.requests >= rule.min_requests
    if state.rules.until == "both":
        return timed and counted
    return (timed or counted) and state.baked_s >= min(EITHER_LEAST_S, rule.bake_s)


def blockers(state: State, at: float, *, proof_only: bool = False) -> tuple[str, ...]:
    """Why the release may not go forward at `at`, most important first; empty when it may.

    With `proof_only` just what a bake must show: holds, questions, verdicts, and a router and source that are read.
    """
    if state.phase not in FORWARD:
        return (f"the release is {state.phase.value.replace('_', ' ')}",)
    return (*_unproven(state, at, proof_only=proof_only), *(() if proof_only else _people(state, at)))


def ready_but_people(state: State, at: float) -> bool:
    """Nothing stands in the way but people's word: the gate is reached."""
    return state.phase in FORWARD and not _unproven(state, at, proof_only=False)


def _people(state: State, at: float) -> list[str]:
    """Whom the release waits for: approvers at a gate, who paused it."""
    said = expiry(state) if expired(state, at) else awaited(state, at)
    found = [said] if said and EXPIRED not in state.holds else []
    return [*found, f"paused by {state.paused_by}"] if state.paused_by else found


def _unproven(state: State, at: float, *, proof_only: bool) -> list[str]:
    found = [*state.holds.values(), *(question.text for question in state.questions.values())]
    found += unready_route(state) or _stale_route(state, at) or _other_share(state)
    if state.way_back_problem and not proof_only:
        found.append(f"the way back was tried, and would fail: {state.way_back_problem}")
    if too_soon(state, at) and not proof_only:
        found.append(too_soon(state, at))
    if state.shifting:
        found.append(f"waits until {state.desired}% is in effect")
    if state.phase is Phase.PREFLIGHT:
        found += _unread_source(state, at) + _preflight(state)
    elif state.phase is Phase.STAGE:
        found += _awaited(state) + _unread_source(state, at) + _verdicts(state)
        if not proof_only:
            found += _stage(state)
        if not proof_only and not found and state.step is not Step.GATE:
            found.append("the stage's checks have not run yet")
    else:
        found += _awaited(state) + _unfinished(state) + _checks(state, "post")
    return found


def _awaited(state: State) -> list[str]:
    """The wanted weight is not written yet: a side is too small for it."""
    weight = state.wanted_weight
    if state.shifting or state.desired == weight:
        return []
    return [short_of(state, weight) or f"waits until {weight}% is written"]


def unproven(state: State, at: float) -> tuple[str, ...]:
    """What is missing for a stage to be proven, of a release that is only watched."""
    found = unready_route(state) or _stale_route(state, at) or _other_share(state)
    return (*found, *_unread_source(state, at), *_verdicts(state))


def finish_done(state: State) -> bool:
    """A copy or a handover that this release began is complete, and nothing of it is under way."""
    effort = state.finishing
    return state.finished and effort is not None and effort.answered_at is not None


def _unfinished(state: State) -> list[str]:
    """A copy or a handover is not complete."""
    if state.rules.finish == "swap" or finish_done(state):
        return []
    said = f": {state.finishing.detail}" if state.finishing is not None and state.finishing.detail else ""
    return [f"the {state.rules.finish} is not complete{said}"]


def _stale(state: State, read_at: float | None, at: float) -> bool:
    return read_at is None or at - read_at > 3 * state.rules.interval_s


def unready_route(state: State) -> list[str]:
    """Why nothing may be raised, by whatever order; empty when it may."""
    if state.router_problem:
        return [f"the router cannot be read: {state.router_problem}"]
    if state.observed_at is None:
        return ["the weight has not been read yet"]
    if state.pending and not state.shifting:
        return [f"what is written is not in effect everywhere: {state.pending}"]
    return ["nothing of the canary is ready"] if state.canary and state.canary_ready == 0 else []


def _other_share(state: State) -> list[str]:
    """The source counts another share of requests than the router shows."""
    if state.phase is not Phase.STAGE:
        return []
    found = disagreement(*state.served)
    return [found] if found else []


def _stale_route(state: State, at: float) -> list[str]:
    return ["the weight has not been read for a while"] if _stale(state, state.observed_at, at) else []


def _unread_source(state: State, at: float) -> list[str]:
    if state.source_problem:
        return [f"the source shows nothing: {state.source_problem}"]
    if state.moved and _stale(state, state.last_tick_at, at):
        return ["no samples have come for a while"]
    return []


def _preflight(state: State) -> list[str]:
    if not state.canary:
        wanted = f"canary {state.canary_wanted}" if state.canary_wanted else "a canary"
        return [f"waits until {wanted} is ready"]
    if state.canary_wanted and state.canary != state.canary_wanted:
        return [f"{state.canary} runs as canary, and this release is of {state.canary_wanted}"]
    found = ["stable's past is read first"] if state.past_s is None else []
    if state.raises_out:  # of the revision before: it may land yet
        found.append("an earlier write is not answered yet")
    found += _checks(state, "pre", settled=True)
    still_open = state.open_items("pre")
    if still_open:
        plural = "s" if len(still_open) > 1 else ""
        names = ", ".join(item.item.id for item in still_open)
        found.append(f"{len(still_open)} open pre item{plural}, to tick or waive: {names}")
    return found


def _verdicts(state: State) -> list[str]:
    silent = {metric.name for metric in state.rules.metrics if not metric.judged}
    watched = [verdict for name, verdict in state.verdicts.items() if name not in silent]
    if state.rule is not None and state.rule.weight == 0:
        return []  # a preview: nobody is served by it, so there is nothing to judge
    if not watched:
        return ["the judge has not looked yet"]
    unjudged = [metric.name for metric in state.rules.metrics if metric.judged and metric.name not in state.verdicts]
    if unjudged:
        return [f"the judge has said nothing of {', '.join(unjudged)}"]
    blocking = worst(watched)
    return [] if blocking is None else [blocking.reason]


def _stage(state: State) -> list[str]:
    rule = state.rule
    if rule is None:
        return []
    if not enough_bake(state):
        return [
            f"baked {state.baked_s:.0f} of {rule.bake_s:.0f} s, {state.requests:.0f} of {rule.min_requests} requests"
        ]
    return _checks(state, "stage")


def _checks(state: State, listed: str, *, settled: bool = False) -> list[str]:
    """What the checks of one list say against going on. `settled`: a waived item's check does not count."""
    waived = {
        name for item in state.items.values() if settled and item.mark == "waived" for name in checks_behind(item.item)
    }
    return [_check(check) for check in state.checks_of(listed) if check.outcome is not CheckOutcome.PASS
            and check.name not in waived]  # fmt: skip


def to_ask_again(state: State) -> tuple[CheckState, ...]:
    """The checks that `retry` asks once more: those in the way now that said no or could not run."""
    listed = {Phase.PREFLIGHT: "pre", Phase.STAGE: "stage", Phase.FINISHING: "post"}.get(state.phase, "")
    again = (CheckOutcome.FAIL, CheckOutcome.ERROR)
    return tuple(check for check in state.checks_of(listed) if check.outcome in again)


def _check(check: CheckState) -> str:
    if check.outcome is None:
        return f"check {check.name} is running"
    if check.outcome is CheckOutcome.ERROR:
        return f"check {check.name} could not run: {check.summary}"
    return f"check {check.name} said no: {check.summary}"


# --- orders


@dataclass(frozen=True, slots=True)
class _Asked:
    """An order under question."""

    state: State
    at: float
    stage: int | None
    revision: str | None
    item: str
    reason: str
    override: bool
    who: str


def refusal(
    state: State,
    verb: str,
    at: float,
    *,
    stage: int | None = None,
    revision: str | None = None,
    item: str = "",
    reason: str = "",
    override: bool = False,
    who: str = "",
) -> str:
    """Why this order is refused, in a sentence that says what to do instead; empty when it is accepted."""
    question = _QUESTIONS.get(verb)
    if question is None:
        return f"there is no order {verb!r}"
    if state.rules.watched and verb not in ON_WATCHED:
        return f"only watched: laneshift changes nothing here; by hand: {state.manual_rollback}"
    return question(_Asked(state, at, stage, revision, item, reason, override, who))


ON_WATCHED = ("cancel", "note", "tick", "untick", "waive")  # orders that a release takes which is only watched


def _stale_order(asked: _Asked) -> str:
    return meant_for_another(asked.state, asked.at, stage=asked.stage, revision=asked.revision)


def _past_its_stage(asked: _Asked, what: str) -> str:
    """Why something that is meant for one stage of one revision comes too late, or says neither."""
    if asked.state.phase not in (Phase.PREFLIGHT, Phase.STAGE):
        return over(asked.state, asked.at)
    if asked.stage is None or asked.revision is None:
        return f"{what} must say the stage and the revision that it is meant for"
    return _stale_order(asked)


def _advance(asked: _Asked) -> str:
    state = asked.state
    stale = _past_its_stage(asked, "an advance")
    if stale:
        return stale
    found = blockers(state, asked.at)
    if not found:
        return ""
    if not asked.override:
        return f"not yet: {'; '.join(found)}"
    return _override(asked)


def _override(asked: _Asked) -> str:
    state = asked.state
    if not asked.reason.strip():
        return "an override needs a reason: it is recorded"
    if state.phase is Phase.PREFLIGHT:
        return f"nothing overrides the checks before the release: {'; '.join(blockers(state, asked.at))}"
    if state.paused_by:
        return f"paused by {state.paused_by}: resume first"
    unready = unready_route(state)
    if unready:
        return f"{unready[0]}: an override can't mend that"
    misplaced = any(cause in state.holds for cause in MISPLACED)
    if misplaced or state.shifting or state.observed != state.desired or _awaited(state):
        return "the weight is not where this stage wants it: retry, or roll back; an override can't mend that"
    if expired(state, asked.at):
        return f"{expiry(state)}: retry opens it anew, an override does not"
    if missing(state):
        return f"an override answers for proof, never for people: {awaited(state, asked.at)}"
    return too_soon(state, asked.at)


def _approve(asked: _Asked) -> str:
    """An approval is of what is shown; before all is proven, or over something that fails, it says why."""
    state, gate = asked.state, asked.state.gate
    stale = _past_its_stage(asked, "an approval")
    if stale:
        return stale
    if gate is None or not gate.approvers:
        return f"no approval is asked for at {stage_name(state, state.stage)}"
    if expired(state, asked.at):
        return f"{expiry(state)}: retry opens it anew"
    before = next((said for said in standing(state) if said.who == asked.who), None)
    if before is not None:
        return f"{asked.who} approved {ago(asked.at - before.at)}: the second approval comes from another person"
    if not missing(state):
        return f"it has its approvals, of {' and '.join(said.who for said in standing(state))}: an advance goes on"
    return _early_approval(asked)


def _early_approval(asked: _Asked) -> str:
    state, found = asked.state, _unproven(asked.state, asked.at, proof_only=False)
    if state.phase is Phase.PREFLIGHT or state.step is Step.SHIFT:  # nothing overrides what is missing here
        return f"not yet: {'; '.join(found)}" if found else ""
    doubts = contested(state)
    if asked.reason.strip() or (state.step is Step.GATE and not doubts):
        return ""
    why = "; ".join(doubts) or f"{stage_name(state, state.stage)} is not at its gate yet"
    return f"{why}: an approval all the same needs a reason; it is recorded"


def _pause(asked: _Asked) -> str:
    if asked.state.phase not in FORWARD:
        return over(asked.state, asked.at)
    return f"already paused by {asked.state.paused_by}" if asked.state.paused_by else ""


def _resume(asked: _Asked) -> str:
    state = asked.state
    stale = _stale_order(asked)
    if stale:
        return stale
    if state.questions and not asked.reason.strip():
        return "to keep a failing canary where it is needs a reason: it is recorded"
    if not state.paused_by and not state.questions and not any(cause.startswith(RINGING) for cause in state.holds):
        return "nothing is paused"
    return ""


def _rollback(asked: _Asked) -> str:
    state = asked.state
    if state.phase is Phase.CANCELLED:
        return "cancelled before any traffic moved: there is nothing to roll back"
    if state.phase is Phase.PROMOTED and (state.keep_until is None or asked.at > state.keep_until):
        return f"the old side is not kept any more; this would be the command: {state.manual_rollback}"
    return ""


def _retry(asked: _Asked) -> str:
    state = asked.state
    if state.phase in GOING_BACK:
        return ""
    if state.phase not in FORWARD:
        return over(state, asked.at)
    stale = _stale_order(asked)
    if stale:
        return stale
    if any(cause in state.holds for cause in MISPLACED):
        lacking = [*unready_route(state), *_waits(state, asked.at)]
        return f"not yet: {lacking[0]}" if lacking else ""
    if to_ask_again(state) or "revision" in state.holds or state.gate_expired:
        return ""
    return "there is nothing to retry: no check failed, no shift is stuck"


def _waits(state: State, at: float) -> list[str]:
    """Why a raise tried again would only wait. Where it waits for capacity, to try again is to ask for the size."""
    if state.wanted_weight <= (state.observed or 0):
        return []
    if state.pending:
        return [f"what is written is not in effect everywhere: {state.pending}"]
    if too_soon(state, at):
        return [too_soon(state, at)]
    short = short_of(state, state.wanted_weight) if "capacity" not in state.holds else ""
    return [short] if short else []


def _cancel(asked: _Asked) -> str:
    state = asked.state
    if state.phase not in FORWARD:
        return over(state, asked.at)
    if state.rules.watched:
        return ""
    carries = state.phase is Phase.STAGE and bool(state.observed)
    return "traffic has moved: roll back instead" if state.moved or carries else ""


def _tick(asked: _Asked) -> str:
    return _stale_item(asked) or _unsettled(asked)


def _waive(asked: _Asked) -> str:
    if not asked.reason.strip():
        return "a waiver needs a reason: it is recorded"
    return _stale_item(asked) or _unsettled(asked)


def _untick(asked: _Asked) -> str:
    stale = _stale_item(asked)
    if stale:
        return stale
    return "" if asked.state.items[asked.item].settled else f"{asked.item} is open already"


def _stale_item(asked: _Asked) -> str:
    if asked.item not in asked.state.items:
        return f"there is no item {asked.item!r}; there are {', '.join(asked.state.items)}"
    if asked.state.phase is Phase.CANCELLED:
        return over(asked.state, asked.at)
    return _stale_order(asked)


def _unsettled(asked: _Asked) -> str:
    item = asked.state.items[asked.item]
    return f"{asked.item} is {item.mark} already, by {item.who}" if item.settled else ""


def _note(asked: _Asked) -> str:
    return "" if asked.reason.strip() else "a note needs words"


_QUESTIONS: dict[str, Callable[[_Asked], str]] = {
    "advance": _advance,
    "approve": _approve,
    "pause": _pause,
    "resume": _resume,
    "rollback": _rollback,
    "retry": _retry,
    "cancel": _cancel,
    "tick": _tick,
    "untick": _untick,
    "waive": _waive,
    "note": _note,
}
