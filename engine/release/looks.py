"""The judge looked: what its verdicts lead to, how much of the time proves something, the stopwatch's late laps."""

from __future__ import annotations

from engine import events as ev
from engine.events import ENGINE, Step
from engine.inputs import Looked
from engine.judge.metric import Outcome, Sample, Threshold, Verdict
from engine.release.turn import Turn
from engine.state import FAILING, FORWARD, RINGING, Phase, State

ASK_S = 120.0  # an unanswered question rolls back after this


def looked(turn: Turn, given: Looked) -> None:
    """One look: counted, and acted on while the release goes forward."""
    state = turn.state
    turn.say(
        ev.Ticked(
            at=turn.at,
            good_s=_good_seconds(state, given),
            weight=given.weight,
            requests=_requests(state, given.verdicts),
            samples=given.samples,
            verdicts=given.verdicts,
            problem=given.problem,
            held=given.held,
        )
    )
    if state.rollback is not None:
        _laps(turn, state.last_tick_at, given.samples)
    if state.phase in FORWARD:
        _alerts(turn, given.verdicts)
        _verdicts(turn, given.verdicts)


def _requests(state: State, verdicts: tuple[Verdict, ...]) -> float:
    """Canary requests in this stage: what the metric that counts most has seen."""
    gauges = {metric.name for metric in state.rules.metrics if metric.kind == "gauge"}
    return max((v.canary.total for v in verdicts if v.metric not in gauges), default=state.requests)


def _good_seconds(state: State, given: Looked) -> float:
    """How much of the time since the last look proves something, at most two scrape intervals."""
    baking = state.phase in (Phase.STAGE, Phase.FINISHING) and state.step is not Step.SHIFT
    doubtful = given.problem or state.pending or not given.held
    if not baking or state.proved_at is None or doubtful or given.weight != state.desired:
        return 0.0
    return max(0.0, min(given.at - state.proved_at, 2 * state.rules.interval_s))


def _alerts(turn: Turn, verdicts: tuple[Verdict, ...]) -> None:
    for verdict in verdicts:
        ringing = verdict.metric in turn.state.alerts
        if verdict.alert and not ringing:
            turn.say(ev.AlertRaised(at=turn.at, metric=verdict.metric, reason=verdict.reason))
        elif ringing and not verdict.alert:
            turn.say(ev.AlertCleared(at=turn.at, metric=verdict.metric))
            turn.release(RINGING + verdict.metric)


def _verdicts(turn: Turn, verdicts: tuple[Verdict, ...]) -> None:
    silent = {metric.name for metric in turn.state.rules.metrics if not metric.judged}
    for verdict in verdicts:
        was = turn.state.classes.get(verdict.metric, "")
        if verdict.outcome.value != was and verdict.metric not in silent:
            turn.say(ev.VerdictChanged(at=turn.at, verdict=verdict, was=was))
            if verdict.outcome is Outcome.FAIL:
                turn.void_approvals(verdict.reason)
    for verdict in verdicts:
        if turn.state.phase not in FORWARD or verdict.metric in silent:
            continue
        if verdict.outcome is Outcome.FAIL:
            if _serves(turn.state):
                failed(turn, verdict.metric, verdict.reason)
        elif verdict.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE):  # not to be read is no recovery
            recovered(turn, verdict.metric, "it fails no more")


def _serves(state: State) -> bool:
    """Has the canary had traffic in this release, by laneshift or, in a preview, by somebody's hand?"""
    return state.moved or (state.phase is Phase.STAGE and bool(state.observed))


def recovered(turn: Turn, what: str, answer: str) -> None:
    """A metric or a check is well again: what stood still for it goes on."""
    turn.release(FAILING + what)
    if what in turn.state.questions:
        turn.say(ev.QuestionAnswered(at=turn.at, metric=what, who=ENGINE, answer=answer))


def failed(turn: Turn, what: str, reason: str) -> None:
    """A metric or a check fails: as the plan says, back, hold, or ask."""
    rules = turn.state.rules
    if rules.watched:
        turn.would("rollback", reason, what)
        return
    policy = rules.on_fail_of.get(what, rules.on_fail)
    if policy == "rollback":
        turn.roll_back(ENGINE, reason, metric=what)
    elif policy == "hold" or what in turn.state.answered:
        if FAILING + what not in turn.state.holds:
            turn.hold(FAILING + what, reason)
    elif what not in turn.state.questions:
        turn.say(ev.Asked(at=turn.at, metric=what, question=f"{reason}: roll back?", due=turn.at + ASK_S))


def _laps(turn: Turn, last_tick_at: float | None, samples: tuple[Sample, ...]) -> None:
    """The stopwatch's late laps: the last request that the canary answered, and the errors gone."""
    watch = turn.state.rollback
    assert watch is not None
    kinds = {metric.name: metric for metric in turn.state.rules.metrics}
    counted = [sample for sample in samples if kinds[sample.metric].kind != "gauge" and sample.stable is not None]
    if watch.observed is None or not counted:
        return
    if any(s.canary and s.canary.total for s in counted):
        return  # somebody was still served by the canary
    if watch.last_canary_request is None:
        when = max(watch.accepted, last_tick_at or watch.observed)
        turn.say(ev.LapRecorded(at=turn.at, lap="last_canary_request", when=when))
    if watch.recovered is None and all(_inside(kinds[s.metric].thresholds, s) for s in counted):
        turn.say(ev.LapRecorded(at=turn.at, lap="recovered", when=turn.at))


def _inside(thresholds: tuple[Threshold, ...], sample: Sample) -> bool:
    """Stable, which has all the traffic now, is inside the metric's absolute lines in this interval."""
    if sample.stable is None or sample.stable.value is None:
        return True
    value = sample.stable.value
    return all(t.relative or (value <= t.limit if t.above else value >= t.limit) for t in thresholds)
