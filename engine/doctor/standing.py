"""Could a release start now? What the target shows, and what already runs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.finding import Finding
from engine.inputs import Observation
from engine.plan.model import Plan
from engine.plan.units import show_duration
from engine.routers import Router

WHAT = "start"


def examine_standing(
    plan: Plan, router: Router, seen: Observation, wanted: str, busy: Mapping[str, str]
) -> list[Finding]:
    """`wanted` is the canary's version, empty when nobody named it; `busy` has the live release of each target."""
    found = [*_taken(router, busy), *_elsewhere(router, seen), *_versions(plan, seen, wanted)]
    return found or [Finding("ok", WHAT, f"all traffic on stable ({seen.stable}), the canary is {seen.canary}")]


def _taken(router: Router, busy: Mapping[str, str]) -> Iterator[Finding]:
    release = busy.get(router.target)
    if release is not None:
        yield Finding("bad", WHAT, f"{release} is under way on {router.target}", f"laneshift watch {release}")


def _elsewhere(router: Router, seen: Observation) -> Iterator[Finding]:
    if seen.weight:
        said = f"{seen.weight:g}% of the traffic is on the canary's side already; a release starts with all on stable"
        mend = f"exchange stable and canary in the plan if that is right, else: {router.manual_rollback('doctor')}"
        yield Finding("bad", WHAT, said, mend)
    if seen.pending:
        yield Finding("warn", WHAT, f"what is written is not in effect everywhere: {seen.pending}")


def _versions(plan: Plan, seen: Observation, wanted: str) -> Iterator[Finding]:
    if not seen.stable:
        yield Finding("warn", WHAT, "stable does not say its version", "a release names it by what the router knows")
    waits = f"a start waits {show_duration(plan.wait_for_canary)} for it"
    if wanted and seen.canary != wanted:
        now = f"the canary is {seen.canary} now" if seen.canary else "no canary is there yet"
        yield Finding("warn", WHAT, f"{now}, not {wanted}: {waits}", f"deploy {wanted} to the canary's side")
    elif not seen.canary:
        yield Finding("warn", WHAT, f"no canary is there yet: {waits}", "deploy it to the canary's side")
    elif seen.canary_ready == 0:
        said = f"the canary ({seen.canary}) has no replica that can serve: {waits}"
        yield Finding("warn", WHAT, said, "see why its pods are not ready, or scale it up")


def examine_addresses(plan: Plan, known: Mapping[str, str]) -> list[Finding]:
    """Does the router know where each check has to ask?"""
    lists = (plan.checks.pre, plan.checks.stage, plan.checks.post)
    targets = {str(target) for one in lists for check in one if (target := getattr(check.config, "target", None))}
    lost = sorted(targets - known.keys())
    if lost:
        said = f"the router knows no address of {', '.join(lost)}: the checks that ask there would be errors"
        return [Finding("bad", "checks", said, "ask another target in the plan's checks, or drop them")]
    asked = ", ".join(f"{target} at {known[target]}" for target in sorted(targets))
    return [Finding("ok", "checks", f"ask {asked}")] if asked else []
