"""How long the way back takes on HAProxy and on Envoy, beside what it could not be faster than.

    python -m bench.rollback_proxies [ROUNDS]

For each proxy in turn, round after round: a bare command (to HAProxy's socket) or POST (to Envoy's admin port) until a
poll sees weight 0, and a `rollback` order, from its being accepted until the same poll sees it. Accepted is what the
stopwatch of the release says; before it is what `bench.rollback` measures. An append to a journal on the same disk is
measured in the same round: the order has to be durable, or late, before it is carried out. Shown are the medians, and
the ratio of the way back to the bare one, with an append and without.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from bench.rollback import wait_for
from engine.client import EngineClient, ensure_engine
from engine.journal.records import Record
from engine.journal.store import Journal
from tests.support.answering import answering
from tests.support.envoy_process import PREFIX, EnvoyProcess, running_envoy
from tests.support.haproxy_process import BACKEND, HaproxyProcess, running_haproxy

PLAN = """
service: shop
version: {{canary: v2}}
router: {router}
source: {{scrape: {{urls: ["{metrics}"], interval: 2s}}}}
stages: [{{weight: 5, bake: 1h}}, {{weight: 100, bake: 1h}}]
metrics:
  error_rate:
    total: '{series}{{{label}="$workload"}}'
    bad: '{series}{{{label}="$workload",never="there"}}'
    alert: "> 50%"
checklist: {{drop: [regression, smoke, performance, security, rollback-tested, dashboards]}}
after_rollback: {{then: keep}}
"""
POLL_S = 0.001
HAPROXY = """
  haproxy:
    sockets: ["{at}"]
    backend: {name}
    stable: {{servers: [a], urls: ["{a}"]}}
    canary: {{servers: [b], urls: ["{b}"]}}
"""
ENVOY = """
  envoy:
    admin: ["{at}"]
    runtime_key: {name}
    stable: {{cluster: a, urls: ["{a}"]}}
    canary: {{cluster: b, urls: ["{b}"]}}
"""


class Proxy(Protocol):
    """One proxy with its plan; `canary_weight` is one poll, `write` the bare command."""

    plan: str
    url: str

    def canary_weight(self) -> int: ...

    def write(self, weight: int) -> None: ...


class Haproxy:
    """By its stats socket, a connection for each line, as its runtime API wants it."""

    def __init__(self, process: HaproxyProcess, a: str, b: str) -> None:
        self._socket, self.url = process.socket, process.url
        router = HAPROXY.format(at=process.socket, name=BACKEND, a=a, b=b)
        series = "haproxy_server_http_responses_total"
        self.plan = PLAN.format(router=router, metrics=process.metrics, series=series, label="server")

    def canary_weight(self) -> int:
        """As `get weight` says."""
        return int(self._tell(f"get weight {BACKEND}/b").split()[0])

    def write(self, weight: int) -> None:
        """Both servers' weights in one line."""
        self._tell(f"set server {BACKEND}/a weight {100 - weight};set server {BACKEND}/b weight {weight}")

    def _tell(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(self._socket)
            talk.sendall(f"{line}\n".encode())
            said = b""
            while part := talk.recv(65536):
                said += part
        return said.decode()


class Envoy:
    """By its admin port, over one connection for polls and another for writes."""

    def __init__(self, process: EnvoyProcess, a: str, b: str) -> None:
        self.url = process.url
        address = urlsplit(process.admin).netloc
        self._polls, self._writes = (http.client.HTTPConnection(address, timeout=10) for _ in range(2))
        router = ENVOY.format(at=process.admin, name=PREFIX, a=a, b=b)
        series, metrics = "envoy_cluster_upstream_rq_total", f"{process.admin}/stats/prometheus"
        self.plan = PLAN.format(router=router, metrics=metrics, series=series, label="envoy_cluster_name")

    def canary_weight(self) -> int:
        """As the runtime has it."""
        page = _asked(self._polls, "GET", "/runtime?format=json")
        entry = page.partition(f'"{PREFIX}.b": {{')[2].partition("}")[0]
        return int(entry.partition('"final_value": "')[2].partition('"')[0])

    def write(self, weight: int) -> None:
        """Both clusters' weights in one request."""
        _asked(self._writes, "POST", f"/runtime_modify?{PREFIX}.a={100 - weight}&{PREFIX}.b={weight}")


def _asked(line: http.client.HTTPConnection, method: str, path: str) -> str:
    line.request(method, path)
    return line.getresponse().read().decode()


@contextmanager
def traffic(url: str) -> Iterator[None]:
    """A few requests a second, so that there is something to read."""
    over = threading.Event()

    def ask() -> None:
        line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        while not over.wait(0.05):
            _asked(line, "GET", "/")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def until_zero(proxy: Proxy, order: Callable[[], object]) -> float:
    """Give the order beside the poll; the time of day, in seconds, at which it saw weight 0."""
    giving = threading.Thread(target=order)
    giving.start()
    while proxy.canary_weight() != 0:
        time.sleep(POLL_S)
    seen = time.time()
    giving.join()
    return seen


def bare(proxy: Proxy) -> float:
    """Seconds of the bare command until the poll sees it."""
    proxy.write(5)
    started: list[float] = []

    def order() -> None:
        started.append(time.time())
        proxy.write(0)

    return until_zero(proxy, order) - started[0]


def way_back(client: EngineClient, proxy: Proxy) -> float:
    """Seconds from the order's being accepted until the poll sees weight 0."""
    release = client.begin(proxy.plan, "bench.yaml")

    def look() -> dict[str, Any]:
        return client.look(release)

    wait_for("a canary that is ready", lambda: look()["canary"])
    advance = {"stage": -1, "revision": look()["revision"]}
    wait_for("a way forward", lambda: client.give(release, "advance", **advance).accepted)
    wait_for("5%", lambda: look()["step"] != "shift")
    seen = until_zero(proxy, lambda: client.give(release, "rollback"))
    wait_for("the end", lambda: look()["phase"] == "rolled_back")
    return seen - float(look()["rollback"]["accepted"])


def append(journal: Journal, seq: int) -> float:
    """Seconds of one append."""
    started = time.perf_counter()
    journal.append("bench-1", [Record(seq, time.time(), "Noted", {"text": "as long as an order with who and why"})])
    return time.perf_counter() - started


def shown(measured: Mapping[str, list[float]]) -> str:
    """Medians, and ratios to the bare ones."""
    medians = {name: statistics.median(seconds) * 1000 for name, seconds in measured.items()}
    lines = [
        f"{name:<28} {medians[name]:6.2f} ms  (best {min(seconds) * 1000:.2f})" for name, seconds in measured.items()
    ]
    for name in ("haproxy", "envoy"):
        back, alone, durable = medians[f"{name}, way back"], medians[f"{name}, bare"], medians["an append"]
        lines.append(f"{name}: way back / bare {back / alone:.2f}; / (bare + an append) {back / (alone + durable):.2f}")
    return "\n".join(lines)


def main(rounds: int) -> None:
    """Measure, and print."""
    measured: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="ls-", dir=Path.home()) as folder,
        answering("v1") as a,
        answering("v2") as b,
        running_haproxy({"a": a.url, "b": b.url}) as haproxy,
        running_envoy({"a": [a.url], "b": [b.url]}) as envoy,
        traffic(haproxy.url),
        traffic(envoy.url),
        Journal.open(Path(folder) / "bare.db") as journal,
    ):
        journal.create_release("bench-1", "bench", "bench", 1.7e9)
        proxies: dict[str, Proxy] = {"haproxy": Haproxy(haproxy, a.url, b.url), "envoy": Envoy(envoy, a.url, b.url)}
        client = EngineClient(folder=Path(folder) / "home")
        ensure_engine(client)
        try:
            for seq in range(1, rounds + 1):
                measured.setdefault("an append", []).append(append(journal, seq))
                for name, proxy in proxies.items():
                    measured.setdefault(f"{name}, bare", []).append(bare(proxy))
                    measured.setdefault(f"{name}, way back", []).append(way_back(client, proxy))
        finally:
            client.ask("POST", "/v1/stop")
            wait_for("the end of the engine", lambda: not client.is_there())
    print(shown(measured))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
