"""The three lists of a release, and what ticks each item without a person.

An item's `proof` names its evidence:

    check:NAME     the check of that name says yes; with several, all of them
    stage:N        stage N (0-based) ended with its proof
    metrics:A,B    these metrics passed when the last stage ended, and none of them rings
    answers        every metric has shown a value for stable, those of the canary's pods one for the canary
    ended          the last stage's checks said yes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine import events as ev
from engine.events import ENGINE, CheckOutcome, Item, StageRule
from engine.judge.metric import Metric, Outcome
from engine.state import ItemState, Phase, State
from engine.vitals import OF_PODS

PRE = (
    ("regression", "full regression suite passes"),
    ("smoke", "smoke tests pass"),
    ("performance", "performance tests show no degradation (below 5%)"),
    ("security", "security scanning completes (no new CVEs)"),
    ("migration", "database migration tested and reversible (if any)"),
    ("rollback-tested", "rollback tested in staging"),
    ("flags", "feature flags tested on and off"),
    ("dashboards", "dashboards ready (metrics defined, alerts set)"),
)
CHECK = "check:"
POST = (
    ("integrity", "data integrity checks pass (no orphans, no corruption)"),
    ("journeys", "critical user journeys work end to end"),
    ("cache", "cache is warm"),
    ("infrastructure", "no alert on infrastructure metrics"),
    ("postmortem", "blameless postmortem if there was an incident"),
    ("learned", "what went well and what to improve is written down"),
    ("cleanup", "cleanup scheduled (flags, old code, temporary monitoring)"),
)


def default_items(stages: tuple[StageRule, ...], metrics: tuple[Metric, ...]) -> tuple[Item, ...]:
    """The default checklist for these stages and metrics: 24 items with four stages."""
    pre = [Item(name, "pre", text, ("answers",) if name == "dashboards" else ()) for name, text in PRE]
    post = [Item(name, "post", text) for name, text in POST]
    return (*pre, *_during(stages, metrics), *post)


def _during(stages: tuple[StageRule, ...], metrics: tuple[Metric, ...]) -> Iterator[Item]:
    moves = [_stage_item(number, rule, number == len(stages) - 1) for number, rule in enumerate(stages)]
    judged = [metric for metric in metrics if metric.judged]
    yield moves[0]
    yield _metrics_item("errors", "error rate within threshold (below 2x baseline)", judged, "bad")
    yield _metrics_item("latency", "response times within threshold (p95 below 1.5x baseline)", judged, "latency")
    yield _metrics_item("business", "business metrics healthy", judged, "good")
    yield Item("support", "during", "no spike in support tickets or complaints")
    yield from moves[1:]
    yield Item("smoke-after", "during", "smoke tests after deployment pass", ("ended",))


def _stage_item(number: int, rule: StageRule, last: bool) -> Item:
    text = (
        f"start at {rule.weight}% and watch {_minutes(rule.bake_s)}"
        if number == 0
        else f"{rule.weight}%, watched again"
    )
    if last and number:
        text = f"{rule.weight}%, watched for {_minutes(rule.bake_s)}"
    return Item(f"stage-{rule.weight}", "during", text, (f"stage:{number}",))


def _minutes(seconds: float) -> str:
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f}+ minutes" if seconds >= 60 else f"{seconds:.0f}+ seconds"


def _metrics_item(name: str, text: str, metrics: list[Metric], kind: str) -> Item:
    names = ",".join(metric.name for metric in metrics if metric.kind == kind)
    return Item(name, "during", text, (f"metrics:{names}",) if names else ())


def with_proofs(items: Iterable[Item], ticks: Iterable[tuple[str, str]]) -> tuple[Item, ...]:
    """The items, with those that checks tick bound to these. `ticks`: (item, check) pairs."""
    by: dict[str, tuple[str, ...]] = {}
    for item, check in ticks:
        by[item] = (*by.get(item, ()), CHECK + check)
    return tuple(Item(i.id, i.list, i.text, by.get(i.id, i.proof)) for i in items)


def checks_behind(item: Item) -> frozenset[str]:
    """The names of the checks that tick it."""
    return frozenset(proof.removeprefix(CHECK) for proof in item.proof if proof.startswith(CHECK))


def proofs(before: State, event: ev.Event, after: State) -> Iterator[ev.Event]:
    """The ticks that follow from one event, each with its evidence in words."""
    for item in after.items.values():
        if item.settled or item.who or not item.item.proof:
            continue  # what a person unticked, a person ticks again
        evidence = _evidence(item, before, event, after)
        if evidence:
            yield ev.ItemTicked(at=event.at, item=item.item.id, who=ENGINE, evidence=evidence)


def _evidence(item: ItemState, before: State, event: ev.Event, after: State) -> str:
    kind, _, name = item.item.proof[0].partition(":")
    if kind == "check" and isinstance(event, ev.CheckFinished):
        return _checks_evidence(item.item, event, after)
    if kind == "answers" and isinstance(event, ev.Ticked):
        return _answers(after)
    left = _stage_left(before, event)
    if left is None:
        return ""
    if kind == "stage" and left == int(name):
        return _stage_evidence(before)
    if kind == "metrics" and after.phase is Phase.FINISHING:
        return _metric_evidence(before, name.split(","))
    if kind == "ended" and after.phase is Phase.FINISHING:
        return "; ".join(f"{check.name}: {check.summary}" for check in before.checks_of("stage"))
    return ""


def _checks_evidence(item: Item, event: ev.CheckFinished, state: State) -> str:
    names = checks_behind(item)
    passed = [c for c in state.checks.values() if c.name in names and c.outcome is CheckOutcome.PASS]
    if event.name not in names or names != {check.name for check in passed}:
        return ""
    return "; ".join(check.summary for check in passed)


def _stage_left(before: State, event: ev.Event) -> int | None:
    """The stage that this event ends with its proof (an override proves nothing)."""
    if isinstance(event, ev.StageEntered | ev.FinishStarted) and not event.override and before.phase is Phase.STAGE:
        return before.stage
    return None


def _answers(state: State) -> str:
    watched = [metric for metric in state.rules.metrics if metric.judged]
    if not watched:
        return ""
    for metric in watched:
        sample = state.samples.get(metric.name)
        if sample is None or sample.problem:
            return ""
        seen = sample.canary if metric.name in OF_PODS else sample.stable
        if seen is None or seen.value is None:
            return ""
    lines = sum(len(metric.thresholds) for metric in watched)
    return f"{len(watched)} metrics answer, {lines} lines set"


def _stage_evidence(state: State) -> str:
    verdicts = [verdict for verdict in state.verdicts.values() if verdict.outcome is Outcome.PASS]
    return f"baked {state.baked_s:.0f} s, {state.requests:.0f} requests, {len(verdicts)} verdicts pass"


def _metric_evidence(state: State, names: list[str]) -> str:
    verdicts = [state.verdicts[name] for name in names if name in state.verdicts]
    quiet = not any(name in state.alerts for name in names)
    healthy = quiet and len(verdicts) == len(names) and all(verdict.outcome is Outcome.PASS for verdict in verdicts)
    return "; ".join(verdict.reason for verdict in verdicts) if healthy else ""


def not_applicable(migration: str, flags: tuple[str, ...], items: Iterable[Item]) -> dict[str, str]:
    """Items that the plan itself makes pointless, with the reason."""
    reasons = {}
    if migration == "none":
        reasons["migration"] = "the plan says migration: none"
    if not flags:
        reasons["flags"] = "the plan names no flags"
    there = {item.id for item in items}
    return {name: reason for name, reason in reasons.items() if name in there}
