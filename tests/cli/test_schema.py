"""`laneshift schema`: what people write, for editors; and the reference that is made from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sample_configs
from cli.plan_reference import plan_reference, plan_schema
from cli.schema import schema
from engine.plan.model import read_plan
from engine.registry import FAMILIES

SCHEMA = plan_schema()


def follow(node: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def misfits(value: Any, node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Where a value does not fit the part of JSON Schema that plans use; enough of the standard for this test."""
    node = follow(node)
    for choice in ("anyOf", "oneOf"):
        if choice in node and all(list(misfits(value, each, path)) for each in node[choice]):
            yield f"{path}: none of {choice}"
    if "enum" in node and value not in node["enum"]:
        yield f"{path}: not in enum"
    if "const" in node and value != node["const"]:
        yield f"{path}: not the constant"
    types = {"string": str, "integer": int, "number": (int, float), "object": dict, "array": list, "null": type(None)}
    if node.get("type") in types and not isinstance(value, types[node["type"]]):
        yield f"{path}: not {node['type']}"
    elif isinstance(value, str) and "pattern" in node and not re.search(node["pattern"], value):
        yield f"{path}: {value!r} does not match {node['pattern']}"
    elif isinstance(value, list) and "items" in node:
        for index, each in enumerate(value):
            yield from misfits(each, node["items"], f"{path}[{index}]")
    elif isinstance(value, dict) and node.get("type") == "object":
        yield from misfits_of_keys(value, node, path)


def misfits_of_keys(value: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[str]:
    known = node.get("properties", {})
    name = node.get("propertyNames", {}).get("pattern", "")
    yield from (f"{path}.{key}: not a name" for key in value if not re.search(name, key))
    yield from (f"{path}.{key}: missing" for key in node.get("required", ()) if key not in value)
    for key, each in value.items():
        patterns = [about for pattern, about in node.get("patternProperties", {}).items() if re.search(pattern, key)]
        if key in known:
            yield from misfits(each, known[key], f"{path}.{key}")
        elif patterns:
            yield from misfits(each, patterns[0], f"{path}.{key}")
        elif node.get("additionalProperties", True) is False:
            yield f"{path}.{key}: unknown"
        elif isinstance(node.get("additionalProperties"), dict):
            yield from misfits(each, node["additionalProperties"], f"{path}.{key}")


@pytest.mark.parametrize("name", ["sandbox.yaml", "sandbox-full.yaml"])
def test_what_a_plan_writes_fits_the_schema(name):
    written = read_plan(sample_configs.path(name)).written()
    assert list(misfits(written, SCHEMA)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"keep_old": 60},
        {"keep_old": "60"},
        {"stages": [{"weight": "5%"}]},
        {"router": {"sandbx": {}}},
        {"router": {"sandbox": {"uri": "http://a"}}},
        {"metrics": {"Bad Name": {"gauge": "x", "alert": "> 1"}}},
        {"metrics": {"errors": {"total": "x", "bad": "x", "alert": "< 1%"}}},
        {"metrics": {"errors": {"total": "x"}}},
        {"checks": {"stage": [{"htp": {}}]}},
        {"strategy": "rolling"},
        {"servce": "shop"},
    ],
)
def test_what_a_plan_must_not_be_does_not_fit_the_schema(change):
    written = read_plan(sample_configs.path("sandbox-full.yaml")).written()
    assert list(misfits(written | change, SCHEMA)) != []


def test_defaults_are_as_people_write_them():
    assert SCHEMA["properties"]["keep_old"]["default"] == "1h"
    assert SCHEMA["$defs"]["Blind"]["properties"]["after"]["default"] == "2m"
    assert SCHEMA["properties"]["stages"]["default"][3]["bake"] == "1h"


def test_every_key_is_described_and_every_kind_is_there():
    parts = [SCHEMA, *(part for part in SCHEMA["$defs"].values() if "properties" in part)]
    bare = [
        key
        for part in parts
        for key, about in part["properties"].items()
        if not (follow(about) | about).get("description")
    ]
    assert bare == []
    for family, kinds in FAMILIES.items():
        alternatives = SCHEMA["$defs"][f"{family.capitalize()}Choice"]["oneOf"]
        assert [next(iter(each["properties"])) for each in alternatives] == list(kinds)


def test_the_command_prints_the_schema_or_the_page():
    assert json.loads(CliRunner().invoke(schema).stdout) == SCHEMA
    assert CliRunner().invoke(schema, ["--markdown"]).stdout == plan_reference(SCHEMA)


def test_it_prints_the_schema_of_the_engines_configuration_and_the_document_of_its_api():
    of_engine = json.loads(CliRunner().invoke(schema, ["--engine"]).stdout)
    assert {"commands", "roles", "tokens", "listen"} <= set(of_engine["properties"])
    of_api = json.loads(CliRunner().invoke(schema, ["--openapi"]).stdout)
    assert "/v1/releases/{release}/orders" in of_api["paths"]
    assert CliRunner().invoke(schema, ["--engine", "--openapi"]).exit_code == 2


def test_the_reference_of_the_engines_configuration_is_what_its_schema_says():
    page = (Path(__file__).parents[2] / "docs" / "engine.md").read_text(encoding="utf-8")
    printed = CliRunner().invoke(schema, ["--engine", "--markdown"], catch_exceptions=False).stdout
    assert "| `roles` |" in printed
    assert page == printed, "run: laneshift schema --engine --markdown > docs/engine.md"


def test_the_reference_in_the_docs_is_what_the_schema_says():
    page = Path(__file__).parents[2] / "docs" / "plan.md"
    assert page.read_text(encoding="utf-8") == plan_reference(SCHEMA), "run: laneshift schema --markdown > docs/plan.md"


def test_the_reference_names_every_key():
    page = plan_reference(SCHEMA)
    parts = [SCHEMA, *(part for part in SCHEMA["$defs"].values() if "properties" in part)]
    assert [key for part in parts for key in part["properties"] if f"| `{key}` |" not in page] == []
