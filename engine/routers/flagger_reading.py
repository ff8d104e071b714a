"""What a Canary of Flagger shows of a release, and what its gates answer. Pure: objects in, readings out.

Source: Flagger 1.44, pkg/controller/scheduler.go. Flagger looks at a Canary once in its interval. Before each step it
asks confirm-traffic-increase; at its last weight it asks confirm-promotion, copies the target's template to the
primary, moves everything there, and scales the target to nothing. It asks rollback only before that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.kube.marks import INTENT, PREFIX, Operation, annotate, annotations_of, marks_of, pointer

Object = Mapping[str, Any]
Gate = Literal["confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"]

GATES: Final[tuple[Gate, ...]] = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
OPEN: Final = f"{PREFIX}open"
"""What is approved, for which revision: `25 of REVISION`, `promotion of REVISION`, `rollback of REVISION`."""
CHECKSUM: Final = f"{PREFIX}checksum"
"""The checksum that Flagger gives to a revision: `REVISION CHECKSUM`."""
REVISION: Final = f"{PREFIX}revision"
"""The revision that the release raised."""
PROMOTION, ROLLBACK = "promotion", "rollback"
ANALYSED: Final = ("Progressing", "WaitingPromotion")
PROMOTING: Final = ("Promoting", "Finalising")
INTERVAL_S: Final = 60.0
SHORTEST_S: Final = 10.0
UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Canary:
    """One reading of a Canary, with the weight of its route when that could be read beside it."""

    item: Object
    routed: float | None = None

    @property
    def analysis(self) -> Object:
        spec = self.item["spec"]
        found: Object = spec.get("analysis") or spec.get("canaryAnalysis") or {}
        return found

    @property
    def status(self) -> Object:
        found: Object = self.item.get("status") or {}
        return found

    @property
    def target(self) -> str:
        """The workload that Flagger releases; it runs the canary, and NAME-primary runs stable."""
        return str(self.item["spec"]["targetRef"]["name"])

    @property
    def primary(self) -> str:
        return f"{self.target}-primary"

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(int(weight) for weight in self.analysis.get("stepWeights") or ())

    @property
    def threshold(self) -> int:
        """Failed checks after which Flagger rolls back by itself."""
        return max(1, int(self.analysis.get("threshold") or 1))

    @property
    def interval_s(self) -> float:
        """How often Flagger looks at it."""
        return max(SHORTEST_S, _seconds(str(self.analysis.get("interval", ""))) or INTERVAL_S)

    @property
    def revision(self) -> str:
        """The template, with the settings it depends on, that Flagger has taken up last."""
        tracked = self.status.get("trackedConfigs") or {}
        digest = hashlib.sha256(json.dumps(tracked, sort_keys=True).encode()).hexdigest()[:10] if tracked else ""
        return ".".join(filter(None, (str(self.status.get("lastAppliedSpec", "")), digest)))

    @property
    def promoted(self) -> bool:
        """Has Flagger begun to promote the revision that the release raised, or done it?"""
        ours = annotations_of(self.item).get(REVISION) == self.revision and bool(self.revision)
        return ours and self.phase in (*PROMOTING, "Succeeded")

    @property
    def step(self) -> int:
        """The weight at which Flagger is; its status forgets it while it waits for the promotion."""
        if self.phase == "WaitingPromotion":
            return self.weights[-1] if self.weights else 100
        return int(self.status.get("canaryWeight") or 0) if self.phase in ("Progressing", "Promoting") else 0

    @property
    def weight(self) -> float:
        """Percent of the traffic on the release's version, on the target or, once promoted, on the primary."""
        if self.promoted:
            return 100.0
        if self.phase in ANALYSED and self.routed is not None:
            return self.routed
        return float(self.step)

    @property
    def under_way(self) -> bool:
        """Is there a canary, running or about to?"""
        return self.promoted or self.phase in ("Waiting", "Failed", *ANALYSED, *PROMOTING)

    @property
    def next_weight(self) -> int | None:
        """The weight of the step after this one, None at the last and where there is none to take."""
        after = [weight for weight in self.weights if weight > self.step]
        return after[0] if after and self.phase == "Progressing" else None

    @property
    def at_last(self) -> bool:
        """Does it stand at its last weight, before the promotion?"""
        return self.phase in ANALYSED and bool(self.weights) and self.step == self.weights[-1]

    @property
    def opened(self) -> tuple[str, str]:
        """What is approved and for which revision; empty for nothing."""
        what, _, revision = annotations_of(self.item).get(OPEN, "").partition(" of ")
        return what, revision


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gate says: passed or not, why, and the patch that must get through before it may say that it passes."""

    passes: bool
    why: str
    spends: tuple[Operation, ...] = ()


def answer(canary: Canary, gate: Gate, checksum: str) -> Answer:
    """The gates of a Canary are closed but for what the release has approved, for one revision and one step.

    `checksum` is Flagger's name of the revision, which goes with ours from the first approval that it uses. An approval
    is spent before it is used: whatever happens then, it can't open a second step.
    """
    what, revision = canary.opened
    marks = marks_of(canary.item)
    if not marks.release:
        return Answer(False, "no release has this Canary: start one")
    if gate == "confirm-rollout":
        return Answer(what != ROLLBACK, f"release {marks.release} has it" if what != ROLLBACK else "rolled back")
    if not what or revision != canary.revision or not _bound(canary, checksum):
        return Answer(False, f"release {marks.release} has approved nothing of this revision")
    if gate == "rollback":
        return Answer(what == ROLLBACK, f"release {marks.release}: {what}")
    if canary.routed not in (None, canary.step):
        return Answer(False, f"Flagger says {canary.step}% and its route has {canary.routed:g}%")
    if gate == "confirm-traffic-increase" and what == PROMOTION and canary.at_last:
        return Answer(True, "there is nothing to increase")  # Flagger asks all the same, before confirm-promotion
    wanted = PROMOTION if gate == "confirm-promotion" else str(canary.next_weight)
    if what != wanted or (what == PROMOTION and not canary.at_last):
        return Answer(False, f"release {marks.release} has approved {what}, not {wanted}")
    return Answer(True, f"release {marks.release}: {what}", _spent(canary, checksum))


def approve(canary: Canary, what: str, values: Mapping[str, str]) -> list[Operation]:
    """The patch that approves one thing for this revision, if nothing was written since it was read."""
    there = annotations_of(canary.item)
    named = {OPEN: f"{what} of {canary.revision}", REVISION: canary.revision}
    same = {"op": "test", "path": pointer("metadata", "annotations", INTENT), "value": there.get(INTENT)}
    if not there:
        same = {"op": "test", "path": "/metadata/annotations", "value": None}
    status = [
        {"op": "test", "path": f"/status/{name}", "value": canary.status.get(name)}
        for name in ("phase", "canaryWeight", "lastAppliedSpec")
    ]
    return [same, *status, *annotate({**values, **named}, first=not there)]


def pending_of(canary: Canary, asked_s: float | None) -> str:
    """Why what was approved is not in effect, or why nothing can be; `asked_s`: seconds since Flagger asked a gate."""
    spec, status = canary.item["spec"], canary.status
    if spec.get("suspend"):
        return "the Canary is suspended (spec.suspend): Flagger does nothing, not even a roll back"
    if canary.phase in ("", "Initializing"):
        return f"Flagger is initializing the Canary{_saying(canary)}"
    if canary.phase in PROMOTING:
        return f"Flagger is promoting: it copies the template to {canary.primary} and moves the traffic there"
    what, revision = canary.opened
    if what == ROLLBACK and canary.phase in ANALYSED and revision == canary.revision:
        return f"Flagger rolls back at its next look, within {canary.interval_s:g} s{_silence(canary, asked_s)}"
    if what and what != ROLLBACK and canary.phase in ANALYSED and revision == canary.revision:
        said = "the promotion" if what == PROMOTION else f"{what}%"
        return f"Flagger goes on to {said} at its next look, within {canary.interval_s:g} s{_silence(canary, asked_s)}"
    if canary.phase == "Progressing" and canary.routed is not None and canary.routed != canary.step:
        return f"Flagger says {canary.step}% and its route has {canary.routed:g}%"
    if int(status.get("failedChecks") or 0) and canary.phase in ANALYSED:
        return f"Flagger counts {status['failedChecks']} failed checks of its own{_saying(canary)}"
    return ""


def hand_of(canary: Canary) -> str:
    """Who moved the traffic, when it is not where the release has put it."""
    marks = marks_of(canary.item)
    if not marks.weight or float(marks.weight) == canary.weight or canary.opened[0]:
        return ""
    said = "a new revision" if annotations_of(canary.item).get(REVISION) != canary.revision else canary.phase
    return f"Flagger itself ({said}{_saying(canary)})"


def _bound(canary: Canary, checksum: str) -> bool:
    revision, _, known = annotations_of(canary.item).get(CHECKSUM, "").partition(" ")
    return revision != canary.revision or known == checksum


def _spent(canary: Canary, checksum: str) -> tuple[Operation, ...]:
    there = annotations_of(canary.item)
    tests = [
        {"op": "test", "path": pointer("metadata", "annotations", name), "value": there.get(name)}
        for name in (OPEN, INTENT)
    ]
    return (*tests, *annotate({OPEN: "", CHECKSUM: f"{canary.revision} {checksum}"}, first=False))


def _silence(canary: Canary, asked_s: float | None) -> str:
    """Flagger asks at every look: when it does not, its webhooks do not get here, or it does not run."""
    if asked_s is None:
        return ", and has not asked the engine's gates yet"
    if asked_s > 2 * canary.interval_s:
        return f", and has not asked the engine's gates for {asked_s:.0f} s: does it run, do its webhooks get here?"
    return ""


def _saying(canary: Canary) -> str:
    return f": {condition_of(canary)}" if condition_of(canary) else ""


def condition_of(canary: Canary) -> str:
    """What Flagger says last of the promotion; empty for nothing."""
    found = [each for each in canary.status.get("conditions") or () if each.get("type") == "Promoted"]
    return str(found[0].get("message", ""))[:200] if found else ""


def _seconds(written: str) -> float:
    """A Go duration such as 1m30s; 0 for what is none."""
    return sum(float(number) * UNITS_S[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", written))
