"""What the release state machine is told: orders, observations, looks, answers, time. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.events import CheckList, CheckOutcome
from engine.judge.metric import Sample, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something the machine is told, at a time in seconds since the epoch."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Took(Input):
    """An engine with this fencing epoch takes the release. Before `raise_after` a write of the one before may still
    land: nothing is raised until then."""

    epoch: int
    engine: str = ""
    raise_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Input):
    """A person's order. Those that move forward carry the stage and revision they were meant for.

    `where` the person sits; `forbidden` is why this person may not order it, empty when they may; `break_glass`: roll
    back all the same.
    """

    id: str
    verb: str
    who: str
    reason: str = ""
    stage: int | None = None
    revision: str | None = None
    item: str = ""
    override: bool = False
    asked_at: float | None = None
    where: str = ""
    forbidden: str = ""
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What a router shows. Weight in percent of the traffic on the release's canary version, wherever that runs.

    weight:       the weight of those that were asked for which is in place, or what is there instead
    share:        the true share, where the router can't do the weight exactly (1 of 11 pods is 9.1%, not 5%)
    pending:      why what is written is not in effect everywhere (a condition, a silent instance); empty when it is
    canary, stable: versions, empty when they do not answer; `..._build` what really runs of them (a pod template's
                  hash, an image's digest), `..._workload` the name of what runs them
    canary_ready, stable_ready: replicas that can serve; `canary_asked` what the canary's owner wants
    full:         replicas that carry all of the traffic
    generation:   changes with every change of the object; mark: the number of the last intent written on it, `by` whom,
                  for which release and engine
    hand:         who changed the weight last, when it was not laneshift
    finished:     a copy or a handover is complete
    vitals:       readings of the canary's pods by name: restarts, oom_kills, unready
    remark:       what people should know of this reading
    """

    weight: float
    canary: str = ""
    stable: str = ""
    canary_ready: int | None = None
    stable_ready: int | None = None
    generation: str = ""
    mark: str = ""
    by: str = ""
    marked_release: str = ""
    engine: str = ""
    share: float | None = None
    pending: str = ""
    hand: str = ""
    canary_build: str = ""
    stable_build: str = ""
    canary_workload: str = ""
    stable_workload: str = ""
    canary_asked: int | None = None
    full: int | None = None
    finished: bool = False
    vitals: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Input):
    """The router was read; the reading began at `begun`. `seen` is None when it did not answer: `problem` says why."""

    begun: float
    seen: Observation | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Input):
    """One look of the judge. `weight` is what the router showed in the same tick, None when it was not read;
    `problem` is set when the source showed nothing of either side; `held` is False when the engine is not sure that it
    holds the release: such a look is no bake."""

    weight: float | None
    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]
    problem: str = ""
    held: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Input):
    """A write was answered, or its time was up. `conflict`: somebody changed the route since it was read."""

    number: str
    ok: bool
    detail: str = ""
    conflict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled(Input):
    """The router answered a wish for the size that `weight` needs."""

    weight: int
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTried(Input):
    """The router answered a step of a copy or a handover."""

    number: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo(Input):
    """The router gave back what it held, or could not."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed(Input):
    """The way back's write was tried without effect."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Input):
    """A check answered."""

    list: CheckList
    name: str
    attempt: int
    outcome: CheckOutcome
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(Input):
    """Time passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLearned(Input):
    """The judge knows stable's past: `seconds` of it; `remarks` say where the plan's baselines disagree with it."""

    seconds: float
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersedeOld(Input):
    """Release `by` began on the same target: the old side that this one kept serves another purpose now."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSlow(Input):
    """The journal did not take a record in time; the engine went ahead."""

    reason: str
