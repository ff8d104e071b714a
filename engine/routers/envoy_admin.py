"""What Envoy's admin port answers: its runtime, its clusters' hosts, its routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any


@dataclass(frozen=True, slots=True)
class Split:
    """A route's weighted clusters: their own weights by name, which hold where no runtime key is set."""

    weights: Mapping[str, int]

    def others(self, names: Iterable[str]) -> list[str]:
        """The clusters beside these."""
        return [name for name in self.weights if name not in names]


class _Received:
    """Stands for a socket from which a whole answer was read."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._said)


def answer_of(said: bytes) -> tuple[int, str]:
    """The status and the text of a whole HTTP answer. Raises ValueError for anything else."""
    response = HTTPResponse(_Received(said))  # type: ignore[arg-type]  # of a socket it uses makefile alone
    try:
        response.begin()
        return response.status, response.read().decode(errors="replace")
    except HTTPException as error:
        raise ValueError(f"no HTTP: {type(error).__name__}") from None


def splits_of(dump: Any) -> dict[str, Split]:
    """By runtime_key_prefix, the routes over weighted clusters of /config_dump. Routes that share one share its keys:
    then it is the first that counts."""
    found: dict[str, Split] = {}
    for weighted in _weighted(dump):
        prefix = weighted.get("runtime_key_prefix")
        if prefix:
            weights = {str(one.get("name", "")): int(one.get("weight", 0)) for one in weighted.get("clusters", ())}
            found.setdefault(str(prefix), Split(weights))
    return found


def _weighted(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every `weighted_clusters` below this node, wherever routes may stand."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "weighted_clusters" and isinstance(value, dict):
                yield value
            else:
                yield from _weighted(value)
    elif isinstance(node, list):
        for value in node:
            yield from _weighted(value)


def started_at(dump: Mapping[str, Any]) -> str:
    """When this Envoy was started, of /config_dump?mask=last_updated. Raises what nonsense raises."""
    return str(next(one["last_updated"] for one in dump["configs"] if one["@type"].endswith("BootstrapConfigDump")))


def runtime_value(runtime: Mapping[str, Any], key: str) -> str:
    """What /runtime?format=json has for a key; empty when it was never set. Raises what nonsense raises."""
    entry = runtime["entries"].get(key)
    return str(entry["final_value"]) if entry else ""


def healthy_hosts(clusters: Mapping[str, Any]) -> dict[str, int]:
    """By cluster, the hosts of /clusters?format=json that get traffic. Raises what nonsense raises."""
    return {
        str(one["name"]): sum(_is_healthy(host) for host in one.get("host_statuses", ()))
        for one in clusters.get("cluster_statuses", ())
    }


def _is_healthy(host: Mapping[str, Any]) -> bool:
    """`health_status` names each check that failed as a flag; the control plane's word stands beside them."""
    status = dict(host.get("health_status", {}))
    said = status.pop("eds_health_status", "HEALTHY")
    return said in ("HEALTHY", "UNKNOWN", "DEGRADED") and not any(value is True for value in status.values())
