"""What is loaded when: whoever rolls back waits for no library, and the engine runs where no terminal is."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import engine
import sandbox

TERMINAL = {"textual", "plotext"}  # not rich: httpx imports it where it finds it
HEAVY = TERMINAL | {
    "rich",
    "httpx",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "yaml",
    "prometheus_client",
    "asyncio",
}


def loaded_by(statements: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `statements`."""
    tell = f"import sys\n{statements}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-P", "-c", tell], check=True, capture_output=True, text=True, timeout=60)
    return set(found.stdout.split())


def modules_of(package) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [module.name for module in found if not module.name.endswith("__main__")]


@pytest.mark.parametrize("package", [engine, sandbox], ids=lambda package: package.__name__)
def test_no_module_of_the_engine_or_the_sandbox_loads_a_terminal(package):
    statements = "\n".join(
        f"import {name}\nassert not {TERMINAL!r} & set(sys.modules), {name!r}" for name in modules_of(package)
    )
    assert not TERMINAL & loaded_by(statements)


def test_the_client_loads_nothing_heavy():
    assert not loaded_by("import engine.client") & (HEAVY | {"click", "http", "subprocess"})


@pytest.mark.parametrize("module", ["cli.commands", "cli.orders", "cli.start", "cli.watch", "cli.rollback"])
def test_commands_load_nothing_heavy_before_they_are_called(module):
    assert not loaded_by(f"import {module}") & (HEAVY | {"http", "subprocess"})


def test_a_roll_back_loads_only_what_it_needs():
    loaded = loaded_by("from cli import main, way_back; assert way_back.read(['shop-1', '--reason', 'slow'])")
    slow = {
        "click",
        "dataclasses",
        "inspect",
        "typing",
        "pathlib",
        "contextlib",
        "uuid",
        "subprocess",
        "urllib",
        "http",
    }
    assert not loaded & (HEAVY | slow)


@pytest.mark.parametrize(
    "module", ["engine.release", "engine.judge", "engine.plan.model", "engine.outlook", "engine.codec"]
)
def test_what_decides_loads_no_library_of_the_network_or_the_disk(module):
    heavy = {"httpx", "sqlalchemy", "starlette", "uvicorn", "prometheus_client", "sqlite3", "http"}
    assert not loaded_by(f"import {module}") & heavy


def test_a_plan_of_built_in_kinds_loads_no_library_of_the_network():
    plan = "from pathlib import Path; from sample_configs import path; from engine.plan.model import read_plan"
    loaded = loaded_by(f"{plan}; read_plan(path('sandbox.yaml'))")
    assert not loaded & {"httpx", "sqlalchemy", "starlette", "uvicorn", "prometheus_client", "textual"}
