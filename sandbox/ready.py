"""The line that says the sandbox is ready and where: what `python -m sandbox` writes and its starter reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Urls:
    """Base URLs without a slash at the end: the gateway, and each side by its name."""

    gateway: str
    backends: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """The process that is ready and where it answers."""

    pid: int
    urls: Urls

    def line(self) -> str:
        """One line of JSON: pid, gateway, backends."""
        return json.dumps({"pid": self.pid, **asdict(self.urls)})

    @classmethod
    def read(cls, line: str) -> Ready:
        """The inverse of `line`."""
        found = json.loads(line)
        return cls(found["pid"], Urls(found["gateway"], found["backends"]))


def write_ready(path: Path, ready: Ready) -> None:
    """Puts the line into `path` in one step: a reader sees all of it or nothing."""
    partial = path.with_name(f"{path.name}.{ready.pid}")
    partial.write_text(ready.line() + "\n")
    partial.replace(path)
