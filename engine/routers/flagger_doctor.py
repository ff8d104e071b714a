"""What the doctor says of a Canary, and why laneshift refuses one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.finding import Finding
from engine.kube.examination import put_back
from engine.kube.owners import gitops
from engine.kube.permissions import Permission, permissions
from engine.kube.resources import CANARIES, DEPLOYMENTS, HTTPROUTES, PODS, REPLICASETS
from engine.routers.flagger_reading import GATES, Canary, pending_of
from engine.routers.kube_script import kubectl
from engine.routers.owner_config import FlaggerConfig

SLOW_S: Final = 30.0
NO_GATES: Final = "the plan names no gates: Flagger would ask nobody and go on by itself"


def permissions_for(namespace: str) -> list[Permission]:
    """What laneshift does to a Canary and around it."""
    return [
        *permissions("get list patch", CANARIES, namespace, "it reads the Canary and marks what it approves"),
        *permissions("patch", CANARIES, namespace, "it tells Flagger to roll back", "status"),
        *permissions("get", HTTPROUTES, namespace, "it reads the weights that Flagger wrote"),
        *permissions("get list watch", DEPLOYMENTS, namespace, "it reads versions and replicas"),
        *permissions("list watch", REPLICASETS, namespace, "it tells the current template's replicas from older ones"),
        *permissions("list watch", PODS, namespace, "it watches the canary's restarts"),
    ]


def problem_of(canary: Canary, weights: Sequence[int] = ()) -> str:
    """Why Flagger would not ask before each of the plan's weights, with what to write; empty when it would."""
    spec, found = canary.item["spec"], list(canary.weights)
    if spec.get("skipAnalysis"):
        return "skipAnalysis promotes every revision at once: remove it"
    if canary.analysis.get("iterations") or canary.analysis.get("match") or canary.analysis.get("mirror"):
        return "its analysis has iterations, match or mirror: laneshift releases by weights"
    if not found or found != sorted(set(found)) or found[-1] != 100 or found[0] < 1:
        named = f"are {', '.join(map(str, found))}" if found else "are missing"
        wanted = ", ".join(map(str, weights or (5, 25, 50, 100)))
        return f"its stepWeights {named}; write stepWeights: [{wanted}] under spec.analysis"
    if weights and found != list(weights):
        return f"its stepWeights are {', '.join(map(str, found))} and the plan's weights {', '.join(map(str, weights))}"
    missing = [gate for gate in GATES if not _hooks(canary, gate)]
    if missing:
        return f"it has no webhook {', '.join(missing)}. Write under spec.analysis:\n{wanted_webhooks()}"
    return ""


def wanted_webhooks() -> str:
    """The webhooks of a Canary, as YAML; the address is how Flagger reaches the engine, the token is the plan's."""
    each = [f"  - {{name: {gate}, type: {gate}, url: http://ENGINE:PORT/TOKEN/{gate}}}" for gate in GATES]
    return "\n".join(["webhooks:", *each])


def restoring(config: FlaggerConfig, canary: Canary) -> str:
    """Why there is no way back after the promotion, and what brings the old version back all the same."""
    k, name = kubectl(config), config.canary
    skip, again = '{"spec":{"skipAnalysis":true}}', '{"spec":{"skipAnalysis":null}}'
    return (
        f"Flagger has promoted this revision, and the one before runs nowhere any more: Flagger can't roll that back. "
        f"To deploy the old one at once, without analysis: {k} patch canary {name} --type=merge -p '{skip}'; "
        f"{k} rollout undo deployment/{canary.target}; and once the Canary has Succeeded: "
        f"{k} patch canary {name} --type=merge -p '{again}'"
    )


def findings_of(canary: Canary, config: FlaggerConfig, weights: Sequence[int], asked_s: float | None) -> list[Finding]:
    """Its steps and gates, its state, and how soon Flagger rolls back."""
    problem = problem_of(canary, weights)
    steps = Finding("ok", "steps", f"Flagger asks before each of {', '.join(map(str, canary.weights))}%")
    if problem:
        steps = Finding("bad", "steps", problem)
    return [steps, *_gates(canary, config), *_state(canary, asked_s), *_way_back(canary), *_lead(canary)]


def _gates(canary: Canary, config: FlaggerConfig) -> Iterator[Finding]:
    if config.gates is None:
        yield Finding("bad", "gates", NO_GATES, "add `gates: {token: ...}` to the router, or start with --observe")
        return
    for gate in GATES:
        for url in _hooks(canary, gate):
            if not url.endswith(f"/{config.gates.token}/{gate}"):
                said = f"the webhook {gate} goes elsewhere than to this plan's gates: its path must be /TOKEN/{gate}"
                yield Finding("bad", "gates", said, "write the token of the plan into its URL")
    yield Finding("ok", "gates", f"the engine answers on {config.gates.listen}; closed while it does not run")


def _state(canary: Canary, asked_s: float | None) -> Iterator[Finding]:
    pending = pending_of(canary, asked_s)
    if pending:
        yield Finding("bad", "Flagger", pending)
    else:
        yield Finding("ok", "Flagger", f"the Canary is {canary.phase}")


def _way_back(canary: Canary) -> Iterator[Finding]:
    said = f"Flagger rolls back at its next look, up to {canary.interval_s:g} s after the order"
    if canary.interval_s > SLOW_S:
        yield Finding("warn", "way back", said, "set analysis.interval to 10s, the shortest there is")
    else:
        yield Finding("ok", "way back", f"{said}: rollback.budget must be longer")
    said = "once the promotion is approved there is no way back by Flagger: the old version runs nowhere any more"
    yield Finding("warn", "way back", said, "let the last stage bake for as long as a way back is wanted; keep_old: 0s")


def _lead(canary: Canary) -> Iterator[Finding]:
    if canary.analysis.get("metrics"):
        said = f"Flagger judges by metrics of its own too, and rolls back after {canary.threshold} failed checks"
        yield Finding("warn", "analysis", f"{said}, also while a gate is closed", "leave the judging to the plan")
    keeper = gitops(canary.item, CANARIES, [], ["/metadata/annotations"])
    if keeper is not None:
        yield put_back(keeper, "the Canary")


def _hooks(canary: Canary, gate: str) -> list[str]:
    hooks = canary.analysis.get("webhooks") or ()
    return [str(each.get("url", "")) for each in hooks if each.get("type") == gate]
