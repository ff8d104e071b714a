"""A target that a command moves: a small POSIX script on files in a folder, with moods."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.config import FILE, Surroundings
from engine.routers.command import CommandRouter
from engine.routers.command_config import CommandConfig
from engine.secrets import Secrets

SCRIPT = r"""
#!/bin/sh
# target.sh observe SIDE | shift SIDE WEIGHT NUMBER
while [ -e silent ]; do sleep 0.02; done
if [ "$2" != canary ]; then
    echo "there is no side $2; there is canary" >&2
    exit 1
fi
case $1 in
    observe)
        echo "{\"weight\": $(cat weight), \"canary\": \"v2\", \"stable\": \"v1\","
        echo " \"canary_ready\": 1, \"stable_ready\": 2}" ;;
    shift)
        echo "$4 $3 $TOKEN" >> writes
        echo "$3" > weight.new && mv weight.new weight
        echo "now $3" ;;
esac
"""
SECRET = "hunter2-and-more"


class CommandTarget:
    """The folder of one target; `home` holds its engine.yaml too, and is the engine's state folder."""

    def __init__(self, home: Path, **changes: Any) -> None:
        self.home = home
        (home / "target.sh").write_text(SCRIPT.lstrip())
        self.set(0)
        self.configure(**changes)

    def configure(self, **changes: Any) -> None:
        """Write engine.yaml with the command `web`; `changes` are keys of it."""
        command: dict[str, Any] = {
            "params": ["side"],
            "observe": ["sh", "target.sh", "observe", "{side}"],
            "shift": ["sh", "target.sh", "shift", "{side}", "{weight}", "{number}"],
            "timeout": "1s",
            "env": {"TOKEN": "${file:token}"},
            **changes,
        }
        (self.home / FILE).write_text(json.dumps({"commands": {"web": command}}))
        (self.home / "secrets").mkdir(exist_ok=True)
        (self.home / "secrets" / "token").write_text(SECRET)

    def router(
        self, side: str = "canary", environment: Mapping[str, str] | None = None, **params: str
    ) -> CommandRouter:
        """A new router on it, in an engine with this environment."""
        config = CommandConfig.model_validate({"run": "web", "params": {"side": side, **params}})
        return CommandRouter(config, self.surroundings(environment=environment))

    def surroundings(self, canary: str = "v2", environment: Mapping[str, str] | None = None) -> Surroundings:
        """Of an engine on this home."""
        return Surroundings(Secrets(self.home, environment or {}), "shop", canary)

    def weight(self) -> float:
        """The canary's weight, past the router."""
        return float((self.home / "weight").read_text())

    def set(self, weight: float) -> None:
        """As a person's hand would."""
        (self.home / "weight").write_text(str(weight))

    def writes(self) -> list[str]:
        """What was written, in order: number, weight, and the secret that came with it."""
        path = self.home / "writes"
        return path.read_text().splitlines() if path.exists() else []

    def prints(self, text: str, **changes: Any) -> None:
        """From now on `observe` prints just this, and `shift` does nothing; `params` are gone."""
        (self.home / "printed").write_text(text)
        self.configure(**{"observe": ["cat", "printed"], "shift": ["true"], "params": [], **changes})

    def script(self, act: str, text: str, **changes: Any) -> None:
        """From now on this act is this script of sh; `params` are gone."""
        (self.home / f"{act}.sh").write_text(textwrap.dedent(text))
        own: Mapping[str, Any] = {act: ["sh", f"{act}.sh", *(["{weight}"] if act != "observe" else [])]}
        observe = {"observe": ["sh", "target.sh", "observe", "canary"]} if act != "observe" else {}
        moves = {"shift": ["sh", "target.sh", "shift", "canary", "{weight}", "{number}"]} if act != "shift" else {}
        self.configure(**{"params": [], **observe, **moves, **own, **changes})

    def plain_router(self, canary: str = "v2", environment: Mapping[str, str] | None = None) -> CommandRouter:
        """A new router on a command without params."""
        return CommandRouter(CommandConfig(run="web"), self.surroundings(canary, environment))

    def silence(self) -> None:
        """Every run hangs from now on."""
        (self.home / "silent").touch()

    def wake(self) -> None:
        """Runs go on."""
        (self.home / "silent").unlink(missing_ok=True)
