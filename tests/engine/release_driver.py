"""A release under test: feed it inputs at given times, fold what it says, walk it to any state in a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from engine import events as ev
from engine.events import CheckOutcome, Event, Item, Rules, StageRule, Step
from engine.inputs import (
    Answered,
    Checked,
    Clock,
    FinishTried,
    Input,
    LetGo,
    Looked,
    Observation,
    Observed,
    Order,
    PastLearned,
    Scaled,
    Took,
)
from engine.judge import Counts, Metric, Outcome, Sample, Threshold, Verdict
from engine.release import decide
from engine.state import Phase, State, apply, created, fold

START = 1_000_000.0
MANUAL = "curl -X PUT the stable weight"
PREVIEW = (StageRule(0, 0, 0, 0), StageRule(100, 0, 20, 200))  # blue-green
STAGES = (StageRule(5, 5, 10, 100), StageRule(25, 0, 10, 100), StageRule(100, 0, 20, 200))
ERRORS = Metric("errors", "bad", (Threshold(0.02),))
LATENCY = Metric("latency", "latency", (Threshold(0.25),), quantile=0.95)
CPU = Metric("cpu", "gauge", (), weight="informational")
ITEMS = (
    Item("smoke", "pre", "smoke tests pass", ("check:smoke",)),
    Item("security", "pre", "security scanning completes"),
    Item("stage-5", "during", "start at 5% and watch", ("stage:0",)),
    Item("cleanup", "post", "cleanup scheduled"),
)
BOUND = ("advance", "approve")  # orders that name the stage and revision that they are meant for
CHECKS = {"pre": ("smoke",), "stage": ("health",), "post": ("integrity",)}


def rules(**changes: Any) -> Rules:
    """Three stages, two judged metrics, one check and one person's item before the release."""
    kept: dict[str, Any] = {"stages": STAGES, "metrics": (ERRORS, LATENCY, CPU), "items": ITEMS, "checks": CHECKS}
    return Rules(**{**kept, **changes})


def creation(plan: Rules, *, canary_wanted: str = "v2", at: float = START) -> ev.Created:
    return ev.Created(
        at=at,
        release="shop-1",
        service="shop",
        summary="retry payments",
        target="sandbox",
        plan_digest="0123456789abcdef",
        canary_wanted=canary_wanted,
        who="ada",
        rules=plan,
        manual_rollback=MANUAL,
    )


def verdict(metric: str, outcome: Outcome = Outcome.PASS, *, requests: float = 1000, alert: bool = False) -> Verdict:
    return Verdict(metric, outcome, f"{metric}: {outcome.value}", alert, Counts(requests), Counts(requests * 9), 1.0)


def sample(metric: str, *, canary: float = 50, stable: float = 950, value: float = 0.001) -> Sample:
    return Sample(metric, 5.0, Counts(stable, value=value), Counts(canary, value=value))


def stored(event: Event) -> Event:
    """The event as it comes back from the journal."""
    kind, at, data = json.loads(json.dumps(ev.to_data(event)))
    return ev.from_data(kind, at, data)


def names(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


class Driver:
    """One release and the little of the world that it sees. `now` moves only by `after`."""

    def __init__(self, plan: Rules | None = None, *, canary_wanted: str = "v2") -> None:
        self.now = START
        self.events: list[Event] = [creation(plan or rules(), canary_wanted=canary_wanted)]
        self.state: State = created(self.events[0])  # type: ignore[arg-type]  # it is the Created of the line above
        self.weight, self.generation = 0.0, 1
        self.canary, self.stable = "v2", "v1"
        self.mark, self.by = "", ""
        self.shown: dict[str, Any] = {}  # what the router shows beside
        self._orders = 0
        self.tell(Took(at=self.now, epoch=1))

    def phase(self) -> Phase:
        return self.state.phase

    def step(self) -> Step:
        return self.state.step

    # --- inputs

    def tell(self, given: Input) -> list[Event]:
        """Decide and fold; what was said is returned and kept."""
        said = decide(self.state, given)
        for event in said:
            self.state = apply(self.state, event)
        self.events += said
        if self.state.canary and self.state.past_s is None:
            self.tell(PastLearned(at=self.now, seconds=3600, remarks=()))
        return said

    def after(self, seconds: float) -> Driver:
        self.now += seconds
        return self

    def clock(self) -> list[Event]:
        return self.tell(Clock(at=self.now))

    def observe(self, **changes: Any) -> list[Event]:
        """The router is read, at once; `changes` are fields of the observation that differ from the world's."""
        shown = {
            "weight": self.weight,
            "canary": self.canary,
            "stable": self.stable,
            "canary_ready": 2,
            "stable_ready": 2,
            "generation": str(self.generation),
            "mark": self.mark,
            "by": self.by,
        }
        return self.tell(Observed(at=self.now, begun=self.now, seen=Observation(**{**shown, **self.shown, **changes})))

    def shows(self, **fields: Any) -> Driver:
        """From now on the router shows this too."""
        self.shown |= fields
        return self

    def lose_router(self) -> list[Event]:
        return self.tell(Observed(at=self.now, begun=self.now, seen=None, problem="refused"))

    def look(
        self, *verdicts: Verdict, problem: str = "", weight: float | None = None, held: bool = True
    ) -> list[Event]:
        """The judge looks; metrics not named pass."""
        said = {one.metric: one for one in (verdict("errors"), verdict("latency"), verdict("cpu"), *verdicts)}
        weight = self.weight if weight is None else weight
        served = {"canary": 10 * weight, "stable": 1000 - 10 * weight}
        samples = () if problem else (sample("errors", **served), sample("latency", **served), sample("cpu"))
        given = () if problem else tuple(said.values())
        return self.tell(
            Looked(at=self.now, weight=weight, samples=samples, verdicts=given, problem=problem, held=held)
        )

    def answer(self, *, ok: bool = True, detail: str = "", conflict: bool = False, number: str = "") -> list[Event]:
        """The router answers the last write, or the one of that number."""
        number = number or self.intended.number
        return self.tell(Answered(at=self.now, number=number, ok=ok, detail=detail, conflict=conflict))

    def scaled(self, *, ok: bool = True, detail: str = "") -> list[Event]:
        """The router answers the last wish for another size."""
        asked = next(event for event in reversed(self.events) if isinstance(event, ev.CapacityAwaited))
        return self.tell(Scaled(at=self.now, weight=asked.weight, ok=ok, detail=detail))

    def finish_tried(self, *, ok: bool = True, detail: str = "") -> list[Event]:
        """The router answers the last step of a copy or a handover."""
        asked = next(event for event in reversed(self.events) if isinstance(event, ev.FinishIntended))
        return self.tell(FinishTried(at=self.now, number=asked.number, ok=ok, detail=detail))

    def let_go(self, *, ok: bool = True, detail: str = "") -> list[Event]:
        """The router gives back what it held, or can't."""
        return self.tell(LetGo(at=self.now, ok=ok, detail=detail))

    def checked(self, name: str, outcome: CheckOutcome = CheckOutcome.PASS, *, attempt: int = 0) -> list[Event]:
        """The running check of that name answers."""
        check = next(check for check in self.state.checks.values() if check.name == name)
        return self.tell(
            Checked(
                at=self.now,
                list=check.list,
                name=name,
                attempt=attempt or check.attempt,
                outcome=outcome,
                summary=f"{name} {outcome.value}",
            )
        )

    def order(self, verb: str, **fields: Any) -> list[Event]:
        """A person's order with a fresh id, meant for what is painted now unless said otherwise."""
        self._orders += 1
        meant = {"stage": self.state.stage, "revision": self.state.revision} if verb in BOUND else {}
        given = {"id": f"o{self._orders}", "who": "ada", **meant, **fields}
        return self.tell(Order(at=self.now, verb=verb, **given))

    def restart(self, **took: Any) -> list[Event]:
        """kill -9 and a new engine: all it knows is the journal. `took` is what it says of itself."""
        again = fold([stored(event) for event in self.events])
        assert again is not None
        self.state = again
        return self.tell(Took(at=self.now, epoch=self.state.epoch + 1, **took))

    # --- the world

    @property
    def intended(self) -> ev.ShiftIntended:
        """The last write that the release meant to make."""
        return next(event for event in reversed(self.events) if isinstance(event, ev.ShiftIntended))

    @property
    def writes(self) -> list[int]:
        return [event.weight for event in self.events if isinstance(event, ev.ShiftIntended)]

    def said(self, kind: type[Event]) -> list[Any]:
        """All events of that kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def set_weight(self, weight: float, *, mark: str = "", by: str = "") -> Driver:
        """The route changes, by whomever."""
        self.weight, self.generation, self.mark, self.by = weight, self.generation + 1, mark, by
        return self

    def land(self) -> Driver:
        """The last write lands and is answered."""
        self.set_weight(self.intended.weight, mark=self.intended.number, by="laneshift")
        self.answer()
        return self

    # --- walks

    def ready(self) -> Driver:
        """Both versions known, everything before the release proven."""
        self.after(1).observe()
        self.look()
        self.checked("smoke")
        self.order("tick", item="security")
        return self

    def cancelled(self) -> Driver:
        self.ready().order("cancel")
        return self

    def shifting(self) -> Driver:
        """The first stage's raise is intended."""
        self.ready().order("advance")
        return self

    def arrived(self) -> Driver:
        """The intended weight is in effect."""
        self.after(1).land().after(1).observe()
        return self

    def watch(self, seconds: float, *verdicts: Verdict) -> Driver:
        """Good looks, one per interval, for that long; the first counts for nothing."""
        self.look(*verdicts)
        for _ in range(round(seconds / 5)):
            self.after(5).observe()
            self.look(*verdicts)
        return self

    def baking(self) -> Driver:
        """The first stage, past its warmup."""
        return self.shifting().arrived().watch(5)

    def at_gate(self) -> Driver:
        """The first stage with all its proof."""
        self.baking().watch(10).checked("health")
        return self

    def next_gate(self) -> Driver:
        """From one stage's gate to the next one's."""
        self.order("advance")
        self.arrived().watch(20).checked("health")
        return self

    def finishing(self) -> Driver:
        """Past the last stage; the checks after the release run."""
        self.at_gate().next_gate().next_gate().order("advance")
        return self

    def promoted(self) -> Driver:
        self.finishing().checked("integrity")
        return self

    def rolling_back(self) -> Driver:
        self.baking().order("rollback", reason="it smells")
        return self

    def rolled_back(self) -> Driver:
        self.rolling_back().arrived().after(1).observe()
        return self
