"""What is known of a release at one time: values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engine.events import CheckList, CheckOutcome, GateRule, Item, Rules, StageRule, Step
from engine.judge.metric import Outcome, Sample, Verdict


class Phase(StrEnum):
    """Where a release is in its life. The table in `engine.release` says what leads where."""

    PREFLIGHT = "preflight"
    STAGE = "stage"
    FINISHING = "finishing"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    ROLLBACK_FAILED = "rollback_failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


FINAL = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.CANCELLED})
GOING_BACK = frozenset({Phase.ROLLING_BACK, Phase.ROLLBACK_FAILED})
FORWARD = frozenset({Phase.PREFLIGHT, Phase.STAGE, Phase.FINISHING})

RINGING = "alert "  # begins the cause of a hold for an alert that nobody decides on
FAILING = "failing "  # begins the cause of a hold for a metric or check that fails
MISPLACED = ("stuck", "drift", "capacity")  # holds that mean: the weight is not where the stage wants it


@dataclass(frozen=True, slots=True)
class ItemState:
    """`mark`: open, done, waived or n/a; `evidence` is the engine's, `note` a person's words. An open item with a `who`
    was unticked by that person: the engine does not tick it again by itself."""

    item: Item
    mark: str = "open"
    who: str = ""
    at: float = 0.0
    note: str = ""
    evidence: str = ""

    @property
    def settled(self) -> bool:
        return self.mark != "open"


@dataclass(frozen=True, slots=True)
class CheckState:
    """`outcome` is None while the check runs; `again` when it was asked once more after a no. An `attempt` is never
    used twice in a release, so that the answer to an earlier question is no answer to a later one."""

    list: CheckList
    name: str
    attempt: int
    again: bool = False
    outcome: CheckOutcome | None = None
    summary: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """A write of the weight: `answered_at` None while it is under way, `confirmed` once read back."""

    number: str
    weight: int
    base: float | None
    generation: str
    at: float
    answered_at: float | None = None
    ok: bool = False
    detail: str = ""
    confirmed: bool = False

    @property
    def to_stable(self) -> bool:
        """All traffic to stable: written over anything and repeated. Any other weight, a lower one too, is
        compare-and-set: written late, it would land on top of a person's 0 or of a roll back."""
        return self.weight == 0


@dataclass(frozen=True, slots=True)
class Effort:
    """Something that the router was asked for beside a shift, again and again until it is so: another size, a copy or
    a handover, letting go. `weight` is what a size is for."""

    at: float
    weight: int = 0
    number: str = ""
    answered_at: float | None = None
    ok: bool = False
    detail: str = ""
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word for one stage of one revision."""

    who: str
    at: float
    stage: int
    revision: str


@dataclass(frozen=True, slots=True)
class Question:
    metric: str
    text: str
    due: float


@dataclass(frozen=True, slots=True)
class Would:
    """What laneshift would have done at a time, in a release that it only watched, when `weight` was in effect."""

    at: float
    act: str
    reason: str
    metric: str
    stage: int
    weight: int


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """The laps of a rollback, each a time: asked, accepted, weight written, seen, last canary request, recovered."""

    asked: float
    accepted: float
    who: str
    reason: str
    metric: str = ""
    was: float = 0.0
    written: float | None = None
    observed: float | None = None
    last_canary_request: float | None = None
    recovered: float | None = None
    done: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A release now. Weights in percent, times in seconds since the epoch, durations in seconds.

    `requests` are the canary's in this stage; `exposed` those of the whole release, `harmed` the failed among them.
    `served` are this stage's requests after its warmup and with its weight in place: the canary's, those of both, and
    how many of these the router's weight means for the canary. `disturbed` counts how often somebody put traffic on the
    canary after it was rolled back; `superseded` names the next release on this target.

    `engine` holds it, and raises nothing before `raise_after`. `entered_by` brought it where it stands, `entered_at`
    when; `revised` is what made the revision what it is. `approvals` are those that count for this stage and revision;
    `gate_at` is when its gate was reached (None: not yet), `gate_until` when it expires. `orders` are the ids of those
    accepted, `refused` those of the last that were not, with the reasons.
    """

    release: str
    service: str
    summary: str
    target: str
    plan_digest: str
    canary_wanted: str
    who: str
    rules: Rules
    manual_rollback: str
    created_at: float
    phase: Phase = Phase.PREFLIGHT
    stage: int = -1
    step: Step = Step.SHIFT
    epoch: int = 0
    engine: str = ""
    raise_after: float = 0.0
    where: str = ""
    entered_by: str = ""
    entered_at: float = 0.0
    revised: str = ""
    revised_at: float = 0.0
    approvals: tuple[Approval, ...] = ()
    gate_at: float | None = None
    gate_until: float | None = None
    gate_expired: bool = False
    canary: str = ""
    stable: str = ""
    canary_build: str = ""
    stable_build: str = ""
    canary_workload: str = ""
    stable_workload: str = ""
    desired: int = 0
    observed: float | None = None
    observed_at: float | None = None
    generation: str = ""
    mark: str = ""
    marked_by: str = ""
    canary_ready: int | None = None
    stable_ready: int | None = None
    canary_asked: int | None = None
    full: int | None = None
    share: float | None = None
    pending: str = ""
    hand: str = ""
    finished: bool = False
    remark: str = ""
    router_problem: str = ""
    capacity: Effort | None = None
    finishing: Effort | None = None
    letting_go: Effort | None = None
    disturbed: int = 0
    superseded: str = ""
    way_back_at: float | None = None
    way_back_problem: str = ""
    would: tuple[Would, ...] = ()
    intent: Intent | None = None
    intents: int = 0
    raises_out: frozenset[str] = frozenset()
    moved: bool = False
    paused_by: str = ""
    holds: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    step_at: float = 0.0
    warmed_s: float = 0.0
    baked_s: float = 0.0
    requests: float = 0.0
    served: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exposed: float = 0.0
    harmed: float = 0.0
    last_tick_at: float | None = None
    proved_at: float | None = None
    blind_since: float | None = None
    source_problem: str = ""
    samples: Mapping[str, Sample] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    alert_since: Mapping[str, float] = field(default_factory=dict)
    past_s: float | None = None
    remarks: tuple[str, ...] = ()
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    items: Mapping[str, ItemState] = field(default_factory=dict)
    weights: tuple[float, ...] = ()
    rollback: Stopwatch | None = None
    rollback_sightings: int = 0
    late: str = ""
    keep_until: float | None = None
    ended_at: float | None = None
    ending: str = ""
    journal_late: str = ""
    orders: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """What proof and orders are bound to: the plan and both versions that really run."""
        canary, stable = runs(self.canary, self.canary_build), runs(self.stable, self.stable_build)
        return f"{self.plan_digest[:12]}/{canary}/{stable}"

    @property
    def rule(self) -> StageRule | None:
        return self.rules.stages[self.stage] if 0 <= self.stage < len(self.rules.stages) else None

    @property
    def gate(self) -> GateRule | None:
        """The gate of where the release stands, reached or not; None where there is none."""
        if self.rules.watched or self.phase not in (Phase.PREFLIGHT, Phase.STAGE):
            return None
        if self.phase is Phase.PREFLIGHT:
            return self.rules.gate
        return self.rule.gate if self.rule is not None else None

    def answer_to(self, order: str) -> str | None:
        """How the order of that id was answered: "" when it was accepted, the reason when it was refused, None when it
        never came (or was refused very long ago)."""
        return "" if order in self.orders else self.refused.get(order)

    @property
    def wanted_weight(self) -> int:
        """The weight that the release is to have where it stands, written already or not."""
        if self.rule is None or self.phase not in FORWARD:
            return 0 if self.phase in FORWARD else self.desired
        return 100 if self.phase is Phase.FINISHING and self.rules.holdback else self.rule.weight

    @property
    def next_weight(self) -> int | None:
        """The weight that an advance would bring, None at the last stage."""
        following = self.stage + 1
        return self.rules.stages[following].weight if following < len(self.rules.stages) else None

    @property
    def shifting(self) -> bool:
        """An intent is not yet read back."""
        return self.intent is not None and not self.intent.confirmed

    def guarded(self, at: float) -> bool:
        """Rolled back a while ago at most, and no other release has the target: a weight that somebody puts on the
        canary is taken back."""
        if self.phase is not Phase.ROLLED_BACK or self.ended_at is None or self.superseded or not self.moved:
            return False
        return at - self.ended_at < self.rules.guard_s

    def check(self, listed: str, name: str) -> CheckState | None:
        return self.checks.get(check_key(listed, name))

    def checks_of(self, listed: str) -> tuple[CheckState, ...]:
        return tuple(check for check in self.checks.values() if check.list == listed)

    def open_items(self, listed: str) -> tuple[ItemState, ...]:
        return tuple(i for i in self.items.values() if i.item.list == listed and not i.settled)


def runs(version: str, build: str) -> str:
    """A version with what really runs of it, where that is known."""
    return f"{version}@{build}" if build else version


def check_key(listed: str, name: str) -> str:
    """The key of a check in `State.checks`: two lists may have a check of the same name."""
    return f"{listed}/{name}"


def worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that stands most in the way, None when all pass."""
    order = [Outcome.FAIL, Outcome.ERROR, Outcome.NO_DATA, Outcome.INCONCLUSIVE]
    blocking = [verdict for verdict in verdicts if verdict.outcome is not Outcome.PASS]
    return min(blocking, key=lambda verdict: order.index(verdict.outcome), default=None)
