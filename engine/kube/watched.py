"""Objects that are known without asking: listed once, watched since, and proven to be no older than seconds.

A watch alone proves nothing by its silence: its API server may have stopped, or lost etcd, and goes on serving what it
remembers. So a watch that was silent for `QUIET_S` is proven by a list (a consistent read, of these few objects); one
that shows what the watch did not tell makes the watch begin anew. Who asks with `objects` gets nothing older than
`OLDEST_S`, and waits for a list of its own when the watch can't prove that. What must be *begun* after a moment (the
weight of a route, which proves a roll back) is not taken from here at all: it is read with `Cluster.get`.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.resources import Resource

QUIET_S: Final = 3.0
OLDEST_S: Final = 5.0
LONGEST_PAUSE_S: Final = 5.0
WATCH_S: Final = 300
GONE: Final = 410

Object = dict[str, Any]


class Watched:
    """The objects of one kind in a namespace: of one name, of a label selection, or all of them."""

    def __init__(self, cluster: Cluster, kind: Resource, namespace: str, *, name: str = "", selector: str = "") -> None:
        self._cluster, self._kind, self._namespace = cluster, kind, namespace
        fields = {"fieldSelector": f"metadata.name={name}"} if name else {}
        self._query: Mapping[str, str] = fields | ({"labelSelector": selector} if selector else {})
        self._objects: dict[str, Object] = {}
        self._proven_at = float("-inf")
        self._listing: asyncio.Task[bool] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._version = ""

    @property
    def age(self) -> float:
        """Seconds since what is known was last proven; infinite before the first list."""
        return time.monotonic() - self._proven_at

    @property
    def known(self) -> list[Object]:
        """What is known now, however old: for what may not wait."""
        return list(self._objects.values())

    async def objects(self, oldest: float = OLDEST_S) -> list[Object]:
        """What was true at most `oldest` seconds ago; the first to ask begins the watch. Raises KubeError."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        if self.age > oldest:
            await self._list()
        return self.known

    async def close(self) -> None:
        """Stop watching."""
        tasks = [task for task in (self._watching, self._listing) if task is not None]
        self._watching = self._listing = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _list(self) -> bool:
        """Read them all, once for everybody who asks now. Was there anything that was not known?"""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._listed())
            self._listing.add_done_callback(_heard)
        return await asyncio.shield(self._listing)

    async def _listed(self) -> bool:
        began = time.monotonic()
        answer = await self._cluster.list(self._kind, self._namespace, self._query)
        found = {_name(item): item for item in answer["items"]}
        news = {name: _version(item) for name, item in found.items()} != {
            name: _version(item) for name, item in self._objects.items()
        }
        self._objects, self._version, self._proven_at = found, _version(answer), began
        return news

    async def _watch(self) -> None:
        """For as long as it is wanted: what fails is tried again, and told to who asks by a list of their own."""
        pause = 0.1
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                pause = 0.1
            except KubeError as error:
                if error.status == GONE:
                    self._version = ""
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  jitter is no secret
                pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _follow(self) -> None:
        """Take events until the watch ends, or a list shows something that it did not tell."""
        query = {**self._query, "resourceVersion": self._version, "timeoutSeconds": str(WATCH_S)}
        async with self._cluster.watch(self._kind, self._namespace, query) as lines:
            coming = _next(lines)
            try:
                while True:
                    await asyncio.wait({coming}, timeout=max(0.1, QUIET_S - self.age))
                    if not coming.done():
                        if self.age >= QUIET_S and await self._list():
                            return
                        continue
                    line = coming.result()
                    if not line:
                        return
                    self._take(json.loads(line))
                    coming = _next(lines)
            finally:
                coming.cancel()

    def _take(self, event: Mapping[str, Any]) -> None:
        """One event of the watch. Raises KubeError for one that ends it."""
        changed: Object = event["object"]
        if event["type"] == "ERROR":
            raise KubeError(str(changed.get("message", "the watch failed")), int(changed.get("code") or 0))
        if _number(_version(changed)) < _number(self._version):
            return  # a list has overtaken it
        self._version, self._proven_at = _version(changed), time.monotonic()
        if event["type"] == "DELETED":
            self._objects.pop(_name(changed), None)
        elif event["type"] != "BOOKMARK":
            self._objects[_name(changed)] = changed


def _next(lines: AsyncIterator[bytes]) -> asyncio.Task[bytes]:
    async def one() -> bytes:
        return await anext(lines, b"")

    return asyncio.create_task(one())


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])


def _version(item: Mapping[str, Any]) -> str:
    return str(item["metadata"].get("resourceVersion", ""))


def _number(version: str) -> int:
    """Versions of one kind grow (KEP-5504); an API server whose versions are no numbers can't be compared."""
    return int(version) if version.isdigit() else 0


def _heard(listing: asyncio.Task[bool]) -> None:
    """Its failure was told to those who waited; nobody may have."""
    if not listing.cancelled():
        listing.exception()
