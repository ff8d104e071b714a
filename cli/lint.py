"""`laneshift lint PLAN`: is the plan valid, what would happen, and is it wise?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.lint_traffic import proof_data, proof_text, traffic_of
from engine.advice import Advice, advise
from engine.past.traffic import advise_on, outlooks
from engine.plan.gate import Gate
from engine.plan.metrics import MetricForm
from engine.plan.model import Plan, read_plan
from engine.plan.problem import PlanError, printable
from engine.plan.units import show_duration, show_threshold

INVALID = 2
WAYS_ON = {"manual": "then an operator advances", "auto": "then the engine advances"}
ON_FAIL = {"rollback": "roll back", "hold": "hold and say so", "ask": "ask, roll back when unanswered for 2m"}


@click.command(name="lint")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--rps",
    type=click.FloatRange(min=0, min_open=True),
    help="The service's requests per second.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.pass_context
def lint(context: click.Context, plan: Path, rps: float | None, as_json: bool) -> None:
    """Is PLAN valid, what would happen stage by stage, what can its traffic prove, and what is unwise?

    Ends with 0 for a valid plan, whatever the advice, and with 2 for an invalid one.
    """
    try:
        valid = read_plan(plan)
    except PlanError as error:
        if as_json:
            click.echo(json.dumps({"file": str(plan), "valid": False, "problems": [asdict(p) for p in error.problems]}))
        else:
            click.echo(str(error), err=True)
        context.exit(INVALID)
    traffic = traffic_of(valid, rps)
    found = outlooks(valid, traffic) if traffic else ()
    advice = (*advise(valid), *advise_on(found))
    if as_json:
        click.echo(json.dumps(as_data(str(plan), valid, advice) | {"traffic": proof_data(traffic, found)}))
    else:
        proof = tuple(proof_text(valid, traffic, found))
        click.echo("\n".join(as_text(printable(str(plan), 200), valid, advice, proof)))


def as_data(file: str, plan: Plan, advice: tuple[Advice, ...]) -> dict[str, Any]:
    """What lint says, as JSON values; times in seconds."""
    stages = [
        {"weight": rule.weight, "warmup_s": s.warmup, "bake_s": s.bake, "min_requests": s.min_requests}
        | ({"gate": asdict(rule.gate)} if rule.gate else {})
        for s, rule in zip(plan.stages, plan.stage_rules(), strict=True)
    ]
    return {
        "file": file,
        "valid": True,
        "service": plan.service,
        "canary": plan.version.canary if plan.version else None,
        "digest": plan.digest,
        "advance": plan.advance,
        "production": plan.production,
        "gate": asdict(plan.gate.rule()) if plan.gate else None,
        "rollback_who": list(plan.rollback.who),
        "stages": stages,
        "least_s": plan.least_seconds,
        "metrics": {name: _metric_data(plan, name, metric) for name, metric in plan.metrics.items()},
        "advice": [asdict(each) for each in advice],
    }


def _metric_data(plan: Plan, name: str, metric: MetricForm) -> dict[str, Any]:
    return {"kind": metric.kind, "lines": _lines(metric), "weight": metric.weight, "on_fail": plan.on_fail_of(name)}


def as_text(file: str, plan: Plan, advice: tuple[Advice, ...], proof: tuple[str, ...]) -> Iterator[str]:
    """What lint says, line by line; `proof` is what it says of the traffic."""
    version = f" {plan.version.canary}" if plan.version else ", its version named at the start"
    yield f"{file} is valid: {plan.service}{version}; digest {plan.digest[:12]}"
    yield from ("", "What would happen")
    yield from _course(plan)
    yield from ("", "What is watched")
    yield from _watched(plan)
    yield from ("", "What rolls back")
    yield from _rolls_back(plan)
    yield from ("", "What its traffic can prove", *proof)
    yield from ("", "What is unwise")
    yield from (f"  {each.key}: {each.text}" for each in advice)
    if not advice:
        yield "  nothing was found"


def _course(plan: Plan) -> Iterator[str]:
    yield f"  start     waits {show_duration(plan.wait_for_canary)} at most for the canary"
    if plan.production:
        yield "            only by an engine that comes back by itself, not by one that a terminal started"
    if plan.checks.pre:
        yield f"            checks: {_titles(plan.checks.pre)}"
    yield "            the pre list is ticked or waived"
    yield from _gate(plan.gate, "cancels")
    for number, (stage, rule) in enumerate(zip(plan.stages, plan.stage_rules(), strict=True), start=1):
        warmup = f" of which {show_duration(stage.warmup)} warmup" if stage.warmup else ""
        requests = f", {stage.min_requests:,} requests or more" if stage.min_requests else ""
        yield f"  stage {number:<3} {rule.weight:>3}% for {show_duration(stage.bake)}{warmup}{requests}"
        if plan.checks.stage:
            yield f"            checks: {_titles(plan.checks.stage)}"
        yield from _gate(stage.gate, "rolls back")
        yield f"            {WAYS_ON[plan.advance]}"
    if plan.holdback:
        yield f"  finish    the {plan.holdback_percent}% that stable kept as a control go to the canary too"
    yield f"  end       the sides change roles; the old one stays for {show_duration(plan.keep_old)}"
    if plan.checks.post:
        yield f"            checks: {_titles(plan.checks.post)}"
    least = "at least" if plan.until == "both" else "at most for the bakes"
    yield f"  in all    {show_duration(plan.least_seconds)} {least}, people's time not counted"


def _gate(gate: Gate | None, back: str) -> Iterator[str]:
    """What people have to say; `back` is what a gate that says `rollback` does there when it expires."""
    if gate is None:
        return
    people = {0: "somebody decides", 1: "one person approves"}
    said = people.get(gate.approvers, f"{gate.approvers} different people approve")
    if gate.expires is not None:
        then = back if gate.then == "rollback" else "holds until a retry opens it anew"
        said += f" within {show_duration(gate.expires)}; else it {then}"
    yield f"            gate: {said}"


def _titles(checks: tuple[Any, ...]) -> str:
    return ", ".join(check.title for check in checks)


def _watched(plan: Plan) -> Iterator[str]:
    width = max(map(len, plan.metrics))
    for name, metric in plan.metrics.items():
        lines = ", ".join(_lines(metric))
        if metric.weight == "informational":
            yield f"  {name:<{width}}  shown only"
        else:
            critical = "critical; " if metric.weight == "critical" else ""
            yield f"  {name:<{width}}  {lines}; {critical}when it fails: {ON_FAIL[plan.on_fail_of(name)]}"


def _lines(metric: MetricForm) -> list[str]:
    return [show_threshold(line, metric.kind) for line in metric.alert]


def _rolls_back(plan: Plan) -> Iterator[str]:
    names = [
        name
        for name, metric in plan.metrics.items()
        if metric.weight != "informational" and plan.on_fail_of(name) != "hold"
    ]
    crossed = "proven to be crossed" if plan.judge == "sequential" else f"crossed in {plan.looks} scrapes in a row"
    yield f"  a line {crossed}: {', '.join(names) or 'none, they hold'}"
    if any(stage.gate is not None and stage.gate.then == "rollback" for stage in plan.stages):
        yield "  a gate at which nobody decides in time"
    if plan.max_bad_requests is not None:
        yield f"  {plan.max_bad_requests:,} bad requests of the canary beyond stable's rate"
    yield "  a canary that is silent or gone, a stage check that says no twice, and an operator at any time"
    if plan.blind.then == "rollback":
        yield f"  no data of either version for {show_duration(plan.blind.after)}"
    else:
        yield f"  not: no data of either version; after {show_duration(plan.blind.after)} the release holds and says so"
    if plan.rollback.who:
        yield f"  by hand: only {', '.join(plan.rollback.who)}; anybody by breaking the glass, with a reason"
    budget, limit = show_duration(plan.rollback.budget), show_duration(plan.rollback.hard_limit)
    yield f"  within {budget}; after {limit} it counts as failed"
