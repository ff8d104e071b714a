"""A Kubernetes cluster as laneshift uses it: any object as a plain dict, in time or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from engine.kube.connection import VERSION, Connection, Request
from engine.kube.errors import KubeError
from engine.kube.resources import Resource

if TYPE_CHECKING:
    from engine.kube.credentials import Credentials

TIME_LIMIT_S: Final = 4.0
"""Below the 5 s that a router has, so that what is told is what went wrong here and not only that it took too long."""

MANAGER: Final = "laneshift"

Patch = Literal["json-patch", "merge-patch", "strategic-merge-patch", "apply-patch"]
Operations = Sequence[Mapping[str, Any]]
_CONTENT_TYPES: Final[Mapping[Patch, str]] = {
    "json-patch": "application/json-patch+json",
    "merge-patch": "application/merge-patch+json",
    "strategic-merge-patch": "application/strategic-merge-patch+json",
    "apply-patch": "application/apply-patch+yaml",  # JSON is YAML
}


class Cluster:
    """One cluster, as one user. Opened by its first request, or by `open` before it.

    Without `kubeconfig`: $KUBECONFIG, then ~/.kube/config, then the pod's own service account; without `context`: the
    current one. Every method raises KubeError (`status` is the HTTP status) within its time limit in seconds, and
    KubeConflict where it says so. Answers 429 and 5xx, and lost connections, are retried within it; no other 4xx is.
    """

    def __init__(self, kubeconfig: Path | str | None = None, context: str | None = None) -> None:
        self._connection = Connection(Path(kubeconfig).expanduser() if kubeconfig else None, context)

    @property
    def clock_skew(self) -> float | None:
        """Seconds that the API server's clock is ahead of ours, by its last answer (to a second)."""
        return self._connection.clock_skew

    @property
    def credentials(self) -> Credentials | None:
        """Who we are there and until when, since it is open."""
        return self._connection.credentials

    async def open(self, time_limit: float = TIME_LIMIT_S) -> Credentials:
        """Read the credentials and make the connections warm; safe to repeat."""
        await self._connection.warm(time_limit)
        credentials = self._connection.credentials
        assert credentials is not None
        return credentials

    async def renew(self) -> None:
        """Read the credentials anew; connections stay where only the token has changed."""
        await self._connection.renew()

    async def version(self) -> dict[str, Any]:
        """What the API server calls itself: `gitVersion` and more."""
        return await self._connection.send(VERSION, TIME_LIMIT_S)

    async def get(
        self, kind: Resource, namespace: str, name: str, subresource: str = "", *, time_limit: float = TIME_LIMIT_S
    ) -> dict[str, Any]:
        """One object; `status` of the error is 404 when it is not there."""
        words = kind.words(namespace, name, subresource)
        return await self._connection.send(
            Request("GET", kind.path(namespace, name, subresource), "read", words), time_limit
        )

    async def list(
        self,
        kind: Resource,
        namespace: str = "",
        query: Mapping[str, str] | None = None,
        *,
        time_limit: float = TIME_LIMIT_S,
    ) -> dict[str, Any]:
        """The list object: `items`, and `metadata.resourceVersion`. `query`: labelSelector, fieldSelector, ..."""
        request = Request("GET", kind.path(namespace), "list", kind.words(namespace), query or {})
        return await self._connection.send(request, time_limit)

    def watch(
        self, kind: Resource, namespace: str, query: Mapping[str, str]
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The lines of a watch, JSON each; `query` has the resourceVersion and the selectors."""
        sent = {"watch": "1", "allowWatchBookmarks": "true", **query}
        return self._connection.stream(Request("GET", kind.path(namespace), "watch", kind.words(namespace), sent))

    async def patch(
        self,
        kind: Resource,
        namespace: str,
        name: str,
        body: Mapping[str, Any] | Operations,
        *,
        how: Patch = "json-patch",
        subresource: str = "",
        dry_run: bool = False,
        time_limit: float = TIME_LIMIT_S,
    ) -> dict[str, Any]:
        """Change an object and return it. KubeConflict when a `test` or a resourceVersion does not hold.

        `apply-patch` is server-side apply as the manager laneshift; it takes fields over by force.
        """
        force = {"force": "true"} if how == "apply-patch" else {}
        request = Request(
            "PATCH",
            kind.path(namespace, name, subresource),
            "patch",
            kind.words(namespace, name, subresource),
            _writing(dry_run=dry_run) | force,
            body if isinstance(body, Mapping) else [*body],
            _CONTENT_TYPES[how],
        )
        return await self._connection.send(request, time_limit)

    async def create(
        self,
        kind: Resource,
        namespace: str,
        body: Mapping[str, Any],
        *,
        dry_run: bool = False,
        time_limit: float = TIME_LIMIT_S,
    ) -> dict[str, Any]:
        """Create an object and return it. KubeConflict when it is there already."""
        words = kind.words(namespace, str(body.get("metadata", {}).get("name", "")))
        request = Request("POST", kind.path(namespace), "create", words, _writing(dry_run=dry_run), body)
        return await self._connection.send(request, time_limit)

    async def delete(self, kind: Resource, namespace: str, name: str, *, time_limit: float = TIME_LIMIT_S) -> None:
        """Delete an object; one that is gone already is no error."""
        request = Request("DELETE", kind.path(namespace, name), "delete", kind.words(namespace, name))
        try:
            await self._connection.send(request, time_limit)
        except KubeError as error:
            if error.status != 404:
                raise

    async def close(self) -> None:
        """Let go of everything."""
        await self._connection.close()


def _writing(*, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})
