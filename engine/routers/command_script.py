"""The way back of a command as POSIX sh: the very arguments, and the names of its secrets in place of their values."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.plan.literal_secrets import REFERENCE

_SCRIPT = """
limit() {{ if command -v timeout >/dev/null 2>&1; then timeout -k 1 {seconds} "$@"; else "$@"; fi; }}
say "running the command that rolls back"
( {place} && limit {rollback} ) </dev/null >/dev/null || say "it failed"
say "reading it back"
seen=$( ( {place} && limit {observe} ) </dev/null) || seen=
seen=$(printf '%s' "$seen" | tr -d ' \\t\\r\\n')
case $seen in *'"pending":"'[!\\"]*) say "not in effect everywhere yet"; seen= ;; esac
printf '%s' "$seen" | grep -Eq '^[{{](.*,)?"weight":-?0([.]0*)?[,}}]' && ok=1
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """What a command runs to go back and to look, for somebody who has no engine. `environment` is as written, with
    its references; those to files are read from `secrets_folder`."""

    rollback: Sequence[str]
    observe: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    secrets_folder: Path

    def line(self) -> str:
        """The way back in one line, for a person's own shell."""
        return f"( {self._place(self.environment)} && {shlex.join(self.rollback)} )"

    def script(self, limit_s: float) -> str:
        """Lines for rollback.sh: go back, look, `ok=1` when all traffic is on stable."""
        return _SCRIPT.format(
            seconds=math.ceil(limit_s),
            place=self._place({"PATH": os.environ.get("PATH", os.defpath), **self.environment}),
            rollback=shlex.join(self.rollback),
            observe=shlex.join(self.observe),
        )

    def _place(self, variables: Mapping[str, str]) -> str:
        exports = [f"export {name}={self._word(value)}" for name, value in variables.items()]
        return " && ".join([f"cd {shlex.quote(str(self.folder))}", *exports])

    def _word(self, value: str) -> str:
        """One word of sh: text quoted, a reference as what holds its secret."""
        word, at = "", 0
        for found in REFERENCE.finditer(value):
            word += _quoted(value[at : found.start()]) + self._secret(found[0])
            at = found.end()
        return (word + _quoted(value[at:])) or "''"

    def _secret(self, reference: str) -> str:
        kind, _, name = reference[2:-1].partition(":")
        return f'"${{{name}:-}}"' if kind == "env" else f'"$(cat {shlex.quote(str(self.secrets_folder / name))})"'


def _quoted(text: str) -> str:
    return shlex.quote(text) if text else ""
