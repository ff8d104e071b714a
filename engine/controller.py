"""Runs one release: observe, read, judge, decide, record, act.

The machine in `engine.release` decides; here its inputs are gathered and its intents carried out, each only after it is
recorded. Observing, looking and acting are separate loops: a slow router delays no look, a slow source no way back.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from engine import events as ev
from engine.checks import Check, CheckResult, Place
from engine.events import CheckList, CheckOutcome, Event, Rules, Step
from engine.inputs import (
    Answered,
    Checked,
    Clock,
    FinishTried,
    Input,
    JournalSlow,
    LetGo,
    Looked,
    Observed,
    Order,
    PastLearned,
    Rehearsed,
    Scaled,
    Took,
)
from engine.journal.recorder import Recorder
from engine.journal.records import Record
from engine.judge import Judge, Sample
from engine.judge import Rules as JudgeRules
from engine.plan.selector import Subject
from engine.release import LET_GO_TRIES, decide
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.sources import Source
from engine.sources.reading import Differences, Query, Reading
from engine.state import FINAL, FORWARD, GOING_BACK, Phase, State, apply
from engine.vitals import Vitals

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 60.0
PAST_LIMIT_S = 30.0
LOOK_LIMIT = 2  # scrape intervals; every source has a limit of its own below one
CLOCK_S = 0.5
HEAD_START_S = 0.02  # of a way back's write before stable is scaled beside it
IDLE_S = 10.0  # between two observations of a promoted release
AFTERMATH_S = 60.0  # how long a rolled back release is still read, for the last laps
LONGEST_SAID = 500  # characters of an answer or a reason
REHEARSE_AGAIN_S = 5.0  # after a trial of the way back that failed, which is in the way of every advance
RECENT = 2000  # records kept in memory for clients that come late


class Time(Protocol):
    """The wall clock and waiting, as values that a test can replace."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What one release works with. `hide` takes resolved secrets out of what the others say."""

    router: Router
    source: Source
    queries: tuple[Query, ...]
    checks: dict[str, Check]
    hide: Callable[[Any], Any] = lambda said: said


@dataclass(frozen=True, slots=True)
class Said:
    """One recorded event with its number in the release."""

    seq: int
    event: Event


class Controller:
    """One live release. `order` is the way in for people; `publish` hears every event once it is recorded."""

    def __init__(
        self,
        state: State,
        parts: Parts,
        recorder: Recorder,
        time: Time,
        *,
        publish: Callable[[Sequence[Said]], None],
        script: Callable[[State], Awaitable[None]],
        kept: dict[str, Any] | None = None,
        seq: int,
        engine: str = "",
    ) -> None:
        """`kept` is what was stored beside the last tick: raw counters and the judge's state; `seq` the last number.

        `script` writes rollback.sh; it is called when the release is taken and at each stage. `engine` names the
        journal in the marks that routers leave.
        """
        self.state = state
        self.seq = seq
        self.recent: deque[Said] = deque(maxlen=RECENT)
        self._parts = parts
        self._recorder = recorder
        self._time = time
        self._publish = publish
        self._script = script
        self._engine = engine
        self._scripting = asyncio.Lock()
        self._judge_rules = _judge_rules(state.rules)
        self._past_s = state.past_s or 0.0
        kept = kept or {}
        self._differences = Differences(parts.queries, kept.get("raw"))
        self._judge = self._restored_judge(kept)
        self._vitals = Vitals(state.rules.metrics, kept.get("vitals"))
        self._readings: Mapping[str, float] = {}  # of the canary's pods, as last observed
        self._moved = asyncio.Event()
        self._scaling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life

    async def run(self, epoch: int) -> None:
        """Take the release and see it through; returns when nothing more can happen to it."""
        self.tell(Took(at=self._time.now(), epoch=epoch))
        loops = [self._observing(), self._looking(), self._ticking(), self._rehearsing()]
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await self._stop_effects()

    async def close(self) -> None:
        """Stop what is under way and let go of connections."""
        await self._stop_effects()
        await self._recorder.close()
        await asyncio.gather(self._parts.router.close(), self._parts.source.close(), return_exceptions=True)

    @property
    def behind_s(self) -> float:
        """How long the oldest of its records has waited for the journal, in seconds."""
        return self._recorder.behind_s

    async def order(self, order: Order) -> list[Event]:
        """Decide on a person's order; returns what followed, once it is recorded: nothing acknowledged is lost."""
        events, recorded = self._decide(order)
        await asyncio.shield(recorded)
        return events

    def tell(self, given: Input, keep: dict[str, Any] | None = None) -> None:
        """Decide and fold; what follows is published and acted on when it is recorded. Never waits: with a journal
        that hangs the canary is watched still."""
        self._decide(given, keep)

    def _decide(self, given: Input, keep: dict[str, Any] | None = None) -> tuple[list[Event], asyncio.Future[None]]:
        was = self.state.phase
        events = decide(self.state, given)
        if not events:
            nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            return [], nothing
        first = self.seq + 1
        for event in events:
            self.state = apply(self.state, event)
            self._follow(event)
        self.seq += len(events)
        said = [Said(first + number, event) for number, event in enumerate(events)]
        urgent = was in GOING_BACK or self.state.phase in GOING_BACK
        records = [record_of(one) for one in said]
        return events, self._recorder.put(records, keep, then=lambda: self._recorded(said), urgent=urgent)

    def _recorded(self, said: Sequence[Said]) -> None:
        self.recent.extend(said)
        self._publish(said)
        for one in said:
            self._act(one.event)

    def _follow(self, event: Event) -> None:
        """What the judge must know, in the order of events."""
        if isinstance(event, ev.StageEntered):
            if event.stage == 0:
                asyncio.get_running_loop().call_soon(self._learned)  # what preflight showed is past now
            self._enter_stage(self._judge)
        elif isinstance(event, ev.RevisionChanged):
            self._judge, self._past_s = Judge(self._judge_rules), 0.0
            self._vitals = Vitals(self.state.rules.metrics)
            self._enter_stage(self._judge)
            self._differences = Differences(self._parts.queries)

    # --- acting

    def _act(self, event: Event) -> None:
        """Carry out a recorded intent."""
        if isinstance(event, ev.ShiftIntended):
            if event.weight > 0:
                self._moved.set()  # a way back is read once it is answered: before that a reading would only delay it
            self._start(self._shift(event), f"shift {event.number}")
        elif isinstance(event, ev.ChecksStarted):
            for name in event.names:
                self._start(self._check(event.list, name, event.attempt), f"check {name}")
        elif isinstance(event, ev.CapacityAwaited):
            if event.scale:
                if self._scaling is not None:
                    self._scaling.cancel()  # it would land on top of what is wanted now
                self._scaling = self._start(self._scale(event.weight), f"scale for {event.weight}%")
        elif isinstance(event, ev.FinishIntended):
            self._start(self._finish(event), f"finish {event.number}")
        elif isinstance(event, ev.LetGoIntended):
            if self._scaling is not None:
                self._scaling.cancel()
            self._start(self._let_go(event.canary_to_zero), "let go")
        elif isinstance(event, ev.StageEntered | ev.EngineTook):
            self._start(self._write_script(), "rollback.sh")

    async def _write_script(self) -> None:
        async with self._scripting:
            await self._script(self.state)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def _stop_effects(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shift(self, intent: ev.ShiftIntended) -> None:
        now = self.state.intent
        if now is not None and now.number == intent.number:
            ok, detail, conflict = await self._written(intent)
        else:
            ok, detail, conflict = False, "another write took its place before it was made", False
        self.tell(
            Answered(at=self._time.now(), number=intent.number, ok=ok, detail=self._bounded(detail), conflict=conflict)
        )
        self._moved.set()

    async def _written(self, intent: ev.ShiftIntended) -> tuple[bool, str, bool]:
        """Make the write; returns whether it was taken, what was answered, and whether the route had changed."""
        # Only stable's weight is written over anything: any other that comes late would land on a person's 0.
        guard = intent.generation if intent.weight > 0 else None
        write = self._write(intent.number, intent.weight, guard)
        return await self._asked_of_router(self._parts.router.shift(write), self._parts.router.shift_limit_s)

    def _write(self, number: str, weight: int, generation: str | None) -> Write:
        return Write(self.state.release, number, weight, generation, self._engine)

    async def _asked_of_router(self, asked: Awaitable[str], limit: float) -> tuple[bool, str, bool]:
        """What the router is asked to do, within `limit` seconds: was it done, what was answered, was it a conflict."""
        try:
            async with asyncio.timeout(limit):
                return True, await asked, False
        except TimeoutError:
            return False, f"no answer within {limit:g} s", False
        except RouterError as error:
            return False, str(error), isinstance(error, RouterConflict)
        except Exception as error:  # a router of another package: its bug must not stop the way back
            log.exception("the router failed")
            return False, f"the router failed: {type(error).__name__}: {error}", False

    async def _scale(self, weight: int) -> None:
        if weight == 0:
            await self._time.sleep(HEAD_START_S)
        ok, detail, _ = await self._asked_of_router(self._parts.router.scale(weight), self._parts.router.effort_limit_s)
        self.tell(Scaled(at=self._time.now(), weight=weight, ok=ok, detail=self._bounded(detail)))

    async def _finish(self, intent: ev.FinishIntended) -> None:
        write = self._write(intent.number, self.state.desired, self.state.generation)
        if self.state.phase is Phase.FINISHING:
            ok, detail, _ = await self._asked_of_router(
                self._parts.router.finish(write), self._parts.router.effort_limit_s
            )
        else:
            ok, detail = False, "the release went another way before it began"
        self.tell(FinishTried(at=self._time.now(), number=intent.number, ok=ok, detail=self._bounded(detail)))
        self._moved.set()

    async def _let_go(self, canary_to_zero: bool) -> None:
        ending = Ending(self.state.release, _outcome(self.state.phase), canary_to_zero)
        ok, detail, _ = await self._asked_of_router(
            self._parts.router.let_go(ending), self._parts.router.effort_limit_s
        )
        self.tell(LetGo(at=self._time.now(), ok=ok, detail=self._bounded(detail)))

    async def _check(self, listed: CheckList, name: str, attempt: int) -> None:
        result = await self._asked(name)
        self.tell(
            Checked(
                at=self._time.now(),
                list=listed,
                name=name,
                attempt=attempt,
                outcome=result.outcome,
                summary=self._bounded(result.summary),
                evidence=self._parts.hide(result.evidence),
            )
        )

    async def _asked(self, name: str) -> CheckResult:
        check = self._parts.checks.get(name)
        if check is None:
            return CheckResult(CheckOutcome.ERROR, "the plan has no such check")
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                addresses = await self._parts.router.addresses()
                result = await check.run(Place(addresses, self.state.canary, self.state.stable))
            json.dumps(result.evidence)  # what is no JSON could not be recorded
            return result
        except TimeoutError:
            return CheckResult(CheckOutcome.ERROR, f"no answer within {CHECK_LIMIT_S:g} s")
        except RouterError as error:
            return CheckResult(CheckOutcome.ERROR, str(error))
        except Exception as error:  # a check of another package: it could not answer, and that is an answer
            log.exception("check %s failed", name)
            return CheckResult(CheckOutcome.ERROR, f"{type(error).__name__}: {error}")

    def _bounded(self, said: str) -> str:
        """What a part of the release said, fit for the journal."""
        return str(self._parts.hide(said))[:LONGEST_SAID]

    # --- the loops

    async def _observing(self) -> None:
        while not self.over:
            await self._observe()
            await self._until_moved(self._observe_pause())

    async def _observe(self) -> None:
        begun = self._time.now()
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
        self.tell(Observed(at=self._time.now(), begun=begun, seen=seen, problem=self._bounded(problem)))

    def _observe_pause(self) -> float:
        state = self.state
        under_way = state.shifting and (state.phase is not Phase.ROLLED_BACK or state.disturbed)
        if state.phase in GOING_BACK or under_way:
            return self._parts.router.observe_pause_s
        return IDLE_S if state.phase is Phase.PROMOTED else min(1.0, state.rules.interval_s)

    async def _until_moved(self, seconds: float) -> None:
        """Wait, but no longer than until a weight is on its way."""
        self._moved.clear()
        waiting = [asyncio.ensure_future(self._time.sleep(seconds)), asyncio.ensure_future(self._moved.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _looking(self) -> None:
        while not self.over:
            if self.state.canary and self.state.past_s is None and self.state.phase is Phase.PREFLIGHT:
                await self._read_past()
            if self.state.canary and not self._watched_enough():
                await self._look()
            await self._time.sleep(self.state.rules.interval_s)

    async def _read_past(self) -> None:
        """Stable's past, where the source keeps it: what is usual, and how bad events come in bursts."""
        rules = self.state.rules
        differences = Differences(self._parts.queries)
        try:
            async with asyncio.timeout(PAST_LIMIT_S):
                readings = await self._parts.source.past(
                    self._parts.queries,
                    stable=_stable(self.state),
                    seconds=rules.history_s,
                    step=rules.interval_s,
                )
        except TimeoutError:
            readings = []
        except Exception:  # a source of another package; the judge learns from what it sees live
            log.exception("the source's past can't be read")
            readings = []
        if self.state.phase is not Phase.PREFLIGHT:
            return
        for reading in readings:
            samples = differences.since_last(reading)
            self._past_s += max((sample.seconds for sample in samples), default=0.0)
            self._judge.look(samples, weight=0.0, judged=False)
        self._learned()

    def _learned(self) -> None:
        learned = PastLearned(at=self._time.now(), seconds=round(self._past_s), remarks=self._judge.remarks())
        self.tell(learned)

    async def _look(self) -> None:
        revision = self.state.revision
        reading = await self._reading(canary=_canary(self.state), stable=_stable(self.state))
        state = self.state
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
        self.tell(
            Looked(
                at=reading.at, weight=weight, samples=samples, verdicts=verdicts, problem=self._blind(reading, samples)
            ),
            self._kept(),
        )

    def _blind(self, reading: Reading, samples: Sequence[Sample]) -> str:
        """Why nothing can be read that guards the canary; empty when something can. Gauges alone guard nothing, unless
        the plan has nothing else."""
        judged = [metric for metric in self.state.rules.metrics if metric.judged]
        guards = {metric.name for metric in judged if metric.kind != "gauge"} or {metric.name for metric in judged}
        guarding = [sample for sample in samples if sample.metric in guards]
        first = not guarding  # read for the first time: nothing to compare it with yet
        if not reading.problem and (first or any(sample.stable or sample.canary for sample in guarding)):
            return ""
        said = [reading.problem, "; ".join(reading.lost.values()), *(sample.problem for sample in guarding)]
        return self._bounded(next((one for one in said if one), "no metric that guards the release shows anything"))

    async def _reading(self, *, canary: Subject, stable: Subject) -> Reading:
        limit = LOOK_LIMIT * self.state.rules.interval_s
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
        return Reading(self._time.now(), {}, problem)

    async def _rehearsing(self) -> None:
        """The way back's write, tried without effect while there is a way back."""
        every = self.state.rules.rehearse_s
        while every and not self.over:
            ok = True
            if self.state.phase in FORWARD or self.state.keep_until is not None:
                write = self._write(f"{self.state.epoch}.0", 0, None)
                ok, detail, _ = await self._asked_of_router(
                    self._parts.router.rehearse(write), self._parts.router.effort_limit_s
                )
                self.tell(Rehearsed(at=self._time.now(), ok=ok, detail=self._bounded(detail)))
            await self._time.sleep(every if ok else min(every, REHEARSE_AGAIN_S))

    async def _ticking(self) -> None:
        while not self.over:
            self.tell(Clock(at=self._time.now()))
            await self._time.sleep(CLOCK_S)

    def _watched_enough(self) -> bool:
        """Is there nothing more to read from the source?"""
        state = self.state
        if state.phase is not Phase.ROLLED_BACK:
            return state.phase in FINAL
        if state.rollback is None or state.ended_at is None or not state.moved:
            return True
        laps = state.rollback.last_canary_request is not None and state.rollback.recovered is not None
        return laps or self._time.now() - state.ended_at > AFTERMATH_S

    @property
    def over(self) -> bool:
        """Can nothing more happen to it?"""
        state = self.state
        if not self._watched_enough() or not gave_back(state):
            return False
        if state.phase is not Phase.ROLLED_BACK:
            return state.keep_until is None
        return not state.moved or self._time.now() - (state.ended_at or 0.0) > state.rules.guard_s

    # --- what is kept beside the ticks

    def _enter_stage(self, judge: Judge) -> None:
        rule = self.state.rule
        if rule is None:
            judge.enter_stage(-1, 0, None)
            return
        needed = rule.min_requests if self.state.rules.until == "both" else None
        judge.enter_stage(self.state.stage, rule.weight, needed)

    def _kept(self) -> dict[str, Any]:
        return {
            "raw": self._differences.state(),
            "vitals": self._vitals.state(),
            "judge": {"stage": self.state.stage, "revision": self.state.revision, "state": self._judge.state()},
        }

    def _restored_judge(self, kept: dict[str, Any]) -> Judge:
        stored = kept.get("judge")
        if not stored or stored["revision"] != self.state.revision:
            judge = Judge(self._judge_rules)  # proof of another revision is worth nothing
            self._enter_stage(judge)
            return judge
        judge = Judge.restore(self._judge_rules, stored["state"])
        if stored["stage"] != self.state.stage:  # the stage began after the last tick was kept
            self._enter_stage(judge)
        return judge

    def journal_trouble(self, reason: str) -> None:
        """The journal does not take records (or, with "", does again). Said at once, and recorded when it can be."""
        if reason != self.state.journal_late:
            self.tell(JournalSlow(at=self._time.now(), reason=reason))


def gave_back(state: State) -> bool:
    """Nothing is held of the target any more, or giving it back was tried often enough."""
    effort = state.letting_go
    if not state.rules.holds_target:
        return True
    return effort is not None and effort.answered_at is not None and (effort.ok or effort.tries >= LET_GO_TRIES)


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


def _outcome(phase: Phase) -> Literal["promoted", "rolled_back", "cancelled"]:
    if phase is Phase.PROMOTED:
        return "promoted"
    return "rolled_back" if phase is Phase.ROLLED_BACK else "cancelled"


def _judge_rules(rules: Rules) -> JudgeRules:
    return JudgeRules(
        rules.metrics,
        rules.interval_s,
        max_bad_requests=rules.max_bad_requests,
        judge=rules.judge,
        looks=rules.looks,
    )


def record_of(said: Said) -> Record:
    """An event as the journal stores it."""
    kind, at, data = ev.to_data(said.event)
    return Record(said.seq, at, kind, data)


def events_of(records: Iterable[Record]) -> list[Said]:
    """Journal records as events. Raises KeyError for a kind that this version does not know."""
    return [Said(record.seq, ev.from_data(record.type, record.at, record.data)) for record in records]
