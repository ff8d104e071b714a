"""From a plan to what a release runs with: the machine's rules, the queries, the router, source and checks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from engine import registry
from engine.checklist import default_items, not_applicable, with_proofs
from engine.checks import Check
from engine.config import Surroundings
from engine.controller.parts import Parts
from engine.events import Item, Rules, StageRule
from engine.judge.metric import Metric
from engine.plan.choice import CheckChoice
from engine.plan.metrics import AnyMetric, BadShare, Gauge, GoodShare, Latency
from engine.plan.model import Plan
from engine.routers import Router
from engine.secrets import Secrets
from engine.sources.making import interval_of, source_of
from engine.sources.reading import Query
from engine.vitals import VITALS

REHEARSE_S = 60.0  # between two trials of the way back


def watched_rules_of(plan: Plan) -> Rules:
    """The rules of a release that something else drives: judged, and nothing is done."""
    return replace(rules_of(plan), watched=True, checks={}, items=(), guard_s=0.0, holds_target=False, rehearse_s=0.0)


def rules_of(plan: Plan) -> Rules:
    """The plan as the state machine needs it: seconds, fractions, names."""
    stages = plan.stage_rules()
    router = plan.router.config
    return Rules(
        stages=stages,
        metrics=(*plan.judge_metrics(), *_vitals(plan)),
        items=_items(plan, stages),
        checks={listed: tuple(name for name, _ in named) for listed, named in named_checks(plan).items()},
        until=plan.until,
        auto_advance=plan.advance == "auto",
        interval_s=interval_of(plan.source),
        converge_s=plan.converge,
        wait_for_canary_s=plan.wait_for_canary,
        keep_old_s=plan.keep_old,
        on_fail=plan.on_fail,
        on_fail_of={name: plan.on_fail_of(name) for name in plan.metrics},
        blind_after_s=plan.blind.after,
        blind_then=plan.blind.then,
        budget_s=plan.rollback.budget,
        hard_limit_s=plan.rollback.hard_limit,
        judge=plan.judge,
        looks=plan.looks,
        max_bad_requests=plan.max_bad_requests,
        history_s=plan.history,
        holdback=plan.holdback_percent,
        strategy=plan.strategy,
        finish=plan.finish,
        scale=getattr(router, "scale", "none"),
        capacity_s=plan.wait_for_canary,
        guard_s=plan.guard,
        drain_s=plan.after_rollback.drain,
        canary_to_zero=plan.after_rollback.then == "scale_to_zero",
        holds_target=getattr(router, "holds", False),
        rehearse_s=REHEARSE_S if getattr(router, "rehearses", False) else 0.0,
        gate=plan.gate.rule() if plan.gate else None,
        production=plan.production,
        rollback_who=plan.rollback.who,
    )


def _vitals(plan: Plan) -> Iterator[Metric]:
    """The metrics of the canary's pods that the router can see and the plan does not have by itself."""
    seen = (VITALS[name] for name in getattr(plan.router.config, "vitals", ()))
    return (metric for metric in seen if metric.name not in plan.metrics)


def _items(plan: Plan, stages: tuple[StageRule, ...]) -> tuple[Item, ...]:
    """The default checklist with what the plan adds, drops, and ticks by its checks."""
    defaults = default_items(stages, plan.judge_metrics())
    kept = [item for item in defaults if item.id not in plan.checklist.drop]
    added = [Item(item.id, item.list, item.text) for item in plan.checklist.add]
    ticks = [(item, name) for named in named_checks(plan).values() for name, check in named for item in check.ticks]
    return with_proofs([*kept, *added], ticks)


def unneeded(plan: Plan, items: tuple[Item, ...]) -> dict[str, str]:
    """Items that the plan makes pointless: id -> reason."""
    migration = plan.change.migration if isinstance(plan.change.migration, str) else "there is one"
    return not_applicable(migration, plan.change.flags, items)


def named_checks(plan: Plan) -> dict[str, list[tuple[str, CheckChoice]]]:
    """The checks of each list under a name of their own; one that stands in two lists is named after its list too."""
    lists = {"pre": plan.checks.pre, "stage": plan.checks.stage, "post": plan.checks.post}
    titles = [check.title for checks in lists.values() for check in checks]
    return {
        listed: [(c.title if titles.count(c.title) == 1 else f"{c.title} ({listed})", c) for c in checks]
        for listed, checks in lists.items()
    }


def queries_of(plan: Plan) -> tuple[Query, ...]:
    """What the source reads for each metric."""
    return tuple(_query(name, metric) for name, metric in plan.metrics.items())


def _query(name: str, metric: AnyMetric) -> Query:
    judged, source = metric.judged_as(name), metric.source or ""
    match metric:
        case BadShare():
            return Query(judged, total=metric.total, part=metric.bad, source=source)
        case GoodShare():
            return Query(judged, total=metric.total, part=metric.good, source=source)
        case Latency():
            return Query(judged, histogram=metric.histogram, line=judged.cut or math.inf, source=source)
        case Gauge():
            return Query(judged, gauge=metric.gauge, source=source)


def router_of(plan: Plan, secrets: Secrets, canary: str = "") -> Router:
    """The plan's router, not connected yet; `canary` is the version that the start order names, if it does.

    Raises SecretMissingError, EngineConfigError.
    """
    kind, config = registry.resolve("router", plan.router.kind), secrets.resolve(plan.router.config)
    wanted = canary or (plan.version.canary if plan.version else "")
    router: Router
    if getattr(kind, "needs_surroundings", False):
        router = kind(config, Surroundings(secrets, plan.service, wanted))
    elif getattr(kind, "needs_weights", False):
        router = kind(config, tuple(stage.weight for stage in plan.stage_rules()))
    else:
        router = kind(config)
    return router


def parts_of(plan: Plan, router: Router, secrets: Secrets, files: Mapping[str, bytes] | None = None) -> Parts:
    """All that a release of this plan works with; `files` came with it. Raises SecretMissingError."""
    checks = dict(_checks(plan, secrets))
    return Parts(router, source_of(plan, secrets), queries_of(plan), checks, secrets.hide, files or {})


def _checks(plan: Plan, secrets: Secrets) -> Iterator[tuple[str, Check]]:
    for named in named_checks(plan).values():
        for name, choice in named:
            yield name, registry.resolve("check", choice.kind)(name, secrets.resolve(choice.config))
