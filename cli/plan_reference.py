"""The reference of plans for people, made from their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sample_configs
from engine.plan.model import Plan
from engine.registry import Family, config_of

Schema = Mapping[str, Any]

HEAD = """\
# Plans

A plan is a YAML file that says what to release, through which stages, judged by which metrics. This page is made from
the schema: `laneshift schema --markdown > docs/plan.md`. `laneshift lint PLAN` says whether a plan is valid, what would
happen, and what is unwise; `laneshift schema` prints the JSON Schema, so that an editor completes and checks plans.

Times, percentages and sizes are written with their units: `90s`, `1h30m`, `250ms`, `0.1%`, `2GiB`. Unknown keys, keys
that stand twice, and literal secrets are errors; a secret is written `${env:NAME}` or `${file:PATH}`. Text is UTF-8;
scalars are YAML 1.2, where `on` and `yes` are text. Merge keys (`<<`) and tags (`!!`) are not accepted.

A series is written as in Prometheus: `name{label="value",other=~"5.."}`. `$version` stands for the version of the side
that is read, `$build` for its pod template's hash or image digest, `$workload` for the name of what runs it; a judged
metric needs one of them in a label, and a name alone means `name{version="$version"}`. Counters and histograms are
named raw, without `rate` or `increase`: laneshift takes the differences itself. A number in a JSON answer is named by
its place, `/orders/$version/total` (a JSON pointer) or `/stats?version=$version#/total`; one in a database by a query
of one number, `select count(*) from orders where version = :version`, in which `:version`, `:build` and `:workload` are
bound.

## A whole plan

```yaml
"""


def plan_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what people write, with every router, source and check there is."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Plan.model_json_schema(), "title": "Plan"}


def plan_reference(schema: Schema) -> str:
    """The page in Markdown: the plan's keys, then those of each part."""
    parts = schema["$defs"]
    example = sample_configs.path("sandbox-full.yaml").read_text(encoding="utf-8")
    lines = [f"{HEAD}{example}```\n", *section("A plan's keys", schema, parts)]
    for name in in_reading_order(schema, parts):
        part = parts[name]
        if "properties" in part:
            lines += section(_title(name, parts), part, parts)
    for title, part in _written_out(parts):
        lines += section(title, part, parts)
    return "\n".join(lines).rstrip() + "\n"


def in_reading_order(schema: Schema, parts: Mapping[str, Schema]) -> list[str]:
    """Parts in the order in which the keys above name them."""
    seen: list[str] = []
    waiting = list(_refs({key: value for key, value in schema.items() if key != "$defs"}))
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.append(name)
            waiting += _refs(parts[name])
    return seen


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield _name(node)
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _name(node: Schema) -> str:
    return str(node["$ref"]).rpartition("/")[2]


TITLES = {
    "Version": "version",
    "Change": "change",
    "Migration": "change.migration",
    "Stage": "A stage",
    "Gate": "gate, of a plan or a stage",
    "BadShare": "A metric: a share of bad events",
    "GoodShare": "A metric: a share of good events",
    "Latency": "A metric: a latency",
    "Gauge": "A metric: a gauge",
    "PodsConfig": "source: scrape, its pods",
    "BasicAuth": "basic, of a source",
    "Tls": "tls, of a source",
    "Blind": "blind",
    "Rollback": "rollback",
    "Checks": "checks",
    "Checklist": "checklist",
    "ChecklistItem": "An item of the checklist",
}


CHOICES: tuple[tuple[Family, str], ...] = (
    ("router", "RouterChoice"),
    ("source", "SourceChoice"),
    ("check", "CheckChoice"),
)


def _written_out(parts: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Configurations that stand in their choice itself, not among the parts."""
    for family, choice in CHOICES:
        for alternative in parts.get(choice, {}).get("oneOf", ()):
            kind = alternative["required"][0]
            if "properties" in alternative["properties"][kind]:
                yield f"{family}: {kind}", config_of(family, kind).model_json_schema()


def _title(name: str, parts: Mapping[str, Schema]) -> str:
    """The part's place in a plan; a configuration is named after the kind that it belongs to."""
    for family, choice in CHOICES:
        for alternative in parts.get(choice, {}).get("oneOf", ()):
            for kind, config in alternative["properties"].items():
                if config.get("$ref", "").endswith(f"/{name}"):
                    return f"{family}: {kind}"
    return TITLES.get(name, name)


def section(title: str, part: Schema, parts: Mapping[str, Schema]) -> Iterator[str]:
    yield f"## {title}\n"
    if "properties" in part and part.get("description") and title != "A plan's keys":
        yield f"{part['description']}\n"
    yield "| key | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    required = part.get("required", ())
    for key in sorted(part["properties"], key=lambda key: key not in required):
        about = part["properties"][key]
        default = "**required**" if key in required else _default(about)
        yield f"| `{key}` | {_cell(_value(about))} | {default} | {_cell(_meaning(about, parts))} |"
    yield ""


def _meaning(about: Schema, parts: Mapping[str, Schema]) -> str:
    """The key's own description, else that of what stands there."""
    part = parts.get(_name(about), {}) if "$ref" in about else {}
    return str(about.get("description") or part.get("description", ""))


def _default(about: Schema) -> str:
    default = about.get("default")
    if default is None or default in ([], {}):
        return ""
    if isinstance(default, (list, dict)):
        return "see the meaning" if isinstance(default, list) else "see its own keys"
    return f"`{json.dumps(default).strip(chr(34))}`"


def _value(about: Schema) -> str:
    """What may stand there, in a few words."""
    if "$ref" in about:
        return _REFERRED.get(_name(about), _name(about).lower())
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if "anyOf" in about or "oneOf" in about:
        forms = [each for each in about.get("anyOf", about.get("oneOf")) if each.get("type") != "null"]
        shown = dict.fromkeys(_value(each) for each in forms if each.get("type") != "array")
        lists = [_value(each) for each in forms if each.get("type") == "array"]
        return " or ".join([*shown, *(["a list of them"] if shown and lists else lists)])
    if about.get("type") == "array":
        return f"list of {_value(about['items'])}" if about.get("items") else "list"
    return _scalar(about)


_REFERRED = {
    "RouterChoice": "one router",
    "SourceChoice": "one source",
    "CheckChoice": "checks",
    "ChecklistItem": "items",
    "Stage": "stages",
    "JsonValue": "any JSON value",
    **dict.fromkeys(("BadShare", "GoodShare", "Latency", "Gauge"), "metric"),
    **dict.fromkeys(("Version", "Change", "Migration", "Gate", "Blind", "Rollback", "Checks", "Checklist"), "mapping"),
    "Role": "`viewer`, `operator` or `approver`",
    **dict.fromkeys(("Roles", "Members", "Listen", "SocketPlace", "DeadMan", "Retention"), "mapping"),
    **dict.fromkeys(("PodsConfig", "BasicAuth", "Tls"), "mapping"),
}


def _scalar(about: Schema) -> str:
    if "examples" in about:
        return "such as " + ", ".join(f"`{example}`" for example in about["examples"])
    if "patternProperties" in about:
        return f"{_value(next(iter(about['patternProperties'].values())))} under each name"
    if isinstance(about.get("additionalProperties"), Mapping):
        return f"{_value(about['additionalProperties'])} under each name"
    kind = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}.get(about.get("type", ""))
    kind = kind or about.get("type", "any JSON value")
    if "minimum" in about and "maximum" in about:
        return f"{kind} from {about['minimum']} to {about['maximum']}"
    return str(kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
