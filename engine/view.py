"""A release as JSON for one look: what `status` prints and scripts read."""

from __future__ import annotations

from typing import Any

from engine.codec import encode
from engine.outlook import outlook
from engine.state import State


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


def look(state: State, at: float, notices: list[str]) -> dict[str, Any]:
    """Everything that decides, at time `at`."""
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
        "watched": state.rules.watched,
        "would": [encode(would) for would in state.would],
        "keep_until": state.keep_until,
        "ending": state.ending,
        "manual_rollback": state.manual_rollback,
        "notices": notices,
    }
