"""What routers have in common whose traffic another controller moves: one object of that controller's, and its marks.

A raise is refused when the object is not as it was read. A way back is an order to the controller beside a mark that
voids every raise before it: both are sent at once, from what was read last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar

from engine.kube.cluster import MANAGER, Cluster
from engine.kube.errors import KubeError
from engine.kube.marks import (
    BY,
    ENGINE,
    INTENT,
    RELEASE,
    WEIGHT,
    Operation,
    annotate,
    annotations_of,
    as_read,
    marks_of,
    unmark,
)
from engine.kube.resources import Resource
from engine.routers import Ending, Router, RouterConflict, Write
from engine.routers.kube_script import kubectl
from engine.routers.owner_config import OwnedConfig

Object = Mapping[str, Any]


class OwnedRouter(Router):
    """Reads, marks and orders through one object.

    kind:  what it is
    notes: annotations that are left on it besides the marks
    """

    kind: ClassVar[Resource]
    notes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: OwnedConfig, name: str) -> None:
        self._settings, self._object = config, name
        self._cluster = Cluster(config.kubeconfig, config.context)
        where = f" in context {config.context}" if config.context else ""
        self.target = f"{self.kind.kind} {config.namespace}/{name}{where}"

    async def let_go(self, ending: Ending) -> str:
        """Take the marks off. The sizes are its controller's affair. Raises RouterError."""
        item = await self._item()
        operations = unmark(item, *self.notes)
        if marks_of(item).release not in ("", ending.release) or not operations:
            return ""
        await self._patch([*as_read(item, RELEASE, ENGINE), *operations])
        return f"took laneshift's marks off {self.target}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._cluster.close()

    async def _take(self, item: Object, release: str, engine: str) -> bool:
        """Mark it as this release's, without anything of the one before; False when it is already.

        Raises RouterConflict when another engine's release has it.
        """
        found = marks_of(item)
        if found.release and found.engine != engine:
            free = f"{kubectl(self._settings)} annotate {self.kind.title}/{self._object} {RELEASE}- {ENGINE}-"
            by = f"release {found.release} of another engine ({found.engine or 'unnamed'})"
            raise RouterConflict(f"{self.target} is held by {by}: end it there, or if that engine is gone: {free}")
        if (found.release, found.engine) == (release, engine):
            return False
        mine = annotate({RELEASE: release, ENGINE: engine}, first=not annotations_of(item))
        await self._patch([*as_read(item, RELEASE, ENGINE), *unmark(item, *self.notes), *mine])
        return True

    async def _back(self, ordered: Awaitable[str], values: Mapping[str, str]) -> str:
        """An order to go back, and the marks of it, at once. Raises what either met."""
        marked = self._cluster.patch(
            self.kind, *self._place, {"metadata": {"annotations": dict(values)}}, how="merge-patch"
        )
        said, failed = await asyncio.gather(ordered, marked, return_exceptions=True)
        for each in (said, failed):
            if isinstance(each, BaseException):
                raise each
        return str(said)

    async def _rehearse(self, item: Object, write: Write, order: list[Operation]) -> None:
        """The marks and the order of a way back, as dry runs of the API server."""
        await self._patch(annotate(marks_for(write), first=not annotations_of(item)), dry_run=True)
        await self._patch(order, part="status", dry_run=True)

    @property
    def _place(self) -> tuple[str, str]:
        return self._settings.namespace, self._object

    async def _item(self) -> dict[str, Any]:
        """The object. Raises KubeError, with the names of those that are there when it is not."""
        try:
            return await self._cluster.get(self.kind, *self._place)
        except KubeError as error:
            if error.status != 404:
                raise
            there = await self._cluster.list(self.kind, self._settings.namespace)
            names = ", ".join(each["metadata"]["name"] for each in there["items"]) or "none"
            raise KubeError(f"there is no {self.target}; there is {names}", error.status) from None

    async def _patch(self, operations: list[Operation], *, part: str = "", dry_run: bool = False) -> None:
        await self._cluster.patch(self.kind, *self._place, operations, subresource=part, dry_run=dry_run)

    def _or_given(self, inside: Mapping[str, str]) -> dict[str, str]:
        """The addresses inside the cluster, but for those that the plan gives."""
        given = self._settings.addresses.model_dump(exclude_none=True)
        return {**inside, **{side: str(url) for side, url in given.items()}}


def marks_for(write: Write) -> dict[str, str]:
    """The annotations of a write."""
    return {RELEASE: write.release, ENGINE: write.engine, INTENT: write.number, WEIGHT: str(write.weight), BY: MANAGER}
