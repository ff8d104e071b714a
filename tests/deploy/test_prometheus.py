"""deploy/prometheus: valid, each alert fires when it must and is silent else, and its words lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.programs import need

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "laneshift.rules.yaml"
CASES = Path(__file__).parent / "prometheus" / "laneshift.test.yaml"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    need("promtool")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.real
def test_prometheus_takes_the_rules() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", str(RULES))


@pytest.mark.real
def test_each_alert_fires_when_it_must_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_every_alert_is_tried_both_ways() -> None:
    tried: dict[str, set[bool]] = {}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for one in case["alert_rule_test"]:
            tried.setdefault(one["alertname"], set()).add(bool(one.get("exp_alerts")))
    assert tried == {rule["alert"]: {True, False} for rule in rules()}


def test_an_alert_says_what_it_is_what_to_do_and_where_to_read_on() -> None:
    pages = (ROOT / "docs" / "observability.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", pages, re.MULTILINE)}
    for rule in rules():
        said = rule["annotations"]
        assert said["summary"]
        assert said["description"]
        assert said["runbook_url"] == f"docs/observability.md#{rule['alert'].lower()}"
        assert rule["alert"].lower() in anchors
        assert rule["labels"]["severity"] in {"critical", "warning"}
