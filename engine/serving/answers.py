"""What the engine answers, as models: the OpenAPI document is made from them, and the tests hold every answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.access.roles import Role
from engine.events import Step
from engine.finding import Finding
from engine.judge.metric import Counts, Metric, Outcome
from engine.state import CheckState, ItemState, Phase, Stopwatch
from engine.state.model import Approval, Would


class Answer(BaseModel):
    """A JSON object of exactly these fields; a later version may add some."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Error(Answer):
    """Why it was not done, in a sentence."""

    error: str


class Weight(Answer):
    """The canary's share of the traffic in percent: as asked for, and as last read."""

    desired: int
    observed: float | None


class Row(Answer):
    """One release in the list. `created_at` in seconds since the epoch, `stage` from 0, -1 before the first."""

    release: str
    service: str
    target: str
    phase: Phase
    stage: int
    weight: Weight
    paused_by: str
    created_at: float


class ListedRow(Row):
    """One release in the list: `here` is how many are attached, `holder` the engine that has it."""

    here: int
    holder: str


class Attached(Answer):
    """Somebody who follows a release, since a time in seconds since the epoch. One of them drives it: gave its last
    accepted order."""

    who: str
    where: str
    since: float
    driving: bool


class Gate(Answer):
    """What people must say where the release stands; undecided at `until` it expires."""

    approvers: int
    approved: list[Approval]
    missing: int
    until: float | None
    expired: bool


class Exposure(Answer):
    """What the canary has served, and how much of it was bad."""

    requests: float
    bad: float


class Past(Answer):
    """How much of stable's past the judge knows, and where the plan's baselines disagree with it."""

    seconds: float | None
    remarks: list[str]


class Verdict(Answer):
    """What the judge says of one metric now, and why."""

    metric: str
    outcome: Outcome
    reason: str
    alert: bool
    canary: Counts
    stable: Counts
    needed: float | None
    numbers: Mapping[str, float | None]


class Done(Answer):
    """How many checklist items are settled."""

    done: int
    total: int


class WayBack(Answer):
    """When the way back was last tried without effect, and what was wrong with it."""

    tried_at: float | None
    problem: str


class RouteInfo(Answer):
    """What the route says beside its weight."""

    pending: str
    share: float | None
    hand: str
    remark: str


class Ready(Answer):
    """Replicas that can serve."""

    canary: int | None
    canary_asked: int | None
    stable: int | None
    full: int | None


class Look(Row):
    """Everything that decides about one release."""

    summary: str
    revision: str
    canary: str
    stable: str
    step: Step
    stages: list[int]
    baked_s: float
    requests: float
    exposure: Exposure
    weights: list[float]
    holds: dict[str, str]
    alerts: dict[str, str]
    waits_for: str
    until: float | None
    then: str
    orders: list[str]
    metrics: list[Metric]
    past: Past
    verdicts: dict[str, Verdict]
    checks: list[CheckState]
    checklist: Done
    items: list[ItemState]
    rollback: Stopwatch | None
    way_back: WayBack
    route: RouteInfo
    ready: Ready
    gate: Gate | None
    production: bool
    watched: bool
    would: list[Would]
    keep_until: float | None
    ending: str
    manual_rollback: str
    notices: list[str]
    holder: str
    here: list[Attached]


class You(Answer):
    """Who the caller is to the engine."""

    who: str
    roles: list[Role]
    where: str


class EngineInfo(Answer):
    """Who this engine is, since when, what is wrong with it, and who you are to it."""

    pid: int
    epoch: int
    started_at: float
    notices: list[str]
    releases: int
    identity: str
    supervised: bool
    shared: bool
    store: Literal["sqlite", "postgresql"]
    version: str
    you: You


class Started(Answer):
    """The release that a start began, or that an earlier one with the same key did."""

    release: str


class Accepted(Answer):
    """The order was accepted; it is in effect when the release's events say so."""

    accepted: str
    phase: Phase


class Findings(Answer):
    """What the doctor found."""

    findings: list[Finding]


class Forgotten(Answer):
    """What was forgotten, or would be: whole `releases`, `ticks` of others too, and about how many bytes."""

    releases: list[str]
    ticks: int
    freed: int
    dry_run: bool


class Stopping(Answer):
    """The engine stops soon."""

    stopping: bool
