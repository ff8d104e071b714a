"""Where the engine keeps things: its state folder, its journal, the secrets that a plan refers to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from engine.finding import Finding, Grade
from engine.plan.model import Plan
from engine.secrets import SecretMissingError, Secrets

LITTLE_BYTES = 100 * 1024**2
FEW_BYTES = 1024**3


def examine_folder(home: Path) -> list[Finding]:
    """Can the journal, the spool and rollback.sh be written? It tries a file of its own and removes it."""
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"laneshift doctor\n")
        free = shutil.disk_usage(home).free
    except OSError as error:
        said = f"{home} can't be written: {error.strerror or error}"
        return [Finding("bad", "state folder", said, f"df -h {home}; ls -ld {home}")]
    said = f"{home} can be written, {_size(free)} free"
    if free >= FEW_BYTES:
        return [Finding("ok", "state folder", said)]
    grade: Grade = "bad" if free < LITTLE_BYTES else "warn"
    return [Finding(grade, "state folder", said, f"free some space: du -xh {home} | sort -h | tail")]


def examine_journal(notices: Sequence[str]) -> list[Finding]:
    """What the engine says of its journal and its releases."""
    if not notices:
        return [Finding("ok", "journal", "takes records")]
    return [Finding("warn", "journal", notice, "the engine's log says more") for notice in notices]


def examine_secrets(plan: Plan, secrets: Secrets) -> list[Finding]:
    """Is every secret there that the plan refers to? One line for each that is not."""
    return [*_missing(_configs(plan), secrets)] or [Finding("ok", "secrets", "each one that the plan names is there")]


def _configs(plan: Plan) -> Iterable[BaseModel]:
    checks = (*plan.checks.pre, *plan.checks.stage, *plan.checks.post)
    return [choice.config for choice in (plan.router, plan.source, *plan.sources.values(), *checks)]


def _missing(configs: Iterable[BaseModel], secrets: Secrets) -> Iterator[Finding]:
    said = set()
    for config in configs:
        try:
            secrets.resolve(config)
        except SecretMissingError as error:
            said.add(str(error))
    yield from (Finding("bad", "secrets", why, "then: laneshift doctor again") for why in sorted(said))


def _size(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB" if size >= FEW_BYTES else f"{size / 1024**2:.0f} MiB"
