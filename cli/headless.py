"""The demo without a screen: it advances by itself, breaks the canary when told to, and ends with one JSON object."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cli.demo_world import Demo
from cli.ending import Exit, show

POLL_S = 0.2
MAX_WAIT_S = 180.0
ENDS = ("promoted", "rolled_back", "cancelled", "rollback_failed")


@dataclass(frozen=True, slots=True)
class Breakage:
    """A fault and the observed weight, in percent, from which on it is switched on."""

    fault: str
    weight: float


class Headless:
    """Drives one demo to its end."""

    def __init__(self, demo: Demo, breakage: Breakage | None, max_wait_s: float) -> None:
        """`max_wait_s`: without any progress for that long the release is rolled back, saying what it waited for."""
        self._demo = demo
        self._breakage = breakage
        self._max_wait_s = max_wait_s
        self._broken_at: float | None = None
        self._shown: list[Any] = []
        self._progress: tuple[Any, ...] = ()
        self._progress_at = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Drive it; returns the result."""
        while True:
            seen = self._demo.client.look(self._demo.release)
            self._show(seen)
            if seen["phase"] in ENDS:
                return self._result(seen)
            self._break(seen)
            self._drive(seen)
            time.sleep(POLL_S)

    def _show(self, seen: dict[str, Any]) -> None:
        news = [seen["phase"], seen["stage"], seen["step"], *seen["holds"].values(), *seen["alerts"].values()]
        if news == self._shown:
            return
        self._shown = news
        weight = seen["weight"]["observed"]
        where = seen["phase"] if seen["phase"] != "stage" else f"stage {seen['stage'] + 1} {seen['step']}"
        alerts = "".join(f"; ALERT {reason}" for reason in seen["alerts"].values())
        _say(f"{where}, {weight or 0:g}%: {seen['waits_for']}{alerts}")

    def _break(self, seen: dict[str, Any]) -> None:
        wanted = self._breakage
        if wanted is None or self._broken_at is not None or (seen["weight"]["observed"] or 0) < wanted.weight:
            return
        self._demo.sandbox.set_fault(wanted.fault, True)
        self._broken_at = time.time()
        _say(f"the canary is broken now: {wanted.fault}")

    def _drive(self, seen: dict[str, Any]) -> None:
        progress = (seen["phase"], seen["stage"], seen["step"])
        if progress != self._progress:
            self._progress, self._progress_at = progress, time.monotonic()
        if "advance" in seen["orders"] and not seen["holds"]:
            self._demo.client.give(self._demo.release, "advance", stage=seen["stage"], revision=seen["revision"])
        elif time.monotonic() - self._progress_at > self._max_wait_s and seen["phase"] != "rolling_back":
            self._give_up(f"no progress for {self._max_wait_s:g} s: {seen['waits_for']}")
            self._progress_at = time.monotonic()

    def _give_up(self, reason: str) -> None:
        """Take it back; where no traffic moved yet there may be nothing to take back."""
        give, release = self._demo.client.give, self._demo.release
        if not give(release, "rollback", reason=reason).accepted:
            give(release, "cancel", reason=reason)

    def _result(self, seen: dict[str, Any]) -> dict[str, Any]:
        watch = seen["rollback"] or {}
        decided = watch.get("accepted")
        took = watch["observed"] - watch["accepted"] if watch.get("observed") else None
        noticed = decided - self._broken_at if decided is not None and self._broken_at is not None else None
        return {
            "release": self._demo.release,
            "outcome": seen["phase"],
            "weights": [int(weight) if weight == int(weight) else weight for weight in seen["weights"]],
            "reason": seen["ending"],
            "fault_to_decision_s": None if noticed is None else round(noticed, 2),
            "rollback_s": None if took is None else round(took, 3),
            "canary_requests": seen["exposure"]["requests"],
            "canary_bad": seen["exposure"]["bad"],
            "checklist": seen["checklist"],
        }


def exit_code(outcome: str) -> Exit:
    """0 promoted, 5 roll back failed, 1 anything else: the canary does not serve."""
    return {"promoted": Exit.DONE, "rollback_failed": Exit.ROLLBACK_FAILED}.get(outcome, Exit.ROLLED_BACK)


def _say(text: str) -> None:
    show(False, None, f"{time.strftime('%H:%M:%S')} {text}")
