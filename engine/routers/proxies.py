"""What the routers of proxies have in common: several instances with the same weights, and none with compare-and-set.

- What is in effect is in effect on each instance. Observed is the one with most traffic on the canary; a silent one
  counts with what it last showed and is `pending`, as is any difference between them.
- One write at a time. A raise reads every instance first and is refused when one of them is silent or has moved on; a
  way back reads nothing, and ends a raise that is under way. Between a raise's reading and its writing a change by hand
  can be written over: neither proxy can prevent that.
- An instance that was started anew is given back what it had (`engine.routers.proxy_memory` says when). It is observed
  after that, and `pending` says it once: no weight rises unnoticed.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from engine.finding import Finding
from engine.inputs import Observation
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.routers.proxy_mark import NO_MARK, OWNER, Mark
from engine.routers.proxy_memory import Memory, Shown
from engine.routers.proxy_versions import AnsweredVersions

UNKNOWN: Final = "?"
GIVE_WAY_S: Final = 0.05  # how long a reading waits for a write that is under way
T = TypeVar("T")


class Instance(ABC):
    """One proxy. Each method gives up in time and raises RouterError, which begins with the instance's name."""

    name: str

    @abstractmethod
    async def read(self) -> Shown:
        """What it shows now."""

    @abstractmethod
    async def write(self, weight: int, mark: Mark) -> None:
        """Write the weight and the mark; reads nothing first."""

    @abstractmethod
    async def put_mark(self, mark: Mark) -> None:
        """Write the mark alone."""

    @abstractmethod
    async def rehearse(self) -> None:
        """Try a write that has no effect."""

    @abstractmethod
    async def examine(self) -> list[Finding]:
        """What a release needs of it beside being there, tried without changing anything."""

    @abstractmethod
    def unmark(self) -> str:
        """The command that takes the mark away, for a person."""


class ProxyRouter(Router):
    """Moves the weights on every instance. `workloads` run the canary and stable, as metrics name them."""

    def __init__(
        self,
        instances: Sequence[Instance],
        versions: AnsweredVersions,
        workloads: tuple[str, str],
        public: str | None,
    ) -> None:
        self._instances, self._versions, self._workloads, self._public = instances, versions, workloads, public
        self._memory = Memory()
        self._one_at_a_time = asyncio.Lock()
        self._raising: asyncio.Future[str] | None = None

    # --- reading

    async def observe(self) -> Observation:
        """What is in effect now on all instances. Raises RouterError when none of them answers."""
        await self._give_way()
        readings, versions = await asyncio.gather(self._read_all(), self._versions.read())
        put_back = await self._put_back(readings)
        seen = self._answered(readings)
        if not seen:
            raise RouterError(_reasons(readings))
        for instance, shown in seen:
            self._memory.keep(instance.name, shown)
        worst = max(self._last(readings), key=lambda shown: (shown.weight, shown.share or 0.0))
        return Observation(
            weight=worst.weight,
            share=worst.share,
            canary=versions["canary"],
            stable=versions["stable"],
            canary_ready=min(shown.canary_ready for _, shown in seen),
            stable_ready=min(shown.stable_ready for _, shown in seen),
            generation=".".join(self._pieces(readings)),
            mark=worst.mark.number,
            by=worst.mark.by,
            marked_release=worst.mark.release,
            engine=worst.mark.engine,
            pending="; ".join([*put_back, *_pending(readings, seen)]),
            hand=" and ".join(f"somebody at {instance.name}" for instance, shown in seen if shown.by_hand),
            canary_workload=self._workloads[0],
            stable_workload=self._workloads[1],
            remark="; ".join(sorted({shown.remark for _, shown in seen if shown.remark})),
        )

    async def addresses(self) -> dict[str, str]:
        """The first URL of each side, and the public one; those that the plan names."""
        return self._versions.addresses() | ({"public": self._public} if self._public else {})

    async def _give_way(self) -> None:
        """A write that has just begun goes first: a reading beside it would prove nothing, and delay it."""
        if self._one_at_a_time.locked():
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVE_WAY_S), self._one_at_a_time:
                    pass

    async def _read_all(self) -> list[Shown | RouterError]:
        return await _all(one.read() for one in self._instances)

    def _answered(self, readings: Sequence[Shown | RouterError]) -> list[tuple[Instance, Shown]]:
        pairs = zip(self._instances, readings, strict=True)
        return [(instance, shown) for instance, shown in pairs if isinstance(shown, Shown)]

    def _last(self, readings: Sequence[Shown | RouterError]) -> list[Shown]:
        """What each instance shows or, when it is silent, last showed."""
        known = (
            one if isinstance(one, Shown) else self._memory.last(instance.name)
            for instance, one in zip(self._instances, readings, strict=True)
        )
        return [shown for shown in known if shown is not None]

    def _pieces(self, readings: Sequence[Shown | RouterError]) -> list[str]:
        """The generation of each instance, in the plan's order; of a silent one what it last showed."""
        return [
            shown.generation if (shown := one if isinstance(one, Shown) else self._memory.last(at.name)) else UNKNOWN
            for at, one in zip(self._instances, readings, strict=True)
        ]

    # --- writing

    async def shift(self, write: Write) -> str:
        """Write the weight on every instance. Raises RouterConflict for a raise that comes too late, and RouterError
        with those instances that did not take it, after all others have."""
        self._memory.ask(write)
        if write.generation is not None:
            async with self._one_at_a_time:
                return await self._cancellable(self._raise(write, write.generation))
        if self._raising is not None:
            self._raising.cancel()
        async with self._one_at_a_time:
            return await self._write_all(write)

    async def _cancellable(self, raising: Awaitable[str]) -> str:
        """A write that a way back may end. Raises RouterConflict when one did."""
        self._raising = asyncio.ensure_future(raising)
        try:
            return await self._raising
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RouterConflict("a way back came between") from None
        finally:
            self._raising = None

    async def _raise(self, write: Write, generation: str) -> str:
        readings = await self._read_all()
        _raise_any(readings)
        if self._memory.asked is not write:
            raise RouterConflict("another write came between")
        wanted = generation.split(".")
        if len(wanted) != len(readings):
            raise RouterConflict("the plan names other instances than when they were read")
        for (instance, shown), piece in zip(self._answered(readings), wanted, strict=True):
            if piece != shown.generation and shown.mark.number != write.number:
                raise RouterConflict(f"{instance.name} has changed since it was read: it shows {shown.weight:g}%")
        return await self._write_all(write)

    async def _write_all(self, write: Write) -> str:
        mark = Mark(OWNER, write.release, write.number, write.engine, write.weight)
        answers = await _all(one.write(write.weight, mark) for one in self._instances)
        failed = [one for one in answers if isinstance(one, RouterError)]
        took = f"{len(answers) - len(failed)} of {len(answers)} took it"
        if failed:
            raise RouterError(f"{took}; {_reasons(failed)}")
        return took

    async def _put_back(self, readings: list[Shown | RouterError]) -> list[str]:
        """Give instances that were started anew what they had; says what was done. What they show then is put in
        `readings`."""
        lost = [
            (at, instance, wanted)
            for at, (instance, one) in enumerate(zip(self._instances, readings, strict=True))
            if isinstance(one, Shown) and (wanted := self._memory.lost(instance.name, one)) is not None
        ]
        if self._one_at_a_time.locked():
            return [f"{instance.name} was started anew" for _, instance, _ in lost]
        said = []
        for at, instance, wanted in lost:
            async with self._one_at_a_time:
                try:
                    said.append(await self._cancellable(self._restore(at, instance, wanted, readings)))
                except RouterError as error:
                    said.append(f"{wanted.weight:g}% could not be put back after a restart: {error}")
        return [one for one in said if one]

    async def _restore(self, at: int, instance: Instance, wanted: Mark, readings: list[Shown | RouterError]) -> str:
        before = readings[at]
        await instance.write(int(wanted.weight), wanted)
        readings[at] = await instance.read()
        if isinstance(before, Shown) and before.weight == wanted.weight:
            return ""
        return f"{instance.name} was started anew: {wanted.weight:g}% is put back"

    # --- whose it is

    async def claim(self, release: str, engine: str) -> None:
        """Mark every instance as this release's. Raises RouterConflict when one has another engine's mark."""
        async with self._one_at_a_time:
            readings = await self._read_all()
            _raise_any(readings)
            seen = self._answered(readings)
            for instance, shown in seen:
                _refuse_other(instance, shown.mark, engine)
            claims = [(at, shown.weight) for at, shown in seen if shown.mark.release != release]
            _raise_any(await _all(at.put_mark(Mark(OWNER, release, "", engine, weight)) for at, weight in claims))
            self._memory.forget(release, engine)

    async def let_go(self, ending: Ending) -> str:
        """Take the release's marks away, and put nothing back any more."""
        async with self._one_at_a_time:
            readings = await self._read_all()
            marked = [at for at, shown in self._answered(readings) if shown.mark.release == ending.release]
            _raise_any(await _all(one.put_mark(NO_MARK) for one in marked))
            _raise_any(readings)
            self._memory.forget()
        return "the mark is taken away" if marked else ""

    # --- before and after

    async def rehearse(self, write: Write) -> str:  # noqa: ARG002  each way back is written in the same way here
        """Try a write without effect on every instance. Raises RouterError with those that would not take it."""
        _raise_any(await _all(one.rehearse() for one in self._instances))
        return f"a write without effect, on {len(self._instances)} of {len(self._instances)}"

    async def examine(self) -> list[Finding]:
        """What the target shows, then what each instance can and can't do. Never raises."""
        findings = await super().examine()
        for instance, found in zip(self._instances, await _all(one.examine() for one in self._instances), strict=True):
            if isinstance(found, RouterError):
                findings.append(Finding("bad", instance.name, str(found), "see that it runs, and its address"))
            else:
                findings += found
        return findings

    async def close(self) -> None:
        """Let go of connections."""
        await self._versions.close()


async def _all(asked: Iterable[Awaitable[T]]) -> list[T | RouterError]:
    """Each answer or RouterError, in order; any other exception is raised once all have ended."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    found: list[T | RouterError] = []
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, RouterError):
            raise answer
        found.append(answer)
    return found


def _reasons(answers: Iterable[object]) -> str:
    return "; ".join(str(one) for one in answers if isinstance(one, RouterError))


def _raise_any(answers: Iterable[object]) -> None:
    if reasons := _reasons(answers):
        raise RouterError(reasons)


def _pending(readings: Iterable[Shown | RouterError], seen: Sequence[tuple[Instance, Shown]]) -> list[str]:
    said = [str(one) for one in readings if isinstance(one, RouterError)]
    said += [f"{instance.name}: {shown.pending}" for instance, shown in seen if shown.pending]
    if len({shown.weight for _, shown in seen}) > 1:
        said.append("they differ: " + ", ".join(f"{instance.name} shows {shown.weight:g}%" for instance, shown in seen))
    return said


def _refuse_other(instance: Instance, mark: Mark, engine: str) -> None:
    if mark.by == OWNER and mark.engine != engine:
        raise RouterConflict(
            f"{instance.name} carries the mark of {mark.release} of another engine, {mark.engine or 'without a name'}:"
            f" end that release there, or take the mark away: {instance.unmark()}"
        )
