"""A release as JSON for one look: what `status` prints and scripts read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.approvals import missing, standing
from engine.codec import encode
from engine.outlook import outlook
from engine.presence import Here
from engine.state import State


def attached(here: Iterable[Here]) -> list[dict[str, Any]]:
    """Who is attached to a release."""
    return [{"who": one.who, "where": one.where, "since": one.since, "driving": one.driving} for one in here]


def row(state: State, here: int, holder: str) -> dict[str, Any]:
    """One line of the list: a summary, how many are attached, and the engine that holds it."""
    return summary(state) | {"here": here, "holder": holder}


def summary(state: State) -> dict[str, Any]:
    """One line: who, where, how far."""
    return {
        "release": state.release,
        "service": state.service,
        "target": state.target,
        "phase": state.phase.value,
        "stage": state.stage,
        "weight": {"desired": state.desired, "observed": state.observed},
        "paused_by": state.paused_by,
        "created_at": state.created_at,
    }


def look(state: State, at: float, notices: list[str], here: Iterable[Here], holder: str) -> dict[str, Any]:
    """Everything that decides, at time `at`, who is attached and which engine holds it."""
    ahead = outlook(state, at)
    settled = [item for item in state.items.values() if item.settled]
    return summary(state) | {
        "summary": state.summary,
        "revision": state.revision,
        "canary": state.canary,
        "stable": state.stable,
        "step": state.step.value,
        "stages": [rule.weight for rule in state.rules.stages],
        "baked_s": round(state.baked_s, 1),
        "requests": state.requests,
        "exposure": {"requests": state.exposed, "bad": state.harmed},
        "weights": list(state.weights),
        "holds": dict(state.holds),
        "alerts": dict(state.alerts),
        "waits_for": ahead.waits_for,
        "until": ahead.until,
        "then": ahead.then,
        "orders": list(ahead.orders),
        "metrics": [encode(metric) for metric in state.rules.metrics],
        "past": {"seconds": state.past_s, "remarks": list(state.remarks)},
        "verdicts": {name: encode(verdict) for name, verdict in state.verdicts.items()},
        "checks": [encode(check) for check in state.checks.values()],
        "checklist": {"done": len(settled), "total": len(state.items)},
        "items": [encode(item) for item in state.items.values()],
        "rollback": encode(state.rollback) if state.rollback else None,
        "way_back": {"tried_at": state.way_back_at, "problem": state.way_back_problem},
        "route": {"pending": state.pending, "share": state.share, "hand": state.hand, "remark": state.remark},
        "ready": {
            "canary": state.canary_ready,
            "canary_asked": state.canary_asked,
            "stable": state.stable_ready,
            "full": state.full,
        },
        "gate": _gate(state),
        "production": state.rules.production,
        "watched": state.rules.watched,
        "would": [encode(would) for would in state.would],
        "keep_until": state.keep_until,
        "ending": state.ending,
        "manual_rollback": state.manual_rollback,
        "notices": notices,
        "holder": holder,
        "here": attached(here),
    }


def _gate(state: State) -> dict[str, Any] | None:
    """The gate of where the release stands: who approved, how many are missing, until when it is open."""
    if state.gate is None:
        return None
    return {
        "approvers": state.gate.approvers,
        "approved": [encode(said) for said in standing(state)],
        "missing": missing(state),
        "until": state.gate_until,
        "expired": state.gate_expired,
    }
