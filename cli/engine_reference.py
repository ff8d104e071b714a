"""The reference of engine.yaml for people, made from its JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import sample_configs
from cli.plan_reference import in_reading_order, section
from engine.config import EngineConfig

HEAD: Final = """\
# engine.yaml

The engine's own configuration: who may do what, where it listens, where the journal is, what plans may run on its
machine. It is read from the state folder, or from where `$LANESHIFT_ENGINE_CONFIG` says. This page is made from its
schema: `laneshift schema --engine --markdown > docs/engine.md`; `laneshift schema --engine` prints the JSON Schema.

Every key may be left out. `roles` and `tokens` hold as soon as the file is changed, `commands` from the next start of a
release on, all else from the next start of the engine on. Paths are relative to this file; `${file:NAME}` is a file in
the folder `secrets` of the state folder. A file that everybody can write to is refused, and so are unknown keys and
literal secrets. [Security](security.md) says who may do what, [operations](operations.md) how commands are run.

```yaml
"""
TITLES: Final = {
    "Roles": "roles",
    "Members": "A role",
    "Token": "An entry of tokens",
    "Listen": "listen",
    "SocketPlace": "socket",
    "DeadMan": "dead_man",
    "Retention": "retention",
    "Command": "An entry of commands",
}


def engine_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of engine.yaml."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **EngineConfig.model_json_schema(), "title": "engine.yaml"}


def engine_reference(schema: dict[str, Any]) -> str:
    """The page in Markdown: the file's keys, then those of each part."""
    parts = schema["$defs"]
    example = (Path(sample_configs.__file__).parent / "engine" / "team.yaml").read_text(encoding="utf-8")
    lines = [f"{HEAD}{example}```\n", *section("Its keys", {**schema, "description": ""}, parts)]
    for name in in_reading_order(schema, parts):
        if "properties" in parts[name]:
            lines += section(TITLES[name], parts[name], parts)
    return "\n".join(lines).rstrip() + "\n"
