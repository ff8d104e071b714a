"""How long `laneshift rollback` takes, beside what it could not be faster than.

    python -m bench.rollback [ROUNDS]

All are measured in turn, round after round, so that whatever else the machine does falls on all of them. Shown are the
medians, and each as a ratio to the bare one above it. "Until weight 0" is from the start of the command to the moment
at which the gateway, asked every other millisecond, shows no weight on the canary.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from engine.client import EngineClient, ensure_engine
from sandbox.process import running
from sandbox.ready import Urls

PLAN = """
service: shop
version: {{canary: v1.5.0}}
router: {{sandbox: {{url: "{gateway}", stable: shop-a, canary: shop-b}}}}
source: {{scrape: {{urls: ["{gateway}/metrics"], interval: 2s}}}}
stages: [{{weight: 5, bake: 1h}}, {{weight: 100, bake: 1h}}]
metrics:
  error_rate:
    total: http_requests_total{{version="$version"}}
    bad: http_requests_total{{version="$version",code=~"5.."}}
    alert: "> 50%"
"""
BARE_POST = """
import socket
line = socket.socket(socket.AF_UNIX)
line.connect({path!r})
line.sendall(b"POST /v1/nothing HTTP/1.1\\r\\nHost: e\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n")
while line.recv(65536):
    pass
"""
POLL_S = 0.002
PATIENCE_S = 30.0
Measured = Mapping[str, Sequence[float]]


class Gateway:
    """The sandbox's route, asked over one connection."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/admin/route"
        self._line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def canary_weight(self) -> int:
        """In percent."""
        self._line.request("GET", "/admin/route")
        answer = json.loads(self._line.getresponse().read())
        return int(answer["backends"]["shop-b"]["weight"])

    def put(self, canary: int) -> list[str]:
        """The command that writes it."""
        body = json.dumps({"weights": {"shop-a": 100 - canary, "shop-b": canary}})
        return ["curl", "-fsS", "-o", os.devnull, "-X", "PUT", "-d", body, self.url]


def until_zero(gateway: Gateway, command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a command; seconds until the gateway shows weight 0, and until the command has ended."""
    ended: list[float] = []

    def wait() -> None:
        process.wait()
        ended.append(time.perf_counter())

    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        waiting = threading.Thread(target=wait)
        waiting.start()
        while gateway.canary_weight() != 0:
            time.sleep(POLL_S)
        zero = time.perf_counter()
        waiting.join()
        if process.returncode != 0:
            raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}")
    return zero - started, ended[0] - started


def took(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    """Look until it is so. Ends the bench when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_S:g} s for {what}")
        time.sleep(0.05)


def at_five_percent(client: EngineClient, urls: Urls, gateway: Gateway) -> str:
    """A release whose canary has its first 5%."""
    release = client.begin(PLAN.format(gateway=urls.gateway), "bench.yaml")
    for item in client.look(release)["items"]:
        if item["item"]["list"] == "pre":
            client.give(release, "waive", item=item["item"]["id"], reason="a bench")
    wait_for("a canary that is ready", lambda: "advance" in client.look(release)["orders"])
    seen = client.look(release)
    client.give(release, "advance", stage=seen["stage"], revision=seen["revision"])
    wait_for("5%", lambda: gateway.canary_weight() == 5 and client.look(release)["step"] != "shift")
    return release


def one_round(client: EngineClient, urls: Urls, gateway: Gateway) -> dict[str, float]:
    """Each thing once."""
    environment = {**os.environ, "LANESHIFT_HOME": str(client.folder)}
    laneshift = [str(Path(sys.executable).with_name("laneshift")), "rollback"]
    found = {"python, bare": took([sys.executable, "-c", ""], environment)}
    post = [sys.executable, "-c", BARE_POST.format(path=str(client.socket))]
    found["python, one bare POST"] = took(post, environment)
    subprocess.run(gateway.put(5), check=True)
    found["curl PUT until weight 0"], _ = until_zero(gateway, gateway.put(0), environment)
    release = at_five_percent(client, urls, gateway)
    zero, ended = until_zero(gateway, [*laneshift, release], environment)
    found["laneshift rollback until weight 0"], found["laneshift rollback, until it is proven"] = zero, ended
    found["laneshift rollback --no-wait"] = took([*laneshift, release, "--no-wait"], environment)
    return found


def shown(measured: Measured) -> str:
    """A table: medians, the best, and ratios."""
    medians = {name: statistics.median(seconds) for name, seconds in measured.items()}
    lines = [
        f"{name:<40} {medians[name] * 1000:7.1f} ms  (best {min(seconds) * 1000:.1f})"
        for name, seconds in measured.items()
    ]
    ratios = [
        ("laneshift rollback --no-wait", "python, one bare POST"),
        ("laneshift rollback --no-wait", "python, bare"),
        ("laneshift rollback until weight 0", "curl PUT until weight 0"),
    ]
    lines += [f"{one} / {other}: {medians[one] / medians[other]:.2f}" for one, other in ratios]
    return "\n".join(lines)


def main(rounds: int) -> None:
    """Measure, and print."""
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="ls-") as folder, running(Path(folder), base_port=0) as sandbox:
        client = EngineClient(folder=Path(folder) / "home")
        ensure_engine(client)
        try:
            gateway = Gateway(sandbox.urls.gateway)
            for _ in range(rounds):
                for name, seconds in one_round(client, sandbox.urls, gateway).items():
                    measured.setdefault(name, []).append(seconds)
        finally:
            client.ask("POST", "/v1/stop")
            wait_for("the end of the engine", lambda: not client.is_there())
    print(shown(measured))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
