"""Releases to look at, made by the real state machine on a clock of their own: no engine, no time, no chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from engine import events as ev
from engine.checklist import default_items
from engine.events import CheckOutcome, Event, GateRule, Rules, StageRule
from engine.gates import blockers
from engine.inputs import Answered, Checked, Clock, Input, Looked, Observation, Observed, Order, PastLearned, Took
from engine.judge.metric import Counts, Metric, Outcome, Sample, Threshold, Verdict
from engine.release import decide
from engine.state import State, apply, created

MANY = 2000  # looks; more than any stage of these needs
START = 1_795_442_400.0  # a Monday in November, 14:00:00 UTC
CANARY, STABLE = "v1.5.0", "v1.4.0"
MANUAL = "sh /var/lib/laneshift/checkout-7/rollback.sh"

METRICS = (
    Metric("error_rate", "bad", (Threshold(0.02), Threshold(2, relative=True)), baseline=0.001, weight="critical"),
    Metric("latency_p95", "latency", (Threshold(0.4),), baseline=0.15, quantile=0.95),
    Metric("latency_p99", "latency", (Threshold(1.5),), baseline=0.5, quantile=0.99),
    Metric("checkout_success", "good", (Threshold(0.9, above=False),), baseline=0.98),
    Metric("db_pool_used", "gauge", (Threshold(80),), baseline=50, limit=100),
    Metric("active_users", "gauge", (), weight="informational"),
)
STAGES = tuple(StageRule(weight, 4, 60, 200) for weight in (5, 25, 50, 100))
BASE = {
    "error_rate": (0.0011, 0.0012),
    "latency_p95": (0.152, 0.149),
    "latency_p99": (0.51, 0.502),
    "checkout_success": (0.981, 0.979),
    "db_pool_used": (51.0, 49.0),
    "active_users": (1204.0, 3811.0),
}


def rules(**other: object) -> Rules:
    """The rules of the rehearsed plan."""
    usual: dict[str, object] = {
        "stages": STAGES,
        "metrics": METRICS,
        "items": default_items(STAGES, METRICS),
        "checks": {"pre": ("smoke",), "stage": ("healthz",), "post": ()},
        "interval_s": 2.0,
        "keep_old_s": 600.0,
    }
    return Rules(**(usual | other))  # type: ignore[arg-type]  # a mapping of a dataclass's own fields


@dataclass
class Rehearsal:
    """One release: `feed` it inputs; `events` is its journal so far, `at` its clock."""

    rules: Rules = field(default_factory=rules)
    at: float = START
    service: str = "checkout"
    who: str = "ann"
    summary: str = "Retry card payments once on a gateway timeout"
    manual: str = MANUAL
    weight: float = 0.0
    canary: str = CANARY

    def __post_init__(self) -> None:
        first = ev.Created(
            at=self.at,
            release="checkout-7",
            service=self.service,
            summary=self.summary,
            target="sandbox http://127.0.0.1:7480/admin/route",
            plan_digest="5f2b8c0d9e1a4c77",
            canary_wanted="",
            who=self.who,
            rules=self.rules,
            manual_rollback=self.manual,
        )
        self.events: list[Event] = [first]
        self.state: State = created(first)
        self.orders = 0
        self.looks = 0
        self.feed(Took(at=self.at, epoch=1))

    def feed(self, given: Input) -> None:
        """Decide and fold."""
        for event in decide(self.state, given):
            self.record(event)
        if self.state.canary and self.state.past_s is None:
            self.feed(PastLearned(at=self.at, seconds=3600, remarks=()))

    def record(self, event: Event) -> None:
        """An event as if decided."""
        self.events.append(event)
        self.state = apply(self.state, event)

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.feed(Clock(at=self.at))

    def order(self, verb: str, **said: object) -> None:
        """Somebody's order, meant for what is now."""
        self.orders += 1
        usual: dict[str, object] = {"stage": self.state.stage, "revision": self.state.revision, "who": self.who}
        self.feed(Order(at=self.at, id=f"o{self.orders}", verb=verb, **(usual | said)))  # type: ignore[arg-type]  # as above

    def observe(self) -> None:
        """The router is read."""
        self.feed(Observed(at=self.at, begun=self.at, seen=self.observation()))

    def observation(self) -> Observation:
        return Observation(self.weight, self.canary, STABLE, 1, 1, f"g{self.weight:g}")

    def write(self) -> None:
        """The pending write is answered and takes effect."""
        assert self.state.intent is not None
        self.at += 0.1
        self.weight = float(self.state.intent.weight)
        self.feed(Answered(at=self.at, number=self.state.intent.number, ok=True))
        self.at += 0.2
        self.observe()

    def check(self, name: str, outcome: CheckOutcome = CheckOutcome.PASS, summary: str = "200 in 12 ms") -> None:
        """The running check of that name answers."""
        running = next(c for c in self.state.checks.values() if c.name == name and c.outcome is None)
        self.feed(
            Checked(at=self.at, list=running.list, name=name, attempt=running.attempt, outcome=outcome, summary=summary)
        )

    def look(self, *, bad: dict[str, tuple[float, Outcome, str]] | None = None, problem: str = "") -> None:
        """One look of the judge two seconds later; `bad`: metric -> its reading, outcome and reason."""
        self.at += 2.0
        self.observe()
        self.looks += 1
        samples, verdicts = [], []
        for metric in () if problem else METRICS:
            canary, stable = (self._wave(value, number) for number, value in enumerate(BASE[metric.name]))
            outcome, reason = Outcome.PASS, f"{metric.name} inside its lines"
            if bad and metric.name in bad:
                canary, outcome, reason = bad[metric.name]
            total = 3.0 * self.weight
            shown = Counts(total, 0, 0, canary) if total else None
            samples.append(Sample(metric.name, 2.0, Counts(300 - total, 1, 1, stable), shown))
            counted = total * (1 + self.state.baked_s / 2)
            share = 1 - canary if metric.kind == "good" else canary
            seen = Counts(counted, counted * share if metric.kind in ("bad", "good") else 0, value=canary)
            verdicts.append(Verdict(metric.name, outcome, reason, alert=metric.name in (bad or {}), canary=seen))
        self.feed(
            Looked(
                at=self.at,
                weight=self.weight,
                samples=tuple(samples),
                verdicts=tuple(verdicts),
                problem=problem,
            )
        )

    def _wave(self, value: float, phase: int) -> float:
        return value * (1 + 0.04 * math.sin(self.looks * 0.9 + phase))

    def looks_until(self, step: ev.Step) -> None:
        """Look until the stage is there."""
        for _ in range(MANY):
            if self.state.step is step:
                return
            self.look()
        raise AssertionError(f"{step} is never reached: {blockers(self.state, self.at)}")


def preflight() -> Rehearsal:
    """Canary there, the smoke check passed, one item ticked, one waived, the others open."""
    release = Rehearsal()
    release.wait(2)
    release.observe()
    release.check("smoke")
    release.order("tick", item="regression", reason="CI run 4711 is green")
    release.order("waive", item="performance", reason="no load test for this service yet")
    return release


def ready_to_start() -> Rehearsal:
    """Every pre item is settled."""
    release = preflight()
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id)
    release.observe()
    return release


def baking(looks: int = 14) -> Rehearsal:
    """In the bake of the second stage."""
    release = ready_to_start()
    release.order("advance")
    release.write()
    release.looks_until(ev.Step.CHECKS)
    release.check("healthz")
    release.order("advance")
    release.write()
    for _ in range(looks):
        release.look()
    return release


def ready() -> Rehearsal:
    """At the gate of the second stage."""
    release = baking()
    release.looks_until(ev.Step.CHECKS)
    release.check("healthz")
    return release


def paused() -> Rehearsal:
    release = baking()
    release.order("pause", who="bob")
    return release


def alert() -> Rehearsal:
    """Past the line, not yet proven."""
    release = baking()
    said = "error_rate 2.9% (9 of 310): past its line, not yet proven"
    release.look(bad={"error_rate": (0.029, Outcome.INCONCLUSIVE, said)})
    return release


FAILING = "error_rate 4.89% (31 of 634) against a line of 2%: proven"


def rolling_back() -> Rehearsal:
    """The judge proved it; the write is under way."""
    release = baking()
    release.look(bad={"error_rate": (0.0489, Outcome.FAIL, FAILING)})
    release.at += 0.4
    return release


def rolled_back() -> Rehearsal:
    release = rolling_back()
    release.write()
    release.wait(1.0)
    release.observe()
    release.look()
    return release


def late() -> Rehearsal:
    """Past its budget: every write fails."""
    release = rolling_back()
    assert release.state.intent is not None
    release.feed(Answered(at=release.at, number=release.state.intent.number, ok=False, detail="503 from the gateway"))
    release.wait(121)
    return release


def promoted() -> Rehearsal:
    """All four stages, then the old side kept."""
    release = ready()
    for _ in range(2):
        release.order("advance")
        release.write()
        release.looks_until(ev.Step.CHECKS)
        release.check("healthz")
    release.order("advance")
    release.wait(1.0)
    return release


def gated(approvers: int = 2, expires_s: float | None = 7200.0) -> Rehearsal:
    """At the gate of the second stage, which people must approve; ann was the first."""
    gate = GateRule(approvers, expires_s)
    stages = tuple(replace(stage, gate=gate if stage.weight == 25 else None) for stage in STAGES)
    release = Rehearsal(rules=rules(stages=stages))
    release.wait(2)
    release.observe()
    release.check("smoke")
    for item in release.state.open_items("pre"):
        release.order("tick", item=item.item.id)
    for _ in range(2):
        release.observe()
        release.order("advance")
        release.write()
        release.looks_until(ev.Step.CHECKS)
        release.check("healthz")
    release.order("approve")
    return release
