"""The gateway of the embedded sandbox: a route with two weighted backends, over HTTP."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Mapping
from typing import Any

import httpx

from engine.events import SCRIPT
from engine.inputs import Observation
from engine.routers import Router, RouterConflict, RouterError, Write
from engine.routers.config import SandboxConfig

TIME_LIMIT_S = 5.0
OWNER = "laneshift"

_SCRIPT = """
put() {{ curl -fsS -m 5 -X PUT -H 'Content-Type: application/json' -d {body} {url}; }}
say "writing stable's weight"
put >/dev/null || say "the gateway did not take it"
say "reading it back"
curl -fsS -m 5 {url} | tr -d ' \\n' | grep -q '"{stable}":{{"weight":100[,}}]' && ok=1
"""


class SandboxRouter(Router):
    """Weights by `PUT /admin/route`; compare-and-set on the route's generation; the mark is kept beside the weights."""

    Config = SandboxConfig

    def __init__(self, config: SandboxConfig) -> None:
        self._stable, self._canary = config.stable, config.canary
        self._url = f"{str(config.url).rstrip('/')}/admin/route"
        self.target = f"sandbox {self._url}"
        self._http = httpx.AsyncClient(timeout=TIME_LIMIT_S, trust_env=False)

    async def observe(self) -> Observation:
        """What the gateway shows now. Raises RouterError."""
        route = await self._ask("GET")
        owner = route.get("owner", "")
        if owner not in ("", OWNER):
            raise RouterError(f"the route belongs to {owner}: give it back before laneshift moves it")
        stable, canary = self._backend(route, self._stable), self._backend(route, self._canary)
        try:
            return _observation(route, stable, canary)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RouterError(f"{self._url} shows no route: {type(error).__name__}: {error}") from None

    async def shift(self, write: Write) -> str:
        """Write the weight. Raises RouterConflict when the generation has moved on, RouterError for anything else."""
        body = self._body(write.weight, {"number": write.number, "by": OWNER, "release": write.release})
        if write.generation is not None:
            body["if_generation"] = int(write.generation)
        route = await self._ask("PUT", body)
        return f"generation {route['generation']}"

    async def addresses(self) -> dict[str, str]:
        """The base URLs of both sides and of the public gateway. Raises RouterError."""
        route = await self._ask("GET")
        public = self._url.removesuffix("/admin/route")
        sides = {"canary": self._canary, "stable": self._stable}
        urls = {side: self._backend(route, name).get("url") for side, name in sides.items()}
        return {side: str(url) for side, url in urls.items() if url} | {"public": public}

    def manual_rollback(self, release: str) -> str:
        """One curl command that puts everything on stable."""
        body = json.dumps(self._script_body(release))
        return f"curl -X PUT -H 'Content-Type: application/json' -d {shlex.quote(body)} {shlex.quote(self._url)}"

    def rollback_script(self, release: str) -> str:
        """The same with a check that it is in effect, for rollback.sh."""
        body = shlex.quote(json.dumps(self._script_body(release)))
        return _SCRIPT.format(body=body, url=shlex.quote(self._url), stable=self._stable)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _script_body(self, release: str) -> dict[str, Any]:
        return self._body(0, {"number": SCRIPT, "by": SCRIPT, "release": release})

    def _body(self, weight: int, mark: Mapping[str, str]) -> dict[str, Any]:
        return {"weights": {self._stable: 100 - weight, self._canary: weight}, "mark": dict(mark)}

    def _backend(self, route: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        backend = route["backends"].get(name)
        if not isinstance(backend, dict):
            known = ", ".join(route["backends"]) or "none"
            raise RouterError(f"the route has no backend {name}; it has {known}")
        return backend

    async def _ask(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                answer = await self._http.request(method, self._url, json=body)
            route = answer.json()
        except (TimeoutError, httpx.TimeoutException):
            raise RouterError(f"{self._url} did not answer within {TIME_LIMIT_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RouterError(f"{self._url}: {str(error) or type(error).__name__}") from None
        if not isinstance(route, dict):
            raise RouterError(f"{self._url} answered {answer.status_code}: {str(route)[:200]}")
        if answer.status_code == httpx.codes.CONFLICT:
            raise RouterConflict(str(route.get("error", "the route has changed")))
        if not answer.is_success or not isinstance(route.get("backends"), dict) or "generation" not in route:
            raise RouterError(f"{self._url} answered {answer.status_code}: {str(route)[:200]}")
        return route


def _observation(route: Mapping[str, Any], stable: Mapping[str, Any], canary: Mapping[str, Any]) -> Observation:
    """Raises what nonsense raises."""
    mark = route.get("mark", {})
    weight = float(canary["weight"])
    if weight + float(stable["weight"]) != 100:
        raise ValueError(f"stable has {stable['weight']}% and the canary {weight:g}%, which are not all of the traffic")
    return Observation(
        weight=weight,
        canary=str(canary["version"]),
        stable=str(stable["version"]),
        canary_ready=int(canary["ready"]),
        stable_ready=int(stable["ready"]),
        generation=str(route["generation"]),
        mark=str(mark.get("number", "")),
        by=str(mark.get("by", "")),
        marked_release=str(mark.get("release", "")),
    )
