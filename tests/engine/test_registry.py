"""The registry: built-in kinds, those of other packages, and what is said of a name that nothing has."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from pydantic import BaseModel

from engine import registry
from engine.checks.config import HttpConfig
from engine.plan.model import parse_plan
from engine.plan.problem import PlanError
from engine.registry import BrokenPluginError, UnknownKindError, config_of, kinds, resolve


class OtherConfig(BaseModel):
    level: int


class OtherRouter:
    Config = OtherConfig


class RouterWithoutConfig:
    pass


@pytest.fixture
def other_packages(monkeypatch):
    """Routers of other packages, as `importlib.metadata` would find them."""
    here = __name__
    points = EntryPoints(
        [
            EntryPoint("other", f"{here}:OtherRouter", "laneshift.routers"),
            EntryPoint("unconfigured", f"{here}:RouterWithoutConfig", "laneshift.routers"),
            EntryPoint("gone", "no_such_package:Router", "laneshift.routers"),
            EntryPoint("sandbox", "no_such_package:Router", "laneshift.routers"),
        ]
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points.select(group=group))


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_each_built_in_kind_works_with_the_configuration_that_plans_are_checked_by(family):
    for name in registry.FAMILIES[family]:
        assert resolve(family, name).Config is config_of(family, name)


def test_another_packages_kind_is_found_by_its_entry_point(other_packages):
    assert kinds("router") == (*registry.ROUTERS, "gone", "other", "unconfigured")
    assert resolve("router", "other") is OtherRouter
    assert config_of("router", "other") is OtherConfig


def test_another_packages_configuration_is_checked_in_a_plan(other_packages):
    text = """\
service: checkout
router: {other: {level: LEVEL}}
source: {scrape: {urls: ["http://127.0.0.1:7480/metrics"]}}
metrics: {pool: {gauge: pool, alert: "> 80"}}
"""
    plan = parse_plan(text.replace("LEVEL", "3").encode())
    assert plan.router.config == OtherConfig(level=3)
    assert plan.written()["router"] == {"other": {"level": 3}}
    with pytest.raises(PlanError, match=r"plan.yaml:2:25: router.other.level: found high, allowed: a whole number"):
        parse_plan(text.replace("LEVEL", "high").encode())


def test_a_built_in_kind_can_not_be_replaced_from_outside(other_packages):
    assert resolve("router", "sandbox").__module__ == "engine.routers.sandbox"


@pytest.mark.parametrize(
    ("name", "why"), [("gone", "can't be imported"), ("unconfigured", "no pydantic model named Config")]
)
def test_a_kind_that_can_not_be_used_says_why(other_packages, name, why):
    with pytest.raises(BrokenPluginError, match=why):
        config_of("router", name)
    text = "service: a\nsource: {scrape: {urls: [http://a]}}\nmetrics: {p: {gauge: p, alert: '> 8'}}\n"
    text += f"router: {{{name}: {{}}}}\n"
    with pytest.raises(PlanError, match=why):
        parse_plan(text.encode())


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UnknownKindError) as error:
        resolve("check", "htp")
    assert error.value.known == ("http", "junit")
    assert error.value.hint == "did you mean http?"
    assert "no check htp; there is http, junit" in str(error.value)


def test_a_kinds_configuration_is_read_without_the_library_that_does_its_work():
    code = "import sys; from engine.registry import FAMILIES, config_of\n"
    code += "[config_of(family, name) for family in FAMILIES for name in FAMILIES[family]]\n"
    code += "print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert config_of("check", "http") is HttpConfig
