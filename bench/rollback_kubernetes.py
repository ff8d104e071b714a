"""How long the way back takes on Kubernetes, beside what it could not be faster than, and beside a peer.

    python -m bench.rollback_kubernetes [ROUNDS]

A real API server with an HTTPRoute, and the real Argo Rollouts controller with a Rollout whose weights an Ingress
holds. In turn, round after round: a bare PATCH over a connection that is kept alive, `kubectl annotate`, `kubectl argo
rollouts abort`, a `rollback` order from its being accepted, `laneshift rollback ID` from its start, and a cockpit from
the `y` after `R`. Each until a watch sees weight 0 (`kubectl annotate`: sees the note). An append to a journal on the
same disk is measured in the same round. Shown are the medians, and ratios.
"""

from __future__ import annotations

import http.server
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from bench.rollback import wait_for
from bench.rollback_proxies import append
from engine.client import EngineClient, ensure_engine
from engine.journal.store import Journal
from tests.support.argo_shop import WEIGHT_NOTE, ArgoShop
from tests.support.kube_api import Watch
from tests.support.kube_shop import APP, CANARY, STABLE, open_shop, set_weights
from tests.support.kube_world import Namespace, new_namespace, running_world
from tests.support.route_gateway import running_gateway

PLAN = """
service: shop
version: {{canary: v1.1.0}}
router:
  gateway_api: {{kubeconfig: {kubeconfig}, namespace: {namespace}, route: checkout, stable: {stable}, canary: {canary}}}
source: {{scrape: {{urls: ["{metrics}"], interval: 2s}}}}
stages: [{{weight: 5, bake: 1h}}, {{weight: 100, bake: 1h}}]
metrics:
  error_rate:
    total: requests_total{{version="$version"}}
    bad: requests_total{{version="$version",code="500"}}
    alert: "> 50%"
checklist: {{drop: [regression, smoke, performance, security, rollback-tested, dashboards]}}
guard: 0s
"""
NOTE = "bench/round"
QUIET_S = 1.5  # for the cockpit to paint before a key is pressed


class Seen:
    """A watch of a kind in a thread: the time of day at which an object was first seen as wanted."""

    def __init__(self, kube: Namespace, kind: str) -> None:
        self._arrived = threading.Condition()
        self._latest: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._follow, args=(kube, kind), daemon=True)
        self._thread.start()

    def _follow(self, kube: Namespace, kind: str) -> None:
        api = kube.world.connect(timeout=600).within(kube.name)
        watch: Watch
        with suppress(httpx.HTTPError), api.watch(kind) as watch:
            for event in watch:
                with self._arrived:
                    self._latest[event["object"]["metadata"]["name"]] = event["object"]
                    self._arrived.notify_all()

    def when(self, name: str, so: Callable[[Any], bool]) -> float:
        """Wait until the object of that name is so."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: name in self._latest and so(self._latest[name]), 30):
                raise SystemExit(f"{name} was never seen as wanted")
            return time.time()


def is_zero(route: Any) -> bool:
    """Has the canary's Service no weight?"""
    refs = route["spec"]["rules"][0]["backendRefs"]
    return any(ref["name"] == CANARY and ref.get("weight", 1) == 0 for ref in refs)


def timed(act: Callable[[], object], seen: Callable[[], float]) -> float:
    """Seconds from the start of an act until it is seen."""
    found: list[float] = []
    looking = threading.Thread(target=lambda: found.append(seen()))
    looking.start()
    began = time.time()
    act()
    looking.join()
    return found[0] - began


class Counting(http.server.BaseHTTPRequestHandler):
    """Requests of both versions, growing with time."""

    def do_GET(self) -> None:
        count = round(time.time() * 100) % 10_000_000
        lines = (f'requests_total{{version="{version}",code="200"}} {count}' for version in ("v1.0.0", "v1.1.0"))
        body = ("# TYPE requests_total counter\n" + "\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@contextmanager
def counting() -> Iterator[str]:
    """Where the counters are served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()


class Bench:
    """Everything of one run."""

    def __init__(self, kube: Namespace, argo: ArgoShop, client: EngineClient, metrics: str) -> None:
        self._kube, self._argo, self._client = kube, argo, client
        self._plan = PLAN.format(
            kubeconfig=kube.kubeconfig(), namespace=kube.name, stable=STABLE, canary=CANARY, metrics=metrics
        )
        self._routes, self._ingresses = Seen(kube, "HTTPRoute"), Seen(argo.kube, "Ingress")
        self._environment = {**os.environ, "LANESHIFT_HOME": str(client.folder), "TERM": "xterm-256color"}
        self._laneshift = [sys.executable, "-P", "-m", "cli.main"]

    def _zero(self) -> float:
        return self._routes.when(APP, is_zero)

    def bare(self) -> float:
        """One PATCH of the route."""
        set_weights(self._kube, 95, 5)
        self._routes.when(APP, lambda route: not is_zero(route))
        return timed(lambda: set_weights(self._kube, 100, 0), self._zero)

    def annotate(self, number: int) -> float:
        """`kubectl annotate` of the route."""

        def noted(route: Any) -> bool:
            return bool(route["metadata"].get("annotations", {}).get(NOTE) == str(number))

        act = ["annotate", "--overwrite", "httproute", APP, f"{NOTE}={number}"]
        return timed(lambda: self._kube.kubectl(*act), lambda: self._routes.when(APP, noted))

    def argo_abort(self, number: int) -> float:
        """`kubectl argo rollouts abort` of a Rollout at its first weight."""

        def weight(ingress: Any) -> int:
            return int(ingress["metadata"].get("annotations", {}).get(WEIGHT_NOTE, 0))

        name = f"{APP}-{CANARY}"
        self._argo.push(f"v2.{number}")
        self._argo.order("promote")
        self._ingresses.when(name, lambda ingress: weight(ingress) > 0)
        self._argo.until(lambda status: bool(status.get("pauseConditions")))
        took = timed(
            lambda: self._argo.order("abort"), lambda: self._ingresses.when(name, lambda found: weight(found) == 0)
        )
        self._argo.push("v1.0.0", wait=False)
        self._argo.until(lambda status: status["phase"] == "Healthy")
        return took

    def begin(self) -> str:
        """A release whose canary has its first 5%."""
        release = self._client.begin(self._plan, "bench.yaml")
        wait_for("a canary that is ready", lambda: self._client.look(release)["canary"])
        advance = {"stage": -1, "revision": self._client.look(release)["revision"]}
        wait_for("a way forward", lambda: self._client.give(release, "advance", **advance).accepted)
        wait_for("5%", lambda: self._client.look(release)["step"] != "shift")
        return release

    def end(self, release: str) -> dict[str, Any]:
        """Its stopwatch, once it is rolled back."""
        wait_for("the end", lambda: self._client.look(release)["phase"] == "rolled_back")
        found: dict[str, Any] = self._client.look(release)["rollback"]
        return found

    def order(self) -> float:
        """From the order's being accepted."""
        release = self.begin()
        looked = []
        looking = threading.Thread(target=lambda: looked.append(self._zero()))
        looking.start()
        self._client.give(release, "rollback")
        looking.join()
        return looked[0] - float(self.end(release)["accepted"])

    def command(self) -> float:
        """`laneshift rollback ID` from its start."""
        release = self.begin()
        command = [str(Path(sys.executable).with_name("laneshift")), "rollback", release, "--no-wait"]

        def run() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=self._environment)

        took = timed(run, self._zero)
        self.end(release)
        return took

    def cockpit(self) -> float:
        """A cockpit in a terminal of its own: from the `y` after the `R`."""
        release = self.begin()
        child, terminal = pty.fork()
        if child == 0:
            os.execve(sys.executable, [*self._laneshift, "watch", release], self._environment)  # noqa: S606  ourselves
        _drain(terminal, 2 * QUIET_S)
        os.write(terminal, b"R")
        _drain(terminal, QUIET_S)
        took = timed(lambda: os.write(terminal, b"y"), self._zero)
        self.end(release)
        os.write(terminal, b"q")
        _drain(terminal, QUIET_S)
        os.close(terminal)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        return took


def _drain(terminal: int, seconds: float) -> None:
    """Read what is painted for that long."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            with suppress(OSError):
                os.read(terminal, 65536)


def shown(measured: Mapping[str, list[float]]) -> str:
    """Medians, and ratios."""
    medians = {name: statistics.median(seconds) * 1000 for name, seconds in measured.items()}
    lines = [f"{name:<44} {medians[name]:6.1f} ms  (best {min(s) * 1000:.1f})" for name, s in measured.items()]
    floor = medians["a bare PATCH"] + medians["an append to a journal"]
    lines.append(f"an order / (a bare PATCH + an append): {medians['an order, from its being accepted'] / floor:.2f}")
    peer = medians["laneshift rollback ID"] / medians["kubectl argo rollouts abort"]
    lines.append(f"laneshift rollback ID / kubectl argo rollouts abort: {peer:.2f}")
    return "\n".join(lines)


def main(rounds: int) -> None:
    """Measure, and print."""
    measured: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="ls-", dir=Path.home()) as folder,
        running_world() as world,
        counting() as metrics,
        Journal.open(Path(folder) / "bare.db") as journal,
    ):
        world.install("gateway-api", "argo-rollouts")
        world.run_workloads()
        kube, argo = new_namespace(world), ArgoShop(new_namespace(world))
        open_shop(kube)
        argo.open()
        journal.create_release("bench-1", "bench", "bench", 1.7e9)
        client = EngineClient(folder=Path(folder) / "home")
        ensure_engine(client)
        with running_gateway(kube, None, {STABLE: "stable", CANARY: "canary"}):
            bench = Bench(kube, argo, client, metrics)
            try:
                for number in range(1, rounds + 1):
                    one_round(bench, measured, journal, number)
            finally:
                client.ask("POST", "/v1/stop")
                wait_for("the end of the engine", lambda: not client.is_there())
    print(shown(measured))


def one_round(bench: Bench, measured: dict[str, list[float]], journal: Journal, number: int) -> None:
    """Each thing once."""
    for name, seconds in {
        "an append to a journal": append(journal, number),
        "a bare PATCH": bench.bare(),
        "kubectl annotate": bench.annotate(number),
        "kubectl argo rollouts abort": bench.argo_abort(number),
        "an order, from its being accepted": bench.order(),
        "laneshift rollback ID": bench.command(),
        "a cockpit, from the y after the R": bench.cockpit(),
    }.items():
        measured.setdefault(name, []).append(seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
