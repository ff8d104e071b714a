"""HAProxy, by the runtime API of one or several processes: weights of servers in one backend.

Its weights and laneshift's mark (the process variable `proc.laneshift_...`, since 2.4 behind `experimental-mode`) are
lost when it is reloaded: see `engine.routers.proxies`. The servers of a side get the same weight each, whatever the
configuration gives them. At weight 0 a server still gets the clients that a cookie or a stick table binds to it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Final

from engine.events import SCRIPT
from engine.finding import Finding
from engine.routers import RouterError
from engine.routers.haproxy_cli import Server, ask, fields_of, servers_of, table_of
from engine.routers.haproxy_examine import examined, others
from engine.routers.haproxy_weights import configured_weight, share_of, weight_of, weights_for
from engine.routers.proxies import Instance, ProxyRouter
from engine.routers.proxy_config import HaproxyConfig
from engine.routers.proxy_mark import Mark
from engine.routers.proxy_memory import Shown
from engine.routers.proxy_versions import AnsweredVersions

_VALUE: Final = re.compile(r"value=<(.*)>")
_INVALID: Final = "Absolute weight can only be"  # what it says to `weight -1`, once name and permission are right

_SCRIPT = """
for at in {addresses}; do
    say "writing stable's weight to $at"
    printf '%s\\n' {line} | socat -t 5 -T 5 - "$at" >/dev/null 2>&1 || say "$at did not take it"
done
ok=1
for at in {addresses}; do
    say "reading it back from $at"
    shown=$(printf '%s\\n' {read} | socat -t 5 -T 5 - "$at" 2>/dev/null | sed -n 's/ (initial.*//p' | tr '\\n' ' ')
    [ "$shown" = {wanted} ] || ok=0
done
"""


class HaproxyRouter(ProxyRouter):
    """`set server BACKEND/SERVER weight N` on every socket; a process that shows other weights is said."""

    Config = HaproxyConfig

    def __init__(self, config: HaproxyConfig) -> None:
        self._config = config
        self._sockets = [_Socket(config, address) for address in config.sockets]
        self.target = f"haproxy {config.backend} at {', '.join(sorted(config.sockets))}"
        sides = {"canary": config.canary, "stable": config.stable}
        versions = AnsweredVersions(sides, config.version_path, config.version_header)
        names = [side.workload or (side.servers[0] if len(side.servers) == 1 else "") for side in sides.values()]
        super().__init__(self._sockets, versions, (names[0], names[1]), config.public)

    def manual_rollback(self, release: str) -> str:
        """One line of sh that puts everything on stable, at each socket; it fails when one does not take it."""
        addresses = " ".join(_for_socat(address) for address in self._config.sockets)
        line = shlex.quote(self._line(release))
        each = f'echo {line} | socat -t 5 - "$at" || failed=1'
        return f"failed=0; for at in {addresses}; do {each}; done; [ $failed = 0 ]"

    def rollback_script(self, release: str) -> str:
        """The same with a check that each process shows it, for rollback.sh."""
        config = self._config
        servers = [*config.canary.servers, *config.stable.servers]
        wanted = ["0"] * len(config.canary.servers) + [str(weights_for(0, 1, 1)[1])] * len(config.stable.servers)
        return _SCRIPT.format(
            addresses=" ".join(_for_socat(address) for address in config.sockets),
            line=shlex.quote(self._line(release)),
            read=shlex.quote("; ".join(f"get weight {config.backend}/{server}" for server in servers)),
            wanted=shlex.quote("".join(f"{weight} " for weight in wanted)),
        )

    def _line(self, release: str) -> str:
        return "; ".join(_written(self._config, 0, Mark(SCRIPT, release, SCRIPT)))


class _Socket(Instance):
    """One HAProxy process, or the one that took over its socket."""

    def __init__(self, config: HaproxyConfig, address: str) -> None:
        self.name, self._config = address, config

    async def read(self) -> Shown:
        backend = self._config.backend
        info, state, marked = await self._ask(
            "show info", f"show servers state {backend}", f"get var {_variable(backend)}"
        )
        fields, servers = fields_of(info), await self._servers(state)
        canaries, stables = self._side(servers, "canary"), self._side(servers, "stable")
        found = _VALUE.search(marked)
        mark = Mark.read(found[1] if found else "")
        weight = weight_of(canaries, stables, mark.weight)
        share = share_of(_carried(canaries), _carried(servers.values()) - _carried(canaries))
        nobody = sum(server.weight for server in (*canaries, *stables)) == 0
        return Shown(
            weight=weight,
            mark=mark,
            process=f"{fields.get('Pid')} {fields.get('Start_time_sec')}",
            configured=configured_weight(canaries, stables),
            initial=all(server.weight == server.initial for server in (*canaries, *stables)),
            canary_ready=sum(server.up for server in canaries),
            stable_ready=sum(server.up for server in stables),
            detail=" ".join(f"{server.name}={server.weight}" for server in (*canaries, *stables)),
            share=None if abs(share - weight) < 0.005 else round(share, 2),
            pending="both sides have weight 0: nobody is served" if nobody else "",
            remark=_remark(self._config, servers),
        )

    async def write(self, weight: int, mark: Mark) -> None:
        commands = _written(self._config, weight, mark)
        for command, answer in zip(commands, await self._ask(*commands), strict=True):
            if answer:
                raise RouterError(f"{self.name} answered {answer} to {command}")

    async def put_mark(self, mark: Mark) -> None:
        if said := "".join(await self._ask(*_marked(self._config.backend, mark))):
            raise RouterError(f"{self.name} takes no mark: {said}")

    async def rehearse(self) -> None:
        backend = self._config.backend
        names = (*self._config.canary.servers, *self._config.stable.servers)
        answers = await self._ask(*(f"set server {backend}/{name} weight -1" for name in names))
        for name, answer in zip(names, answers, strict=True):
            if not answer.startswith(_INVALID):
                raise RouterError(f"{self.name} would not take a weight for {backend}/{name}: {answer}")

    async def examine(self) -> list[Finding]:
        await self.rehearse()
        backend = self._config.backend
        info, state, stat = await self._ask("show info", f"show servers state {backend}", f"show stat {backend} 6 -1")
        found = examined(self._config, fields_of(info), await self._servers(state), table_of(stat))
        return [Finding(one.grade, f"{self.name}: {one.what}", one.said, one.mend) for one in found]

    def unmark(self) -> str:
        line = "; ".join(_marked(self._config.backend, Mark()))
        return f"echo {shlex.quote(line)} | socat - {_for_socat(self.name)}"

    # --- what the answers mean

    async def _ask(self, *commands: str) -> list[str]:
        return await ask(self.name, *commands)

    async def _servers(self, state: str) -> dict[str, Server]:
        try:
            servers = servers_of(state)
        except ValueError as error:
            [known] = await self._ask("show backend")
            there = ", ".join(line for line in known.splitlines() if not line.startswith("#"))
            raise RouterError(f"{self.name} has no backend {self._config.backend} ({error}); it has {there}") from None
        for name in (*self._config.canary.servers, *self._config.stable.servers):
            if name not in servers:
                there = ", ".join(servers) or "none"
                raise RouterError(f"{self.name} has no server {self._config.backend}/{name}; there is {there}")
        return servers

    def _side(self, servers: dict[str, Server], side: str) -> list[Server]:
        names = self._config.canary.servers if side == "canary" else self._config.stable.servers
        return [servers[name] for name in names]


def _written(config: HaproxyConfig, weight: int, mark: Mark) -> list[str]:
    """The commands for a weight with its mark. The side that gains comes first: never is nobody served."""
    canary, stable = weights_for(weight, len(config.canary.servers), len(config.stable.servers))
    sides = [(config.canary.servers, canary), (config.stable.servers, stable)]
    if stable >= canary:
        sides.reverse()
    weights = [f"set server {config.backend}/{name} weight {each}" for names, each in sides for name in names]
    return [*weights, *_marked(config.backend, mark)]


def _marked(backend: str, mark: Mark) -> list[str]:
    return ["experimental-mode on", f"set var {_variable(backend)} str({mark})"]


def _variable(backend: str) -> str:
    """The mark's variable; a name in it has letters, digits and _ only, and no two backends share one."""
    return "proc.laneshift_" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", backend)


def _for_socat(address: str) -> str:
    return f"UNIX-CONNECT:{address}" if address.startswith("/") else f"TCP:{address.removeprefix('tcp://')}"


def _carried(servers: Iterable[Server]) -> int:
    """The weight of those that are up."""
    return sum(server.weight for server in servers if server.up)


def _remark(config: HaproxyConfig, servers: dict[str, Server]) -> str:
    names = [server.name for server in others(config, servers) if server.up and server.weight]
    return f"{config.backend} has other servers with weight: {', '.join(names)}" if names else ""
