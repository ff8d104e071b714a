"""Reads the router and the source, and feeds the judge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.controller.parts import Live, Parts
from engine.events import Rules, Step
from engine.inputs import Looked, Observed, PastLearned
from engine.judge import Judge, Sample
from engine.judge import Rules as JudgeRules
from engine.plan.selector import Subject
from engine.routers import RouterError
from engine.sources.reading import Differences, Reading
from engine.state import Phase, State
from engine.vitals import Vitals

log = logging.getLogger(__name__)

PAST_LIMIT_S = 30.0
LOOK_LIMIT = 2  # scrape intervals; every source has a limit of its own below one


class Eyes:
    """What one release sees, and what its judge makes of it."""

    def __init__(self, release: Live, parts: Parts, kept: Mapping[str, Any]) -> None:
        """`kept` is what was stored beside the last tick: raw counters and the judge's state."""
        state = release.state
        self._release = release
        self._parts = parts
        self._judge_rules = _judge_rules(state.rules)
        self._past_s = state.past_s or 0.0
        self._differences = Differences(parts.queries, kept.get("raw"))
        self._judge = self._restored_judge(kept)
        self._vitals = Vitals(state.rules.metrics, kept.get("vitals"))
        self._readings: Mapping[str, float] = {}  # of the canary's pods, as last observed

    @property
    def _state(self) -> State:
        return self._release.state

    # --- what the judge must know

    def enter_stage(self) -> None:
        """Another stage begins."""
        self._enter_stage(self._judge)

    def forget(self) -> None:
        """Another version runs: what was seen of the one before proves nothing."""
        self._judge, self._past_s = Judge(self._judge_rules), 0.0
        self._vitals = Vitals(self._state.rules.metrics)
        self._enter_stage(self._judge)
        self._differences = Differences(self._parts.queries)

    def learned(self) -> None:
        """Say what is known of stable's past."""
        told = PastLearned(at=self._release.time.now(), seconds=round(self._past_s), remarks=self._judge.remarks())
        self._release.tell(told)

    # --- the router

    async def observe(self) -> None:
        """Read the router once."""
        begun = self._release.time.now()
        seen, problem = None, ""
        limit = self._parts.router.observe_limit_s
        try:
            async with asyncio.timeout(limit):
                seen = await self._parts.router.observe()
        except TimeoutError:
            problem = f"no answer within {limit:g} s"
        except RouterError as error:
            problem = str(error)
        except Exception as error:  # a router of another package
            log.exception("the router failed")
            problem = f"the router failed: {type(error).__name__}: {error}"
        self._readings = seen.vitals if seen is not None else {}
        self._release.watcher.observed(problem)
        said = self._parts.bounded(problem)
        self._release.tell(Observed(at=self._release.time.now(), begun=begun, seen=seen, problem=said))

    # --- the source

    async def read_past(self) -> None:
        """Stable's past, where the source keeps it: what is usual, and how bad events come in bursts."""
        rules = self._state.rules
        differences = Differences(self._parts.queries)
        try:
            async with asyncio.timeout(PAST_LIMIT_S):
                readings = await self._parts.source.past(
                    self._parts.queries,
                    stable=_stable(self._state),
                    seconds=rules.history_s,
                    step=rules.interval_s,
                )
        except TimeoutError:
            readings = []
        except Exception:  # a source of another package; the judge learns from what it sees live
            log.exception("the source's past can't be read")
            readings = []
        if self._state.phase is not Phase.PREFLIGHT:
            return
        for reading in readings:
            samples = differences.since_last(reading)
            self._past_s += max((sample.seconds for sample in samples), default=0.0)
            self._judge.look(samples, weight=0.0, judged=False)
        self.learned()

    async def look(self) -> None:
        """Read the source once, and judge."""
        revision = self._state.revision
        reading = await self._reading(canary=_canary(self._state), stable=_stable(self._state))
        self._release.watcher.read(self._parts.source, reading.problem)
        state = self._state
        if revision != state.revision:
            return  # read of a revision that is void by now
        samples = self._differences.since_last(reading)
        if not samples and not reading.problem:
            return  # the first reading: nothing to compare it with
        samples += self._vitals.samples(reading.at, self._readings)
        weight = None if state.router_problem or state.observed_at is None else state.observed
        in_place = weight is not None and weight == state.desired and not state.pending
        past_warmup = state.phase is Phase.FINISHING or (
            state.phase is Phase.STAGE and state.step not in (Step.SHIFT, Step.WARMUP)
        )
        if state.phase is Phase.PREFLIGHT:
            self._past_s += max((sample.seconds for sample in samples), default=0.0)
        verdicts = self._judge.look(samples, weight=_least_weight(state, weight), judged=in_place and past_warmup)
        looked = Looked(
            at=reading.at,
            weight=weight,
            samples=samples,
            verdicts=verdicts,
            problem=self._blind(reading, samples),
            held=self._release.lease.left_s() > 0,
        )
        self._release.tell(looked, self._kept())

    def _blind(self, reading: Reading, samples: Sequence[Sample]) -> str:
        """Why nothing can be read that guards the canary; empty when something can. Gauges alone guard nothing, unless
        the plan has nothing else."""
        judged = [metric for metric in self._state.rules.metrics if metric.judged]
        guards = {metric.name for metric in judged if metric.kind != "gauge"} or {metric.name for metric in judged}
        guarding = [sample for sample in samples if sample.metric in guards]
        first = not guarding  # read for the first time: nothing to compare it with yet
        if not reading.problem and (first or any(sample.stable or sample.canary for sample in guarding)):
            return ""
        said = [reading.problem, "; ".join(reading.lost.values()), *(sample.problem for sample in guarding)]
        why = next((one for one in said if one), "no metric that guards the release shows anything")
        return self._parts.bounded(why)

    async def _reading(self, *, canary: Subject, stable: Subject) -> Reading:
        limit = LOOK_LIMIT * self._state.rules.interval_s
        try:
            async with asyncio.timeout(limit):
                found = await self._parts.source.read(self._parts.queries, canary=canary, stable=stable)
                hide = self._parts.hide
                said = {"problem": hide(found.problem), "doubts": hide(found.doubts), "lost": hide(found.lost)}
                return replace(found, **said)
        except TimeoutError:
            problem = f"the source did not answer within {limit:g} s"
        except Exception as error:  # a source of another package: its bug must not end the watch
            log.exception("the source failed")
            problem = f"the source failed: {type(error).__name__}: {error}"
        return Reading(self._release.time.now(), {}, problem)

    # --- what is kept beside the ticks

    def _enter_stage(self, judge: Judge) -> None:
        rule = self._state.rule
        if rule is None:
            judge.enter_stage(-1, 0, None)
            return
        needed = rule.min_requests if self._state.rules.until == "both" else None
        judge.enter_stage(self._state.stage, rule.weight, needed)

    def _kept(self) -> dict[str, Any]:
        return {
            "raw": self._differences.state(),
            "vitals": self._vitals.state(),
            "judge": {"stage": self._state.stage, "revision": self._state.revision, "state": self._judge.state()},
        }

    def _restored_judge(self, kept: Mapping[str, Any]) -> Judge:
        stored = kept.get("judge")
        if not stored or stored["revision"] != self._state.revision:
            judge = Judge(self._judge_rules)  # proof of another revision is worth nothing
            self._enter_stage(judge)
            return judge
        judge = Judge.restore(self._judge_rules, stored["state"])
        if stored["stage"] != self._state.stage:  # the stage began after the last tick was kept
            self._enter_stage(judge)
        return judge


def _canary(state: State) -> Subject:
    return Subject(state.canary, state.canary_build, state.canary_workload)


def _stable(state: State) -> Subject:
    return Subject(state.stable, state.stable_build, state.stable_workload)


def _least_weight(state: State, shown: float | None) -> float:
    """What the canary has at least of what the router shows: where that is not in effect everywhere, the weight before
    it may hold still, and a canary is not silent for a gateway that takes its time. A copy or a handover takes the
    traffic to where stable ran."""
    if state.finishing is not None:
        return 0.0
    if shown is None or not state.pending or state.intent is None:
        return shown or 0.0
    return min(shown, state.intent.base or 0.0)


def _judge_rules(rules: Rules) -> JudgeRules:
    return JudgeRules(
        rules.metrics,
        rules.interval_s,
        max_bad_requests=rules.max_bad_requests,
        judge=rules.judge,
        looks=rules.looks,
    )
