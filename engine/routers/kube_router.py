"""What routers on Kubernetes have in common: one object says where the traffic goes, and carries the marks.

It is written by JSON Patch, which tests names, for lists of the API are atomic. A raise tests besides that the object
and the number of its last write are as they were read; a way back tests names alone, takes their places from the last
reading, and always changes the number.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from engine.finding import Finding
from engine.inputs import Observation
from engine.kube import marks
from engine.kube.cluster import MANAGER, Cluster
from engine.kube.errors import KubeConflict, KubeError
from engine.kube.examination import examine_cluster
from engine.kube.marks import Marks, Operation, as_read, changed_by, marks_of, unmark
from engine.kube.owners import mover
from engine.kube.pair import Pair, Reading
from engine.kube.permissions import Permission, reading
from engine.kube.place import Place, compared_with
from engine.kube.resources import Resource
from engine.routers import Ending, Router, RouterConflict, RouterError, Write
from engine.routers.kube_config import PairConfig
from engine.routers.kube_findings import of_its_keepers, of_the_object, of_the_sides, wanted_permissions
from engine.routers.kube_script import kubectl

Object = Mapping[str, Any]
P = TypeVar("P", bound=Place)

CLAIMED = "claimed"  # the number on an object before its first write


class KubeRouter(Router, Generic[P]):
    """Moves traffic by one object; a kind of router says what stands where in it.

    word:    what findings call the object
    written: the path of what is moved, as managedFields name it
    notes:   annotations that it leaves besides the marks
    """

    word: ClassVar[str]
    written: ClassVar[tuple[str, ...]]
    notes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, config: PairConfig, kind: Resource, name: str, cluster: Cluster, pair: Pair, part: str = ""
    ) -> None:
        """`part`: what of the object is moved, in words."""
        self._settings, self._kind, self._name = config, kind, name
        self._cluster, self._pair = cluster, pair
        where = f" in context {config.context}" if config.context else ""
        self.target = f"{kind.kind} {config.namespace}/{name}{part}{where}"
        self._layout: P | None = None
        self._copied: bool | None = None  # None: not read yet
        self._restored = False
        self._stable_workload = ""

    # --- what a kind of router says

    @abstractmethod
    def _find(self, item: Object) -> P:
        """Where the object has both sides. Raises RouterError that names what is there instead."""

    @abstractmethod
    def _weight(self, item: Object, place: P) -> float:
        """The canary's share in percent, as the object says it. Raises RouterError."""

    @abstractmethod
    def _pending(self, item: Object) -> str:
        """Why what is written is not in effect, as far as the object's status tells; empty when it is."""

    def _compared(self, item: Object) -> str:
        """What a raise is compared with (`Place.unmoved`)."""
        return compared_with(item)

    @abstractmethod
    async def _findings(self, item: Object, place: P) -> list[Finding]:
        """What this kind of object needs besides. Raises RouterError."""

    # --- every router's

    async def observe(self) -> Observation:
        """The object as it is now; what runs, seconds old at most. Raises RouterError."""
        item = await self._read()
        place = self._place(item)
        if not self.foreign and (owner := await self._owner(item)):
            raise RouterError(
                f"{self.target} is moved by {owner}: end its rollout or take the {self.word} out of its hands"
            )
        reading = await self._pair.read()
        if "stable" in reading.sides:
            self._copied = reading.copied
            kind = (await self._pair.side("stable")).kind
            self._stable_workload = f"{kind.title}/{reading.sides['stable'].name}"
        return await self._shown(item, place, reading)

    async def shift(self, write: Write) -> str:
        """Write the weight; a way back also gives stable its own template again after a copy.

        Raises RouterConflict for a raise of an object that was changed since it was read, RouterError.
        """
        if write.weight:
            return await self._raise(write)
        told = await asyncio.gather(self._back(write), self._restore(write.release), return_exceptions=True)
        for each in told:
            if isinstance(each, BaseException):
                raise each
        return str(told[0])

    async def claim(self, release: str, engine: str) -> None:
        """Mark the object. Raises RouterConflict when it is another controller's or another engine's, RouterError."""
        item = await self._read()
        self._place(item)
        found = marks_of(item)
        if owner := await self._owner(item):
            raise RouterConflict(f"{self.target} is moved by {owner}")
        if found.release and found.engine != engine:
            free = f"{kubectl(self._settings)} annotate {self._named} {marks.RELEASE}- {marks.ENGINE}-"
            by = f"release {found.release} of another engine ({found.engine or 'unnamed'})"
            raise RouterConflict(f"{self.target} is held by {by}: end it there, or if that engine is gone: {free}")
        if (found.release, found.engine) != (release, engine):
            await self._mark(item, await self._claimed(release, engine, found))

    async def scale(self, weight: int) -> str:
        """Size both sides for this weight; nothing where the plan says `scale: none`. Raises RouterError."""
        if self._settings.scale == "none":
            return ""
        return await self._pair.scale(weight, await self._full_size())

    async def finish(self, write: Write) -> str:
        """A copy: stable gets the canary's template, is ready, then has the traffic. Raises RouterError."""
        reading = await self._pair.read()
        if not reading.copied:
            await self._pair.copy()
            self._copied = True
            return "stable gets the canary's template"
        stable = reading.sides["stable"]
        if not stable.settled or stable.ready < stable.wanted:
            return f"stable gets ready with the new version: {stable.ready} of {stable.wanted} replicas"
        item = await self._read()
        place = self._place(item)
        if self._weight(item, place) == 0:
            return "stable has the new version and all of the traffic"
        if self._compared(item) != write.generation:
            raise RouterConflict(f"the {self.word} was changed since it was read")
        await self._patch([*place.unmoved(write.generation), *self._operations(place, write, 0)])
        return "all traffic goes to stable, which has the new version"

    async def let_go(self, ending: Ending) -> str:
        """Give back minimums and marks; the canary goes when the ending says so, or when stable is its copy."""
        reading = await self._pair.read()
        done = [await self._pair.give_back()]
        self._restored = False
        if ending.canary_to_zero or (reading.copied and ending.outcome == "promoted"):
            done.append(await self._pair.shrink_canary())
        item = await self._read()
        if marks_of(item).release in ("", ending.release) and (operations := unmark(item, *self.notes)):
            await self._patch([*as_read(item, marks.RELEASE, marks.ENGINE), *operations])
            done.append(f"the {self.word}'s marks taken off")
        return ", ".join(filter(None, done))

    async def rehearse(self, write: Write) -> str:
        """The way back's write as a server-side dry run. Raises RouterError."""
        await self._write_back(write, dry_run=True)
        return "the way back's write as a server-side dry run"

    async def examine(self) -> list[Finding]:
        """Cluster, credentials, permissions, the object, both sides, and who else looks after them. Never raises."""
        wanted = self._permissions()
        findings = await examine_cluster(self._cluster, reading(wanted) if self.foreign else wanted)
        if findings[0].grade == "bad":
            return findings  # not reached: everything else would only say so again
        try:
            seen = await self.observe()
            item = await self._read()
            place = self._place(item)
            more = await self._findings(item, place)
            return [
                *findings,
                *of_the_object(self.word, self.target, self._kind, item, seen),
                *of_its_keepers(self.target, self._kind, item, place),
                *more,
                *of_the_sides(seen),
            ]
        except RouterError as error:
            return [*findings, Finding("bad", self.word, str(error))]

    async def close(self) -> None:
        """Stop watching and let go of connections."""
        await self._pair.close()
        await self._cluster.close()

    # --- what they are made of

    @property
    def _named(self) -> str:
        return f"{self._kind.title}/{self._name}"

    async def _read(self) -> Object:
        return await self._cluster.get(self._kind, self._settings.namespace, self._name)

    async def _patch(self, operations: list[Operation], *, dry_run: bool = False) -> Object:
        return await self._cluster.patch(self._kind, self._settings.namespace, self._name, operations, dry_run=dry_run)

    def _place(self, item: Object) -> P:
        self._layout = self._find(item)
        return self._layout

    async def _owner(self, item: Object) -> str:
        """Services that can't be read are the doctor's to tell; they don't hide where the traffic goes."""
        if owner := mover(item):
            return owner
        with suppress(KubeError):
            return await self._pair.owner()
        return ""

    async def _shown(self, item: Object, place: P, reading: Reading) -> Observation:
        """What is observed of the object and of both sides."""
        found, weight, pending = marks_of(item), self._weight(item, place), self._pending(item)
        canary, stable = reading.sides.get("canary"), reading.sides.get("stable")
        copied = reading.copied if stable else bool(self._copied)
        if (reading.restored or self._restored) and not (stable and stable.settled):
            ready = f"{stable.ready} of {stable.wanted} replicas" if stable else "it can't be read"
            pending = "; ".join(filter(None, (pending, f"stable goes back to its own template: {ready}")))
        manager, at = changed_by(item, *self.written)
        waiting = f"the canary's pods: {reading.vitals.waiting}" if reading.vitals and reading.vitals.waiting else ""
        return Observation(
            weight=100.0 if copied else weight,
            canary=canary.version if canary else "",
            stable=stable.version if stable else "",
            canary_ready=canary.ready if canary else None,
            stable_ready=stable.ready if stable else None,
            generation=self._compared(item),
            mark=found.intent,
            by=found.by,
            marked_release=found.release,
            engine=found.engine,
            pending=pending,
            hand=f"{manager} at {at}" if manager else "",
            canary_build=canary.build if canary else "",
            stable_build=stable.build if stable else "",
            canary_workload=canary.name if canary else "",
            stable_workload=stable.name if stable else "",
            canary_asked=canary.wanted if canary else None,
            full=_full(found, reading),
            finished=copied and weight == 0 and not pending and stable is not None and stable.settled,
            vitals=reading.vitals.numbers() if reading.vitals else {},
            remark="; ".join(filter(None, (*reading.remarks, waiting))),
        )

    def _operations(self, place: P, write: Write, weight: int) -> list[Operation]:
        values = {
            marks.RELEASE: write.release,
            marks.ENGINE: write.engine,
            marks.INTENT: write.number,
            marks.BY: MANAGER,
            marks.WEIGHT: str(write.weight),
        }
        return [*place.weights(weight), *place.marked(values)]

    async def _raise(self, write: Write) -> str:
        place = self._layout or self._place(await self._read())
        tests = [] if write.generation is None else place.unmoved(write.generation)
        try:
            written = await self._patch([*place.tests(), *tests, *self._operations(place, write, write.weight)])
        except KubeConflict:
            item = await self._read()
            if marks_of(item).intent == write.number and marks_of(item).weight == str(write.weight):
                return "written already"  # the answer to an earlier attempt was lost
            raise
        return f"written: {self._compared(written)}"

    async def _back(self, write: Write) -> str:
        return f"written: {self._compared(await self._write_back(write))}"

    async def _write_back(self, write: Write, *, dry_run: bool = False) -> Object:
        """Names where they were last seen; only when they have moved is the object read first."""
        place = self._layout or self._place(await self._read())
        try:
            return await self._patch([*place.tests(), *self._operations(place, write, 0)], dry_run=dry_run)
        except KubeConflict:
            place = self._place(await self._read())
            return await self._patch([*place.tests(), *self._operations(place, write, 0)], dry_run=dry_run)

    async def _restore(self, release: str) -> None:
        """After a copy. A router that has read nothing yet looks, and what it can't read is no reason to wait."""
        if self._copied is None:
            with suppress(KubeError):
                self._restored = await self._pair.restore(release)
        elif self._copied:
            self._restored = await self._pair.restore(release) or self._restored

    async def _full_size(self) -> int:
        full = _full(marks_of(await self._read()), await self._pair.read())
        if full is None:
            raise RouterError("stable's size is not known: nothing can be scaled to a share of it")
        return full

    async def _claimed(self, release: str, engine: str, found: Marks) -> dict[str, str]:
        stable = (await self._pair.read()).sides.get("stable")
        full = {marks.FULL: str(stable.wanted)} if stable and stable.wanted else {}
        number = {} if found.intent else {marks.INTENT: CLAIMED}
        return {marks.RELEASE: release, marks.ENGINE: engine, marks.BY: MANAGER, **full, **number}

    async def _mark(self, item: Object, values: Mapping[str, str]) -> None:
        place = self._place(item)
        await self._patch([*as_read(item, marks.RELEASE, marks.ENGINE), *place.marked(values)])

    def _permissions(self) -> list[Permission]:
        settings = self._settings
        return wanted_permissions(self._kind, settings.namespace, scales=settings.scale == "proportional")


def inside(service: Object) -> str:
    """A Service's base URL inside the cluster, at its first port."""
    meta = service["metadata"]
    return f"http://{meta['name']}.{meta['namespace']}.svc:{service['spec']['ports'][0]['port']}"


def _full(found: Marks, reading: Reading) -> int | None:
    """Replicas that carry all of the traffic: what stable had when the release began, or has by now if that is more."""
    stable = reading.sides.get("stable")
    return max(found.full or 0, stable.wanted if stable else 0) or None
