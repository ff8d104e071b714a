"""rollback.sh, as a person runs it when laneshift is broken: with /bin/sh against a real gateway."""

from __future__ import annotations

import shlex
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.routers.config import SandboxConfig
from engine.routers.sandbox import SandboxRouter
from engine.script import script_path, write_script
from engine.state import State, created
from sandbox.ready import Urls
from tests.support.engine_bench import RELEASE, creation, rules
from tests.support.sandbox_process import running_sandbox

SHELLS = ["sh", "dash", "bash --posix"]


def state(stage: int = 0) -> State:
    return replace(created(creation(rules(), 1.0)), stage=stage)


def router(url: str) -> SandboxRouter:
    return SandboxRouter(SandboxConfig.model_validate({"url": url}))


def written(home: Path, url: str, stage: int = 0) -> Path:
    write_script(home, state(stage), router(url))
    return script_path(home, RELEASE)


def shell(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*shlex.split(command), *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", SHELLS)
def test_it_is_posix_sh_for_the_owner_alone(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, "http://127.0.0.1:7480")
    assert shell(name, "-n", str(path)).stderr == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_is_replaced_whole_at_each_stage(tmp_path: Path) -> None:
    first = written(tmp_path, "http://127.0.0.1:7480").read_text()
    second = written(tmp_path, "http://127.0.0.1:7480", stage=2).read_text()
    assert first != second
    assert "stage 3" in second
    assert [path.name for path in script_path(tmp_path, RELEASE).parent.iterdir()] == ["rollback.sh"]


def test_an_address_with_quotes_in_it_is_no_command(tmp_path: Path) -> None:
    """A plan's text reaches a shell here: it stays one word."""
    marker = tmp_path / "owned"
    path = written(tmp_path, f"http://127.0.0.1:1/'$(touch${{IFS}}{marker})`touch${{IFS}}{marker}`")
    text = path.read_text().replace("-lt 30", "-lt 1")
    path.write_text(text)
    assert shell("sh", str(path)).returncode == 1
    assert not marker.exists()


def weights(urls: Urls) -> dict[str, int]:
    seen: dict[str, Any] = httpx.get(f"{urls.gateway}/admin/route", timeout=5).json()
    return {name: backend["weight"] for name, backend in seen["backends"].items()}


def put(urls: Urls, path: str, body: dict[str, Any]) -> None:
    httpx.put(f"{urls.gateway}/admin/{path}", json=body, timeout=5).raise_for_status()


@pytest.mark.real
def test_it_brings_all_traffic_back_says_so_and_works_twice(tmp_path: Path) -> None:
    with running_sandbox(rps=20) as urls:
        path = written(tmp_path, urls.gateway)
        for name in SHELLS:
            put(urls, "route", {"weights": {"shop-a": 50, "shop-b": 50}})
            for _ in range(2):
                ran = shell(name, str(path))
                assert (ran.returncode, ran.stderr) == (0, "")
                assert "all traffic is on stable" in ran.stdout
                assert weights(urls) == {"shop-a": 100, "shop-b": 0}
        mark = httpx.get(f"{urls.gateway}/admin/route", timeout=5).json()["mark"]
        assert mark == {"number": "rollback.sh", "by": "rollback.sh", "release": RELEASE}


@pytest.mark.real
def test_the_one_command_for_a_person_does_it_too(tmp_path: Path) -> None:
    with running_sandbox(rps=20) as urls:
        put(urls, "route", {"weights": {"shop-a": 50, "shop-b": 50}})
        assert shell("sh", "-c", router(urls.gateway).manual_rollback(RELEASE)).returncode == 0
        assert weights(urls) == {"shop-a": 100, "shop-b": 0}


@pytest.mark.real
def test_a_gateway_that_takes_nothing_is_said_and_is_no_success(tmp_path: Path) -> None:
    with running_sandbox(rps=20) as urls:
        path = written(tmp_path, urls.gateway)
        path.write_text(path.read_text().replace("-lt 30", "-lt 2"))
        put(urls, "route", {"weights": {"shop-a": 50, "shop-b": 50}})
        put(urls, "faults", {"gateway-ignores": True})
        ran = shell("sh", str(path))
        assert ran.returncode == 1
        assert "NOT DONE" in ran.stdout
