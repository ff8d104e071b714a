"""The plans for HAProxy and Envoy, run as they are but for addresses and the pace: by a real engine on real proxies,
with nothing else to read metrics from."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import sample_configs
from engine.assembly import queries_of
from engine.client import EngineClient, ensure_engine
from engine.plan.model import parse_plan
from engine.plan.selector import Subject
from engine.script import script_path
from engine.sources.config import ScrapeConfig
from engine.sources.scrape import ScrapeSource
from tests.support.answering import Answering, answering
from tests.support.envoy_process import PREFIX, running_envoy
from tests.support.haproxy_process import running_haproxy

pytestmark = pytest.mark.real
LIMIT_S = 60.0


@pytest.fixture
def servers() -> Iterator[dict[str, Answering]]:
    with answering("v1.4.0") as a, answering("v1.5.0") as b:
        yield {"shop-a": a, "shop-b": b}


@pytest.fixture
def client() -> Iterator[EngineClient]:
    """An engine of the test's own; a unix socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="ls-") as folder:
        made = EngineClient(folder=Path(folder), who="ada")
        ensure_engine(made)
        yield made
        made.ask("POST", "/v1/stop")
        until(lambda: not made.is_there())


def until(holds: Callable[[], object], seen: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, seen()
        time.sleep(0.05)


@contextmanager
def traffic(url: str) -> Iterator[None]:
    """Some 200 requests a second for as long as the block lasts."""
    over = threading.Event()

    def ask() -> None:
        with httpx.Client() as http:
            while not over.wait(0.005):
                http.get(url)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def rewritten(name: str, changes: Mapping[str, str]) -> str:
    """A sample with other addresses, and a second between two looks."""
    text = sample_configs.path(name).read_text()
    for old, new in {**changes, "interval: 5s": "interval: 1s"}.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def runs_to_a_roll_back(client: EngineClient, plan: str, name: str, canary_weight: Callable[[], int]) -> None:
    """To its first stage, where the canary's requests are counted, and back; then once more by rollback.sh."""
    release = client.begin(plan, name)

    def look() -> dict[str, Any]:
        return client.look(release)

    def order(verb: str, **said: Any) -> None:
        answer = client.give(release, verb, **said)
        assert answer.accepted, answer.why

    for item in look()["items"]:
        if item["item"]["list"] == "pre" and item["mark"] == "open" and "smoke" not in item["item"]["id"]:
            order("waive", item=item["item"]["id"], reason="a test")
    until(lambda: look()["canary"], look)
    assert (look()["canary"], look()["stable"]) == ("v1.5.0", "v1.4.0")
    until(lambda: client.give(release, "advance", stage=-1, revision=look()["revision"]).accepted, look)
    until(lambda: look()["step"] != "shift", look)
    assert canary_weight() == 5
    until(lambda: look()["requests"] > 5, look)
    order("rollback")
    until(lambda: look()["phase"] == "rolled_back", look)
    assert canary_weight() == 0
    script = script_path(client.folder, release)
    assert subprocess.run(["/bin/sh", str(script)], capture_output=True, timeout=60, check=False).returncode == 0


def test_the_plan_for_haproxy(client: EngineClient, servers: dict[str, Answering]) -> None:
    urls = {name: server.url for name, server in servers.items()}
    with running_haproxy(urls) as haproxy, traffic(haproxy.url):
        changes = {
            "[/run/haproxy/admin.sock]": f"[{haproxy.socket}]",
            '["http://127.0.0.1:80/metrics"]': f'["{haproxy.metrics}"]',
            "http://127.0.0.1:8081": urls["shop-a"],
            "http://127.0.0.1:8082": urls["shop-b"],
        }
        plan = rewritten("haproxy.yaml", changes)
        runs_to_a_roll_back(client, plan, "haproxy.yaml", lambda: haproxy.weights()["shop-b"])


def test_the_plan_for_envoy(client: EngineClient, servers: dict[str, Answering]) -> None:
    urls = {name: server.url for name, server in servers.items()}
    with running_envoy({name: [url] for name, url in urls.items()}) as envoy, traffic(envoy.url):
        changes = {
            "http://127.0.0.1:9901": envoy.admin,
            "runtime_key: routing.shop": f"runtime_key: {PREFIX}",
            "http://127.0.0.1:8081": urls["shop-a"],
            "http://127.0.0.1:8082": urls["shop-b"],
        }
        plan = rewritten("envoy.yaml", changes)
        runs_to_a_roll_back(client, plan, "envoy.yaml", lambda: envoy.weights()["shop-b"])


@pytest.mark.parametrize(
    "name",
    [
        "haproxy.yaml",
        "envoy.yaml",
    ],
)
async def test_every_metric_is_read_for_both_sides(name: str, servers: dict[str, Answering]) -> None:
    urls = {server: one.url for server, one in servers.items()}
    with (
        running_haproxy(urls, dict.fromkeys(urls, 50)) as haproxy,
        running_envoy({server: [url] for server, url in urls.items()}, dict.fromkeys(urls, 50)) as envoy,
    ):
        proxy = {"haproxy.yaml": haproxy.url, "envoy.yaml": envoy.url}[name]
        async with httpx.AsyncClient() as http:
            for _ in range(40):
                await http.get(proxy)
        page = {"haproxy.yaml": haproxy.metrics, "envoy.yaml": f"{envoy.admin}/stats/prometheus"}[name]
        source = ScrapeSource(ScrapeConfig.model_validate({"urls": [page]}))
        queries = queries_of(parse_plan(sample_configs.path(name).read_bytes()))
        subjects = {"canary": Subject("v1.5.0", "", "shop-b"), "stable": Subject("v1.4.0", "", "shop-a")}
        reading = await source.read(queries, **subjects)
        await source.close()
    found = {(metric, side) for metric, side, _ in reading.values}
    assert found == {(query.metric.name, side) for query in queries for side in subjects}
