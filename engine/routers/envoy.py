"""Envoy, by the admin ports of one or several: runtime keys that replace the weights of a route's weighted clusters.

The keys are `PREFIX.CLUSTER`, and `laneshift.PREFIX` for the mark; one request sets them all. They need an
`admin_layer` in `layered_runtime`, which is lost at a restart: see `engine.routers.proxies`. Where no key is set the
route's own weights hold. Source: Envoy's documentation, "Traffic splitting" and "Administration interface".
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from engine.events import SCRIPT
from engine.finding import Finding
from engine.routers import RouterError
from engine.routers.envoy_admin import Split, answer_of, healthy_hosts, runtime_value, splits_of, started_at
from engine.routers.proxies import Instance, ProxyRouter
from engine.routers.proxy_config import EnvoyConfig
from engine.routers.proxy_line import talk
from engine.routers.proxy_mark import NO_MARK, Mark
from engine.routers.proxy_memory import Shown
from engine.routers.proxy_versions import AnsweredVersions

LIMIT_S: Final = 2.0
ROUTES: Final = "/config_dump?mask=static_route_configs,dynamic_route_configs"
_HEAD: Final = ("Content-Length: 0", "Connection: close", "", "")
STARTED: Final = "/config_dump?mask=last_updated"

_SCRIPT = """
shows() {{
    curl -fsS -m 5 "$1/runtime?format=json" | tr -d ' \\n' |
        sed -n "s/.*\\"$2\\":{{\\([^}}]*\\)}}.*/\\1/p" | grep -q "\\"final_value\\":\\"$3\\""
}}
for at in {addresses}; do
    say "writing stable's weight to $at"
    curl -fsS -m 5 -X POST "$at"{write} >/dev/null || say "$at did not take it"
done
ok=1
for at in {addresses}; do
    say "reading it back from $at"
    {{ shows "$at" {canary} 0 && shows "$at" {stable} 100; }} || ok=0
done
"""


class EnvoyRouter(ProxyRouter):
    """`POST /runtime_modify` on every admin port; one that shows other weights is said."""

    Config = EnvoyConfig

    def __init__(self, config: EnvoyConfig) -> None:
        self._config = config
        self.target = f"envoy {config.runtime_key} at {', '.join(sorted(config.admin))}"
        sides = {"canary": config.canary, "stable": config.stable}
        versions = AnsweredVersions(sides, config.version_path, config.version_header)
        instances = [_Admin(config, address) for address in config.admin]
        super().__init__(instances, versions, (config.canary.cluster, config.stable.cluster), config.public)

    def manual_rollback(self, release: str) -> str:
        """curl on every admin port puts everything on stable; it fails when one does not take it."""
        path = shlex.quote(_written(self._config, 0, Mark(SCRIPT, release, SCRIPT)))
        each = f'curl -fsS -m 5 -X POST "$at"{path} || failed=1'
        return f"failed=0; for at in {' '.join(self._config.admin)}; do {each}; done; [ $failed = 0 ]"

    def rollback_script(self, release: str) -> str:
        """The same with a check that each Envoy shows it, for rollback.sh."""
        config = self._config
        return _SCRIPT.format(
            addresses=" ".join(config.admin),
            write=shlex.quote(_written(config, 0, Mark(SCRIPT, release, SCRIPT))),
            canary=shlex.quote(_key(config, config.canary.cluster).replace(".", "[.]")),
            stable=shlex.quote(_key(config, config.stable.cluster).replace(".", "[.]")),
        )


class _Admin(Instance):
    """One Envoy. What its route says is read once for each time that it was started."""

    def __init__(self, config: EnvoyConfig, address: str) -> None:
        self.name, self._config = address, config
        self._process = ""
        self._split: tuple[str, Split] | None = None

    async def read(self) -> Shown:
        runtime, clusters = await asyncio.gather(self._json("/runtime?format=json"), self._json(self._clusters()))
        try:
            mark = Mark.read(runtime_value(runtime, _mark_key(self._config)))
            if not mark or not self._process:  # while the mark is there it is the same process
                self._process = started_at(await self._json(STARTED))
            split = await self._configured(self._process)
            return self._shown(runtime, split, mark, healthy_hosts(clusters))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RouterError(f"{self.name} answers no Envoy's admin page: {type(error).__name__}: {error}") from None

    def _shown(self, runtime: Mapping[str, Any], split: Split, mark: Mark, ready: Mapping[str, int]) -> Shown:
        config = self._config
        names = (config.canary.cluster, config.stable.cluster)
        written = {name: runtime_value(runtime, _key(config, name)) for name in names}
        has = {name: int(written[name] or split.weights[name]) for name in names}
        rest = sum(
            int(runtime_value(runtime, _key(config, name)) or weight)
            for name, weight in split.weights.items()
            if name not in names
        )
        weight = _percent(has[names[0]], sum(has.values()))
        share = _percent(has[names[0]], sum(has.values()) + rest)
        return Shown(
            weight=weight,
            mark=mark,
            process=self._process,
            configured=_percent(split.weights[names[0]], sum(split.weights[name] for name in names)),
            initial=not any(written.values()),
            canary_ready=ready.get(names[0], 0),
            stable_ready=ready.get(names[1], 0),
            detail=f"{has}",
            share=None if share == weight else share,
            pending="" if any(has.values()) else "both sides have weight 0: nobody is served",
            remark=f"other clusters of the route carry traffic: {', '.join(split.others(names))}" if rest else "",
        )

    async def write(self, weight: int, mark: Mark) -> None:
        await self._ask("POST", _written(self._config, weight, mark))

    async def put_mark(self, mark: Mark) -> None:
        await self._ask("POST", f"/runtime_modify?{_mark_key(self._config)}={_in_query(mark)}")

    async def rehearse(self) -> None:
        await self._ask("POST", "/runtime_modify?laneshift-rehearsal=")

    async def examine(self) -> list[Finding]:
        await self.rehearse()
        self._split = None
        split = await self._configured("")
        found = list(_examined(self._config, split))
        return [Finding(one.grade, f"{self.name}: {one.what}", one.said, one.mend) for one in found]

    def unmark(self) -> str:
        return f"curl -X POST {shlex.quote(f'{self.name}/runtime_modify?{_mark_key(self._config)}={NO_MARK}')}"

    # --- asking

    def _clusters(self) -> str:
        """Without the other clusters, of which a mesh has thousands; an old Envoy shows them all."""
        names = "|".join(
            name.replace(".", "[.]") for name in (self._config.canary.cluster, self._config.stable.cluster)
        )
        return f"/clusters?format=json&filter=^({names})$"

    async def _configured(self, process: str) -> Split:
        """The route's own weights. Raises RouterError when there is none of that key, or a cluster is not in it."""
        if self._split is not None and self._split[0] == process:
            return self._split[1]
        splits = splits_of(await self._json(ROUTES))
        key, names = self._config.runtime_key, (self._config.canary.cluster, self._config.stable.cluster)
        split = splits.get(key)
        if split is None:
            raise RouterError(
                f"{self.name} has no route with the runtime_key_prefix {key}; there is {', '.join(splits) or 'none'}"
            )
        for name in names:
            if name not in split.weights:
                raise RouterError(f"{self.name}: {key} has no cluster {name}; it has {', '.join(split.weights)}")
        self._split = (process, split)
        return split

    async def _json(self, path: str) -> Any:
        said = await self._ask("GET", path)
        try:
            return json.loads(said)
        except ValueError:
            raise RouterError(f"{self.name}{path} answered no JSON: {said[:100]}") from None

    async def _ask(self, method: str, path: str) -> str:
        address, slash, prefix = self.name.removeprefix("http://").partition("/")
        lines = (f"{method} {slash}{prefix}{path} HTTP/1.1", f"Host: {address}", *_HEAD)
        where = address if re.search(r":\d+$", address) else f"{address}:80"
        said = await talk(self.name, where, "\r\n".join(lines).encode(), LIMIT_S)
        try:
            status, text = answer_of(said)
        except ValueError as error:
            raise RouterError(f"{self.name} answered {error}") from None
        if status != HTTPStatus.OK:
            raise RouterError(f"{self.name} answered {status}: {text.strip()[:200]}")
        return text


def _key(config: EnvoyConfig, cluster: str) -> str:
    return f"{config.runtime_key}.{cluster}"


def _mark_key(config: EnvoyConfig) -> str:
    return f"laneshift.{config.runtime_key}"


def _written(config: EnvoyConfig, weight: int, mark: Mark) -> str:
    """The request that sets the weights and the mark. What Envoy decodes once is encoded once more: a mark has %."""
    canary, stable = _key(config, config.canary.cluster), _key(config, config.stable.cluster)
    return f"/runtime_modify?{stable}={100 - weight}&{canary}={weight}&{_mark_key(config)}={_in_query(mark)}"


def _in_query(mark: Mark) -> str:
    return str(mark).replace("%", "%25")


def _percent(canary: int, total: int) -> float:
    return round(100 * canary / total, 2) if total else 0.0


def _examined(config: EnvoyConfig, split: Split) -> Iterator[Finding]:
    names = (config.canary.cluster, config.stable.cluster)
    yield Finding("ok", "weights", f"{config.runtime_key} takes them")
    if others := [name for name in split.others(names) if split.weights[name]]:
        said = f"{', '.join(others)} carry traffic too and are on neither side"
        yield Finding("bad", "clusters", said, "set their weight to 0")
    configured = _percent(split.weights[names[0]], sum(split.weights[name] for name in names))
    if configured:
        said = f"the route gives the canary {configured:g}%: that is what a restart brings until it is put back"
        yield Finding("warn", "configuration", said, "give the canary's cluster weight 0 there")
