"""What the judge saw and said, and what holds a release because of it."""

from __future__ import annotations

from dataclasses import replace

from engine import events as ev
from engine.events import Step
from engine.judge.metric import Sample
from engine.state.folds import Folds, put, without
from engine.state.model import FAILING, MISPLACED, RINGING, Question, State

FOLDS = Folds()


@FOLDS.of(ev.Ticked)
def _ticked(state: State, event: ev.Ticked) -> State:
    blind = event.problem != ""
    exposed, harmed = _exposure(state, event.samples)
    in_place = event.weight is not None and event.weight == state.desired == state.observed
    warming = state.step is Step.WARMUP
    return replace(
        state,
        last_tick_at=event.at,
        proved_at=event.at if in_place and event.held and not blind and not state.pending else None,
        observed_at=event.at if state.observed_at is not None and event.weight == state.observed else state.observed_at,
        warmed_s=state.warmed_s + (event.good_s if warming else 0.0),
        baked_s=state.baked_s + (0.0 if warming else event.good_s),
        requests=event.requests,
        served=_served(state, event) if event.good_s and not warming else state.served,
        exposed=state.exposed + exposed,
        harmed=state.harmed + harmed,
        samples={sample.metric: sample for sample in event.samples} or state.samples,
        verdicts={verdict.metric: verdict for verdict in event.verdicts} or state.verdicts,
        source_problem=event.problem,
        blind_since=(state.blind_since or event.at) if blind else None,
    )


def _exposure(state: State, samples: tuple[Sample, ...]) -> tuple[float, float]:
    """Canary requests in these samples, and how many of them failed their users: whichever metric saw most."""
    kinds = {metric.name: metric.kind for metric in state.rules.metrics}
    counted = [(kinds[s.metric], s.canary) for s in samples if s.canary is not None and kinds[s.metric] != "gauge"]
    requests = max((counts.total for _, counts in counted), default=0.0)
    failed = max((counts.bad for kind, counts in counted if kind in ("bad", "good")), default=0.0)
    return requests, failed


def _served(state: State, event: ev.Ticked) -> tuple[float, float, float]:
    """With this look's requests: those of the metric that counts most on both sides."""
    kinds = {metric.name: metric.kind for metric in state.rules.metrics}
    both = [
        (sample.canary.total, sample.canary.total + sample.stable.total)
        for sample in event.samples
        if sample.canary is not None and sample.stable is not None and kinds.get(sample.metric) != "gauge"
    ]
    canary, total = max(both, key=lambda counted: counted[1], default=(0.0, 0.0))
    percent = state.share if state.share is not None else state.observed or 0.0
    served = state.served
    return served[0] + canary, served[1] + total, served[2] + total * percent / 100


@FOLDS.of(ev.VerdictChanged)
def _verdict_changed(state: State, event: ev.VerdictChanged) -> State:
    return replace(state, classes=put(state.classes, event.verdict.metric, event.verdict.outcome.value))


@FOLDS.of(ev.AlertRaised)
def _alert_raised(state: State, event: ev.AlertRaised) -> State:
    return replace(
        state,
        alerts=put(state.alerts, event.metric, event.reason),
        alert_since=put(state.alert_since, event.metric, event.at),
    )


@FOLDS.of(ev.AlertCleared)
def _alert_cleared(state: State, event: ev.AlertCleared) -> State:
    return replace(
        state,
        alerts=without(state.alerts, event.metric),
        alert_since=without(state.alert_since, event.metric),
    )


@FOLDS.of(ev.PastRead)
def _past_read(state: State, event: ev.PastRead) -> State:
    return replace(state, past_s=event.seconds, remarks=event.remarks)


@FOLDS.of(ev.Held)
def _held(state: State, event: ev.Held) -> State:
    return replace(state, holds=put(state.holds, event.cause, event.reason))


@FOLDS.of(ev.HoldReleased)
def _hold_released(state: State, event: ev.HoldReleased) -> State:
    # What fails again after it was well is asked about again.
    answered = state.answered - {event.cause.removeprefix(FAILING)}
    # Who waits on while an alert rings is asked again after as long; a weight that is tried again has its time again.
    since = {metric: event.at if event.cause == RINGING + metric else at for metric, at in state.alert_since.items()}
    step_at = event.at if event.cause in MISPLACED else state.step_at
    return replace(
        state, holds=without(state.holds, event.cause), answered=answered, alert_since=since, step_at=step_at
    )


@FOLDS.of(ev.Asked)
def _asked(state: State, event: ev.Asked) -> State:
    question = Question(event.metric, event.question, event.due)
    return replace(state, questions=put(state.questions, event.metric, question))


@FOLDS.of(ev.QuestionAnswered)
def _question_answered(state: State, event: ev.QuestionAnswered) -> State:
    # A question that the engine withdraws (the metric recovered) is asked again when it fails again.
    answered = state.answered if event.who == ev.ENGINE else state.answered | {event.metric}
    return replace(state, questions=without(state.questions, event.metric), answered=answered)
