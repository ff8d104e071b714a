"""The doctor of what belongs to no router and no source: each thing that can be wrong has its line, and nothing stops
the others."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from engine.client import EngineRefused
from engine.doctor import Place, examination, examine
from engine.finding import Finding
from engine.inputs import Observation
from engine.plan.model import Plan
from engine.plan.selector import Subject
from engine.routers import Router, RouterError, Write
from engine.sources import Source
from engine.sources.reading import PART, TOTAL, Reading
from tests.engine.served import served

PLAN: dict[str, Any] = {
    "service": "shop",
    "version": {"canary": "v2"},
    "router": {"sandbox": {"url": "http://127.0.0.1:1"}},
    "source": {"scrape": {"urls": ["http://127.0.0.1:1/metrics"], "interval": "1s"}},
    "stages": [{"weight": 10, "bake": "15m", "min_requests": 1000}, {"weight": 100, "bake": "15m"}],
    "metrics": {"errors": {"total": "requests", "bad": "bad", "baseline": "0.1%", "alert": "> 2%"}},
}
SEEN = Observation(weight=0.0, canary="v2", stable="v1", canary_ready=2, stable_ready=2, generation="1")


@dataclass
class Route(Router):
    """A route that shows `seen`, or raises it."""

    seen: Observation | Exception = SEEN
    script: str = "curl -s http://127.0.0.1:1 && ok=1"
    target: str = "paper"
    known: dict[str, str] = field(default_factory=dict)
    waits: float = 0.0
    written: list[Write] = field(default_factory=list)
    closed: bool = False

    async def observe(self) -> Observation:
        await asyncio.sleep(self.waits)
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    async def shift(self, write: Write) -> str:
        self.written.append(write)
        return ""

    def manual_rollback(self, release: str) -> str:
        return f"set {release} to 0"

    def rollback_script(self, release: str) -> str:
        return self.script

    async def addresses(self) -> dict[str, str]:
        return self.known

    async def close(self) -> None:
        self.closed = True


@dataclass
class Served(Source):
    """Stable serves `rps`, `bad` of each thousand badly; `past` seconds of it are kept."""

    rps: float = 100.0
    bad: float = 1.0
    kept: float = 600.0
    problem: str = ""
    asked: list[Subject] = field(default_factory=list)
    at: float = 0.0
    closed: bool = False

    async def read(self, queries: Any, *, canary: Subject, stable: Subject) -> Reading:
        self.asked.append(stable)
        self.at += 1
        return self._reading(self.at)

    async def past(self, queries: Any, *, stable: Subject, seconds: float, step: float) -> list[Reading]:
        return [self._reading(at) for at in range(0, int(min(seconds, self.kept)), int(step))]

    async def close(self) -> None:
        self.closed = True

    def _reading(self, at: float) -> Reading:
        if self.problem:
            return Reading(at, {}, self.problem)
        requests = self.rps * at
        return Reading(
            at,
            {
                ("errors", "stable", TOTAL): {"a ": requests},
                ("errors", "stable", PART): {"a ": requests * self.bad / 1000},
            },
        )


@dataclass
class Ward:
    """A plan and the parts it would have."""

    home: Path
    plan: dict[str, Any]
    route: Route = field(default_factory=Route)
    source: Served = field(default_factory=Served)
    notices: tuple[str, ...] = ()
    busy: dict[str, str] = field(default_factory=dict)

    async def found(self, canary: str = "") -> dict[str, Finding]:
        """The findings by what they are about, the worst of each."""
        place = Place(self.home, self.notices, self.busy)
        order = ["ok", "warn", "bad"]
        findings = await examine(Plan.model_validate(self.plan), place, canary)
        return {one.what: one for one in sorted(findings, key=lambda one: order.index(one.grade))}


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ward:
    ward = Ward(tmp_path, dict(PLAN))
    monkeypatch.setattr("engine.routers.sandbox.SandboxRouter", lambda _config: ward.route)
    monkeypatch.setattr("engine.sources.scrape.ScrapeSource", lambda _config: ward.source)
    return ward


async def test_where_all_is_well_each_line_is_ok_and_nothing_was_written(ward: Ward):
    found = await ward.found()
    assert {one.grade for one in found.values()} == {"ok"}, found
    assert {"plan", "state folder", "journal", "secrets", "start", "rollback.sh", "traffic", "stage 1, 10%"} <= set(
        found
    )
    assert ward.route.written == []
    assert (ward.route.closed, ward.source.closed) == (True, True)
    assert list(ward.home.iterdir()) == []


# --- the engine's place


async def test_a_state_folder_that_takes_nothing_is_bad(ward: Ward):
    ward.home = ward.home / "gone"
    found = (await ward.found())["state folder"]
    assert (found.grade, "No such file" in found.said) == ("bad", True)


@pytest.mark.parametrize(("free", "grade"), [(50 * 1024**2, "bad"), (500 * 1024**2, "warn"), (2 * 1024**3, "ok")])
async def test_a_full_disk_is_said_before_the_journal_meets_it(ward: Ward, monkeypatch, free, grade):
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=free))
    assert (await ward.found())["state folder"].grade == grade


async def test_what_the_engine_says_of_its_journal_is_said(ward: Ward):
    ward.notices = ("shop-3 can't be taken up",)
    found = (await ward.found())["journal"]
    assert (found.grade, found.said) == ("warn", "shop-3 can't be taken up")


async def test_a_secret_that_is_missing_is_named_and_no_secret_is_ever_said(ward: Ward, monkeypatch):
    monkeypatch.setenv("SHOP_HOST", "very-secret-host")
    ward.plan["router"] = {"sandbox": {"url": "http://${env:SHOP_HOST}:1"}}
    ward.plan["source"] = {"scrape": {"urls": ["http://${env:NOT_THERE}/metrics"], "interval": "1s"}}
    ward.route.seen = RouterError("very-secret-host does not answer")
    found = await ward.found()
    assert "${env:NOT_THERE} is not in the engine's environment" in found["secrets"].said
    assert found["source"].said == "not tried without its secrets"
    assert found["target"].said == "(a secret, not shown) does not answer"


# --- the way back


async def test_a_script_that_no_shell_reads_is_bad(ward: Ward):
    ward.route.script = "if true; then"
    found = (await ward.found())["rollback.sh"]
    assert found.said.startswith("is no script that sh can read: ")
    assert found.grade == "bad"


async def test_programs_that_the_script_needs_are_named_when_they_are_missing(ward: Ward, monkeypatch):
    ward.route.script = "# kubectl in a comment is none\nsocat - unix:/x && curl -s x && ok=1"
    monkeypatch.setattr("engine.doctor.way_back.shutil.which", lambda name: None if name == "socat" else f"/bin/{name}")
    found = (await ward.found())["rollback.sh"]
    assert (found.grade, found.said) == ("warn", "runs socat, which is not on the engine's PATH")


async def test_a_script_is_only_read(ward: Ward, tmp_path: Path):
    ward.route.script = f"touch {tmp_path / 'ran'}"
    assert (await ward.found())["rollback.sh"].grade == "ok"
    assert not (tmp_path / "ran").exists()


# --- the start


@pytest.mark.parametrize(
    ("seen", "grade", "said"),
    [
        ({"weight": 25.0}, "bad", "25% of the traffic is on the canary's side already"),
        ({"canary": ""}, "warn", "no canary is there yet, not v2: a start waits 10m for it"),
        ({"canary": "v1"}, "warn", "the canary is v1 now, not v2"),
        ({"canary_ready": 0}, "warn", "has no replica that can serve"),
        ({"stable": ""}, "warn", "stable does not say its version"),
        ({"pending": "edge has not accepted it"}, "warn", "edge has not accepted it"),
    ],
)
async def test_what_would_keep_a_release_from_starting(ward: Ward, seen, grade, said):
    ward.route.seen = Observation(**{"weight": 0.0, "canary": "v2", "stable": "v1", "canary_ready": 1} | seen)
    found = (await ward.found())["start"]
    assert (found.grade, said in found.said) == (grade, True), found


async def test_the_start_orders_version_counts_more_than_the_plans(ward: Ward):
    assert (await ward.found("v3"))["start"].said.startswith("the canary is v2 now, not v3")


async def test_a_target_with_a_live_release_is_taken(ward: Ward):
    ward.busy = {"paper": "shop-7", "other": "shop-8"}
    found = (await ward.found())["start"]
    assert (found.grade, found.said, found.mend) == ("bad", "shop-7 is under way on paper", "laneshift watch shop-7")


async def test_a_router_that_can_not_be_read_leaves_the_others_their_lines(ward: Ward):
    ward.route.seen = RouterError("the gateway is gone")
    found = await ward.found()
    assert (found["target"].grade, found["target"].said) == ("bad", "the gateway is gone")
    assert "start" not in found
    assert found["source"].said.startswith("answers; its metrics are not tried")
    assert found["rollback.sh"].grade == "ok"


async def test_a_part_that_hangs_or_breaks_is_a_finding(ward: Ward, monkeypatch):
    monkeypatch.setattr(examination, "PART_LIMIT_S", 0.05)
    monkeypatch.setattr(examination, "OBSERVE_LIMIT_S", 0.05)
    ward.route.waits = 30
    ward.source.problem = "no answer"
    found = await ward.found()
    assert found["router"].said == "no answer within 0.05 s"
    assert found["source"].said == "no answer"
    ward.route = Route(seen=ZeroDivisionError("a bug"))
    found = await ward.found()
    assert (found["router"].grade, found["router"].said) == ("bad", "failed: ZeroDivisionError: a bug")


async def test_checks_ask_where_the_router_knows_an_address(ward: Ward):
    ward.plan["checks"] = {"stage": [{"http": {"path": "/healthz"}}]}
    assert (await ward.found())["checks"].grade == "bad"
    ward.route.known = {"canary": "http://127.0.0.1:7482"}
    assert (await ward.found())["checks"].said == "ask canary at http://127.0.0.1:7482"


# --- the traffic


async def test_traffic_is_read_out_of_the_past_and_stages_say_how_long_they_take(ward: Ward):
    found = await ward.found()
    assert found["traffic"].said == "100 requests/s of stable in the last 10 min"
    assert found["stage 1, 10%"].said.startswith("1,000 requests: 2 min, proof that errors is well: ")
    assert found["stage 1, 10%"].said.endswith("judged for 14m")
    assert ward.source.asked == [Subject("v1")], "only the source's own examination read it"


async def test_a_bake_that_is_too_short_is_told_its_length(ward: Ward):
    ward.source.rps = 2
    found = (await ward.found())["stage 1, 10%"]
    assert (found.grade, found.mend) == ("warn", "stages[0].bake: 1h25m")
    assert "1,000 requests: 83 min" in found.said


async def test_a_stable_past_its_own_line_lets_nothing_pass(ward: Ward):
    ward.source.bad = 30
    found = (await ward.found())["stage 1, 10%"]
    assert (found.grade, "a healthy canary would never pass" in found.said) == ("bad", True)


async def test_without_requests_it_says_so(ward: Ward):
    ward.source.rps = 0
    found = (await ward.found())["traffic"]
    assert (found.grade, "no request in the last 10 min" in found.said) == ("warn", True)


async def test_a_source_that_can_not_be_read_tells_nothing_of_traffic(ward: Ward):
    ward.source.problem = "no answer"
    found = await ward.found()
    assert (found["source"].grade, found["source"].said) == ("bad", "no answer")
    assert found["traffic"].said == "not known while the source can't be read"


async def test_a_source_without_a_past_is_read_twice_or_not_at_all(ward: Ward, monkeypatch):
    really = asyncio.sleep
    monkeypatch.setattr("engine.doctor.traffic.asyncio.sleep", lambda _seconds: really(0))
    ward.source.kept = 0
    assert (await ward.found())["traffic"].said == "100 requests/s of stable in the last 1 s"
    ward.plan["source"] = {"scrape": {"urls": ["http://127.0.0.1:1/metrics"], "interval": "30s"}}
    found = (await ward.found())["traffic"]
    assert (found.grade, "reads only every 30s" in found.said) == ("warn", True)


# --- the links


@contextmanager
def site(**answers: int) -> Iterator[str]:
    """A site that answers each method so."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(answers["HEAD"])
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(answers["GET"])
            self.end_headers()

        def log_message(self, *_said: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/d/1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "grade", "said"),
    [
        ({"HEAD": 200}, "ok", "answered 200"),
        ({"HEAD": 401}, "ok", "answered 401"),
        ({"HEAD": 405, "GET": 200}, "ok", "answered 200"),
        ({"HEAD": 501, "GET": 502}, "warn", "answered 502"),
        ({"HEAD": 503}, "warn", "answered 503"),
    ],
)
async def test_links_are_opened(ward: Ward, answers, grade, said):
    with site(**answers) as url:
        ward.plan["links"] = {"dashboard": url}
        found = (await ward.found())["link dashboard"]
    assert (found.grade, said in found.said) == (grade, True)


async def test_a_link_that_nobody_serves_is_a_warning(ward: Ward):
    ward.plan["links"] = {"runbook": "http://127.0.0.1:1/x"}
    found = (await ward.found())["link runbook"]
    assert (found.grade, found.mend) == ("warn", "open it yourself, or mend links.runbook in the plan")


def test_a_link_holds_no_secret():
    with pytest.raises(ValueError, match="without a secret"):
        Plan.model_validate(PLAN | {"links": {"dashboard": "http://${env:USER}@grafana/x"}})


# --- over the socket


async def test_an_engine_examines_for_its_clients_and_refuses_a_wrong_plan(ward: Ward, monkeypatch):
    async with served(monkeypatch) as engine:
        monkeypatch.setattr("engine.routers.sandbox.SandboxRouter", lambda _config: ward.route)
        monkeypatch.setattr("engine.sources.scrape.ScrapeSource", lambda _config: ward.source)
        examined = await asyncio.to_thread(engine.client.examine, json.dumps(PLAN), "plan.yaml", canary="v3")
        with pytest.raises(EngineRefused, match="servce: found an unknown key"):
            await asyncio.to_thread(engine.client.examine, "servce: shop", "plan.yaml")
    told = {one["what"]: one for one in examined}
    assert told["plan"] == {"grade": "ok", "what": "plan", "said": "valid: 2 stages, 30m at least", "mend": ""}
    assert "not v3" in told["start"]["said"]
