"""`status` and `rollback` of /v1 are frozen: a client of the release before works against this engine.

`v1_client.py` is that client's own code. `FIELDS` were recorded from its engine: each is still there with its type, and
new ones may stand beside it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from engine.client import Beat
from tests.engine.served import Served, served
from tests.engine.serving import v1_client

NUMBER = (int, float)
ROW: dict[str, Any] = {
    "release": str,
    "service": str,
    "target": str,
    "phase": str,
    "stage": int,
    "weight": {"desired": int, "observed": NUMBER},
    "paused_by": str,
    "created_at": NUMBER,
}
METRIC: dict[str, Any] = {
    "name": str,
    "kind": str,
    "thresholds": [{"limit": NUMBER, "relative": bool, "above": bool}],
    "baseline": None,
    "quantile": None,
    "limit": None,
    "weight": str,
}
COUNTS: dict[str, Any] = {"total": NUMBER, "bad": NUMBER, "bad_low": NUMBER, "value": None}
VERDICT: dict[str, Any] = {
    "metric": str,
    "outcome": str,
    "reason": str,
    "alert": bool,
    "canary": COUNTS,
    "stable": COUNTS,
    "needed": NUMBER,
    "numbers": {},
}
LOOK: dict[str, Any] = ROW | {
    "summary": str,
    "revision": str,
    "canary": str,
    "stable": str,
    "step": str,
    "stages": [int],
    "baked_s": NUMBER,
    "requests": NUMBER,
    "exposure": {"requests": NUMBER, "bad": NUMBER},
    "weights": [NUMBER],
    "holds": {},
    "alerts": {},
    "waits_for": str,
    "until": None,
    "then": str,
    "orders": list,
    "metrics": [METRIC],
    "past": {"seconds": None, "remarks": list},
    "verdicts": {
        "errors": {"metric": str, "outcome": str, "reason": str, "alert": bool, "canary": COUNTS, "stable": COUNTS}
    },
    "checks": list,
    "checklist": {"done": int, "total": int},
    "items": [{"item": {"id": str, "list": str, "text": str, "proof": list}}],
    "rollback": None,
    "way_back": {"tried_at": None, "problem": str},
    "route": {"pending": str, "share": None, "hand": str, "remark": str},
    "ready": {"canary": int, "canary_asked": None, "stable": int, "full": None},
    "watched": bool,
    "would": list,
    "keep_until": None,
    "ending": str,
    "manual_rollback": str,
    "notices": list,
}
STOPWATCH = {"asked": NUMBER, "accepted": NUMBER, "who": str, "reason": str, "was": NUMBER, "written": NUMBER}


def holds(found: Any, wanted: Any, at: str = "") -> None:
    """Every recorded field is there with its type; `None` where the release before could say null."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), at
        for name, kind in wanted.items():
            assert name in found, f"{at}.{name} is gone"
            holds(found[name], kind, f"{at}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list), at
        assert found, f"{at} has nothing to look at"
        for one in found:
            holds(one, wanted[0], at)
    elif wanted is not None:
        assert isinstance(found, wanted), f"{at} is {found!r}"
        assert wanted is bool or not isinstance(found, bool), f"{at} is {found!r}"


@pytest.fixture
async def engine(monkeypatch) -> AsyncIterator[Served]:
    async with served(monkeypatch) as running:
        yield running


@pytest.fixture
async def release(engine: Served) -> str:
    """At its first stage, judged once."""
    name = await engine.begin()
    seen = await engine.ready(name)
    await engine.client.order(name, "advance", stage=-1, revision=seen["revision"])
    await engine.until(name, phase="stage", weight={"desired": 5, "observed": 5.0})
    async with aclosing(engine.client.events(name)) as heard:
        async for one in heard:
            if isinstance(one, Beat) and engine.host.state(name).verdicts:
                return name
    raise AssertionError("the stream ended")


async def test_status_of_the_release_before_reads_this_engine(engine: Served, release: str):
    folder = str(engine.client.folder)
    rows = await asyncio.to_thread(v1_client.ask, folder, "GET", "/v1/releases")
    holds(rows, [ROW])
    look = await asyncio.to_thread(v1_client.ask, folder, "GET", v1_client.release_path(release))
    holds(look, LOOK)
    with pytest.raises(v1_client.EngineRefused, match="no release 'other'") as refused:
        await asyncio.to_thread(v1_client.ask, folder, "GET", "/v1/releases/other")
    assert refused.value.status == 404


async def test_rollback_of_the_release_before_rolls_back_on_this_engine(engine: Served, release: str):
    order = {"verb": "rollback", "reason": "slow", "asked_at": 1.5, "id": "once"}
    for _ in range(2):
        assert await asyncio.to_thread(v1_client.give, str(engine.client.folder), release, order, who="ann") == ""
    seen = await engine.until(release, phase="rolled_back")
    assert engine.route.weight == 0
    holds(seen["rollback"], STOPWATCH)
    wrong = {"verb": "advance", "stage": 0, "revision": "x"}
    assert await asyncio.to_thread(v1_client.give, str(engine.client.folder), release, wrong), "refused with its reason"


@pytest.mark.real
async def test_curl_rolls_back(engine: Served, release: str):
    assert shutil.which("curl"), "curl is not installed"
    order = json.dumps({"verb": "rollback", "id": "by-hand-1", "reason": "slow"})
    command = ("curl", "-sS", "--fail-with-body", "--unix-socket", engine.client.address)
    url = f"http://engine/v1/releases/{release}/orders"
    ran = await asyncio.to_thread(subprocess.run, [*command, url, "-d", order], capture_output=True, text=True)
    assert (ran.returncode, json.loads(ran.stdout)["accepted"]) == (0, "rollback"), ran.stderr
    assert (await engine.until(release, phase="rolled_back"))["weight"]["observed"] == 0.0
