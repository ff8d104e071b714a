"""What can happen in a release. The journal is a list of these; folding them gives every state (see `engine.state`).

Times are seconds since the epoch, weights percent of traffic on the canary, `number` an intent's "epoch.sequence".
`who` is a person, `laneshift` for the engine itself, or `rollback.sh`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from engine.codec import decode, encode
from engine.judge.metric import Metric, Sample, Verdict

ENGINE = "laneshift"
SCRIPT = "rollback.sh"

CheckList = Literal["pre", "stage", "post"]
ItemList = Literal["pre", "during", "post"]
OnFail = Literal["rollback", "hold", "ask"]


class CheckOutcome(StrEnum):
    """A check answers yes or no; `ERROR` means that it could not be asked, or not of the canary."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


class Step(StrEnum):
    """Where a stage stands."""

    SHIFT = "shift"
    WARMUP = "warmup"
    BAKE = "bake"
    CHECKS = "checks"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class GateRule:
    """What people must say before the release goes on: `approvers` different ones. Undecided for `expires_s` seconds
    after the gate was reached, it expires, and `then` follows."""

    approvers: int = 0
    expires_s: float | None = None
    then: Literal["hold", "rollback"] = "hold"


@dataclass(frozen=True, slots=True)
class StageRule:
    """One stage of the plan: percent of traffic, seconds, canary requests, and the gate before it is left."""

    weight: int
    warmup_s: float
    bake_s: float
    min_requests: int
    gate: GateRule | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the checklist. `proof` names what ticks it without a person (see `engine.checklist`)."""

    id: str
    list: ItemList
    text: str
    proof: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """All of a plan that the state machine needs, so that the journal alone rebuilds a release.

    `capacity_s` is how long both sides may take to carry the next weight, `guard_s` how long a weight that somebody
    raises after a roll back is put back, `drain_s` and `canary_to_zero` what follows a roll back. `holds_target`: the
    router has something to give back at the end; `rehearse_s`: between two trials of the way back, 0 for none.
    `watched`: something else drives the release; laneshift only judges it and changes nothing. `gate` stands before the
    first stage. `production`: only an engine that comes back by itself may run it; `rollback_who`: who may roll back,
    names of users and groups, empty for every operator.
    """

    stages: tuple[StageRule, ...]
    metrics: tuple[Metric, ...]
    items: tuple[Item, ...]
    checks: Mapping[str, tuple[str, ...]]
    until: Literal["both", "either"] = "both"
    auto_advance: bool = False
    interval_s: float = 5.0
    converge_s: float = 60.0
    wait_for_canary_s: float = 600.0
    keep_old_s: float = 3600.0
    on_fail: OnFail = "rollback"
    on_fail_of: Mapping[str, OnFail] = field(default_factory=dict)
    blind_after_s: float = 120.0
    blind_then: Literal["hold", "rollback"] = "hold"
    budget_s: float = 120.0
    hard_limit_s: float = 300.0
    judge: Literal["sequential", "threshold"] = "sequential"
    looks: int = 3
    max_bad_requests: float | None = None
    history_s: float = 3600.0
    holdback: int = 0
    strategy: Literal["canary", "blue-green", "plain"] = "canary"
    finish: Literal["swap", "copy", "handover"] = "swap"
    scale: Literal["proportional", "none"] = "none"
    capacity_s: float = 600.0
    guard_s: float = 0.0
    drain_s: float = 0.0
    canary_to_zero: bool = False
    holds_target: bool = False
    rehearse_s: float = 0.0
    watched: bool = False
    gate: GateRule | None = None
    production: bool = False
    rollback_who: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, and when."""

    at: float


# --- the release and its engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(Event):
    """`files` are the SHA-256 of those that came with the plan, by name."""

    release: str
    service: str
    summary: str
    target: str
    plan_digest: str
    canary_wanted: str
    who: str
    rules: Rules
    manual_rollback: str
    where: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTook(Event):
    """An engine holds the release from now on; whatever the one before had under way is unknown, and until
    `raise_after` it may still land: nothing is raised before."""

    epoch: int
    engine: str = ""
    raise_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLate(Event):
    """The journal did not answer in time; the engine went ahead and kept the record aside."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySeen(Event):
    """Both sides are known: from now on they are the revision. `..._build` is what really runs of a version,
    `..._workload` the name of what runs it; empty where the router can't tell."""

    canary: str
    stable: str
    canary_build: str = ""
    stable_build: str = ""
    canary_workload: str = ""
    stable_workload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRead(Event):
    """The judge has read stable's past: `seconds` of it. `remarks` say where the plan's baselines disagree with it."""

    seconds: float
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionChanged(Event):
    """Something else runs now than what was judged and approved: all proof is void."""

    canary: str
    stable: str
    canary_build: str = ""
    stable_build: str = ""


# --- what people ordered


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(Event):
    """`where` the person sat: a host, a terminal, an address, as far as it is known."""

    order: str
    verb: str
    who: str
    reason: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused(Event):
    order: str
    verb: str
    who: str
    why: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Event):
    """Somebody who may not roll back does it all the same, for a reason."""

    who: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    who: str
    text: str


# --- gates


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReached(Event):
    """All that the engine can prove of this stage (-1: before the first) is proven: people decide, until `until`."""

    stage: int
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(Event):
    """One person's approval of what is shown now: this stage of this revision, and nothing else."""

    who: str
    stage: int
    revision: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsVoided(Event):
    """What was approved is not what is there now."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateExpired(Event):
    """Nobody decided in time; all approvals of this gate are void."""

    stage: int
    then: Literal["hold", "rollback"]
    reason: str


# --- checklist and checks


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemTicked(Event):
    item: str
    who: str
    note: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemUnticked(Event):
    item: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWaived(Event):
    item: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemNotApplicable(Event):
    item: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksStarted(Event):
    """Intent to run these checks; after a crash the same ones run again."""

    list: CheckList
    names: tuple[str, ...]
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished(Event):
    list: CheckList
    name: str
    attempt: int
    outcome: CheckOutcome
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


# --- stages and traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntered(Event):
    """The order to go on, by `who`; `override` is the reason when proof was missing."""

    stage: int
    who: str
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntered(Event):
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftIntended(Event):
    """The engine is about to write `weight`. `base` and `generation` are what it read before; a raise is
    compare-and-set on `generation`."""

    number: str
    weight: int
    base: float | None
    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftAnswered(Event):
    """The router answered the write (or its time was up). Only an observation says that it is in effect."""

    number: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftConfirmed(Event):
    """The intended weight was read back."""

    number: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightObserved(Event):
    """The router shows something else than it did; the fields are those of `engine.inputs.Observation`."""

    weight: float
    generation: str
    mark: str
    by: str
    canary_ready: int | None = None
    stable_ready: int | None = None
    share: float | None = None
    pending: str = ""
    hand: str = ""
    canary_asked: int | None = None
    full: int | None = None
    finished: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityAwaited(Event):
    """Both sides must be able to carry `weight`; with `scale` the engine is about to bring them to that size."""

    weight: int
    scale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleAnswered(Event):
    """The router answered a wish for another size (or its time was up)."""

    weight: int
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBackTried(Event):
    """The way back's write was tried without effect."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFollowed(Event):
    """A watched release: something else, `who` as far as the router can tell, moved the traffic."""

    weight: int
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldHave(Event):
    """A watched release: what laneshift would have done now, `advance` or `rollback`, and why."""

    act: Literal["advance", "rollback"]
    reason: str
    metric: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterLost(Event):
    """The router could not be read."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked(Event):
    """One look of the judge: samples and verdicts, and how much of the time since the last one counts (seconds).
    `held`: the engine was sure that it holds the release."""

    good_s: float
    weight: float | None
    requests: float
    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    problem: str = ""
    held: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanged(Event):
    verdict: Verdict
    was: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    metric: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCleared(Event):
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """The release stands still for `cause` until that is released."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Event):
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Event):
    """A failing metric whose plan says `ask`: unanswered at `due`, it is rolled back."""

    metric: str
    question: str
    due: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswered(Event):
    metric: str
    who: str
    answer: str


# --- the way back


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackStarted(Event):
    """`asked_at` is when the key was pressed or the verdict fell; `metric` what failed, if one did."""

    asked_at: float
    who: str
    reason: str
    metric: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackSeen(Event):
    """One observation, begun after the write was answered, that shows all traffic on stable."""

    begun: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackLate(Event):
    """Past the budget, or past the hard limit (`failed`): said loudly, still trying."""

    failed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LapRecorded(Event):
    """A late lap of the rollback's stopwatch: `last_canary_request` or `recovered`, at `when`."""

    lap: str
    when: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack(Event):
    pass


# --- the end


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishStarted(Event):
    who: str
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishIntended(Event):
    """The engine is about to begin, or to carry on, what `finish` says beyond a swap: a copy or a handover."""

    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishAnswered(Event):
    """The router answered; only an observation says that it is finished."""

    number: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGoIntended(Event):
    """The engine is about to give back what it held of the target."""

    canary_to_zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGoAnswered(Event):
    """What was given back, or why it could not be."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed(Event):
    """After the release was rolled back somebody put traffic on the canary: for the `times`th time. `put_back` says
    whether laneshift takes it back once more."""

    weight: float
    hand: str
    times: int
    put_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted(Event):
    """All traffic is on the canary for good; the old side is kept until `keep_until`."""

    keep_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSideReleased(Event):
    """The old side is no way back any more."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(Event):
    """Release `by` has the target now: this one keeps nothing there any more, and guards and gives back nothing."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    who: str
    reason: str


TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}


def to_data(event: Event) -> tuple[str, float, dict[str, Any]]:
    """The event as (type, at, JSON data) for the journal and the stream."""
    data = encode(event)
    return type(event).__name__, data.pop("at"), data


def from_data(kind: str, at: float, data: Mapping[str, Any]) -> Event:
    """The event of a journal record. Raises KeyError for a type this version does not know."""
    return decode(TYPES[kind], {**data, "at": at})
