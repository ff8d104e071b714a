"""A terminal with somebody at its keys: one tmux session on a server of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


class Terminal:
    """A tmux session; its server's socket is in `folder`. `environment` is added to this process's own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._socket = str(folder / "tmux")
        self._environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def run(self, command: str, *, width: int = 80, height: int = 24) -> None:
        """Run a command line in a terminal of this size; the terminal closes when it ends."""
        size = ("-x", str(width), "-y", str(height))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "one", *size, f"exec {command}")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "one", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "one")

    def shows(self, *words: str, limit: float = 60.0) -> str:
        """Wait until the screen shows all of these."""
        deadline, screen = time.monotonic() + limit, ""
        while time.monotonic() < deadline:
            screen = self.screen()
            if all(word in screen for word in words):
                return screen
            time.sleep(0.05)
        raise AssertionError(f"no {words} on the screen:\n{screen}")

    def pid(self) -> int:
        """The process that the command line became."""
        return int(self.tmux("list-panes", "-t", "one", "-F", "#{pane_pid}"))

    def is_open(self) -> bool:
        done = subprocess.run(["tmux", "-S", self._socket, "has-session"], capture_output=True, check=False)
        return done.returncode == 0

    def kill(self) -> None:
        """Close the terminal under the program, as a lost line does."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)
