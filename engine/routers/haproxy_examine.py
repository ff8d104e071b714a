"""What the doctor asks of an HAProxy: can its backend do what a release needs?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from engine.finding import Finding
from engine.routers.haproxy_cli import Server
from engine.routers.haproxy_weights import configured_weight
from engine.routers.proxy_config import HaproxyConfig

OLDEST: Final = (2, 4)
BY_WEIGHT: Final = ("roundrobin", "leastconn", "random")
NOT_BY_WEIGHT: Final = {
    "static-rr": "takes only weights of 0% and 100% while it runs",
    "first": "gives all traffic to the first server, whatever the weights",
}
Rows = Mapping[str, Mapping[str, str]]


def examined(
    config: HaproxyConfig, info: Mapping[str, str], servers: dict[str, Server], stat: Sequence[Mapping[str, str]]
) -> list[Finding]:
    """Findings of one process: `info` of `show info`, `stat` of `show stat`. An ok one when nothing is amiss."""
    rows = {row.get("svname", ""): row for row in stat}
    findings = [
        *_of_version(info.get("Version", "")),
        *_of_balance(rows.get("BACKEND", {})),
        *_of_others(config, servers, rows),
        *_of_sides(config, servers),
    ]
    worst = any(finding.grade == "bad" for finding in findings)
    return findings if worst else [Finding("ok", "weights", f"{config.backend} takes them"), *findings]


def others(config: HaproxyConfig, servers: dict[str, Server]) -> list[Server]:
    """The servers of the backend that are on neither side."""
    sides = {*config.canary.servers, *config.stable.servers}
    return [server for server in servers.values() if server.name not in sides]


def _of_version(version: str) -> Iterator[Finding]:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST:
        said = f"{version or 'unknown'}: 2.4 is the oldest that can keep laneshift's mark"
        yield Finding("bad", "version", said, "upgrade HAProxy")


def _of_balance(backend: Mapping[str, str]) -> Iterator[Finding]:
    algorithm, cookie = backend.get("algo", ""), backend.get("cookie", "")
    if algorithm in NOT_BY_WEIGHT:
        yield Finding("bad", "balance", f"{algorithm} {NOT_BY_WEIGHT[algorithm]}", "balance roundrobin, or random")
    elif algorithm and algorithm not in BY_WEIGHT:
        said = f"{algorithm} takes other weights than 0% and 100% only with `hash-type consistent`, and shares unevenly"
        yield Finding("warn", "balance", said, "balance roundrobin, or random")
    if cookie:
        said = f"clients stay where the cookie {cookie} binds them, also at weight 0: a way back leaves them there"
        yield Finding("bad", "cookie", said, f"take `cookie {cookie}` out of the backend for the release")


def _of_others(config: HaproxyConfig, servers: dict[str, Server], rows: Rows) -> Iterator[Finding]:
    active = [one.name for one in others(config, servers) if one.weight and rows.get(one.name, {}).get("bck") != "1"]
    if active:
        said = f"{', '.join(active)} carry traffic too and are on neither side"
        yield Finding("bad", "servers", said, "name them in the plan, or set their weight to 0")


def _of_sides(config: HaproxyConfig, servers: dict[str, Server]) -> Iterator[Finding]:
    canaries = [servers[name] for name in config.canary.servers]
    stables = [servers[name] for name in config.stable.servers]
    unchecked = [server.name for server in (*canaries, *stables) if not server.checked]
    if unchecked:
        said = f"nobody checks {', '.join(unchecked)}: HAProxy takes them for up whatever they do"
        yield Finding("warn", "health", said, "add `check` to their server lines")
    configured = configured_weight(canaries, stables)
    if configured:
        said = f"the configuration gives the canary {configured:g}%: that is what a reload brings until it is put back"
        yield Finding("warn", "configuration", said, "give the canary's servers `weight 0` there")
    if any(len({server.initial for server in side}) > 1 for side in (canaries, stables)):
        said = "servers of one side have different weights in the configuration; in a release each gets the same"
        yield Finding("warn", "configuration", said)
